"""Every lie that can be told of a history, told of one in which each can be: what chance tells a few of at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from stateful.adapter import StepdownSystem, room
from stateful.falsifying import JUDGED_LIES, LIES
from stateful.judged_life import live_judged
from stepdown_machine import operations as op
from stepdown_machine.machine import HandoffMachine
from stepdown_machine.protocol import Description, Origin


class LiedAbout(StepdownSystem):
    """stepdown, with lies that not every history gives away; none of them may be left out."""

    excused = False

    def describe(self) -> Description:
        return replace(super().describe(), origin=Origin("stateful.lies", "LiedAbout"), falsifiable=tuple(LIES))


class JudgedBefore(LiedAbout):
    """stepdown, where a model has judged before and nobody else has lived, with lies about that."""

    @staticmethod
    @cache
    def template() -> Path:
        """Return the workspace in which a model has judged."""
        judged = room() / "judged"
        live_judged(judged, room() / "cache")
        return judged

    def describe(self) -> Description:
        origin = Origin("stateful.lies", "JudgedBefore")
        return replace(super().describe(), origin=origin, falsifiable=tuple(JUDGED_LIES))


def tell_every_lie(machine: HandoffMachine) -> None:
    """Let a verdict promote, and one hold back and be overruled; then audit, and audit each lie about it."""
    machine.run(seed=0, generations=2, candidates=2)
    machine.promote(bundle="bundle-1", who="another", margin="wide", then="go on")
    machine.promote(bundle="bundle-1", who="another", margin="none", then="go on")
    machine.train(dataset="dataset-1", plan="tiny-a", how="use")
    machine.switch(bundle="bundle-2", to="activate", runs=1)
    # A policy that no step was decided by: only its number says where it stands.
    machine.configure(setting=("breaker_threshold", 2), runs=0)
    # Something is said of an answer, and others' answers are learned from.
    machine.tell((op.Judge("run-1", 0, 0.5),))
    machine.export(
        run=None, scenario=None, limit=None, kept_only=False, include_local=True, again=False, imported="two"
    )
    machine.tell(map(op.Audit, (None, *machine.session.description.falsifiable)))
