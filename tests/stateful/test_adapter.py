"""The adapter itself: it kills everywhere, and gives everything back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from holdings import held
from stateful.adapter import HOLDS, POINTS, StepdownSystem, room
from stateful.bases import CHECKPOINTED
from stateful.children import SAID
from stateful.environment import ASKED
from stepdown import workspace
from stepdown_machine.campaign import campaign
from stepdown_machine.machine import HandoffMachine
from stepdown_machine.orders import ASKED_AGAIN
from stepdown_machine.protocol import HandoffSystem
from stepdown_machine.rules.turns import Episode


def test_the_machine_kills_at_every_point_that_stepdown_names() -> None:
    # And within the first call of a step and the next one, between the two lines of its trace; after what a coach said; and
    # within a tuning.
    between = {ASKED, ASKED_AGAIN, SAID, CHECKPOINTED}
    assert {point for points in POINTS.values() for point in points} == {*workspace.POINTS, *between}
    assert all(set(points) <= set(POINTS[name]) for name, points in HOLDS.items())


class Leaking(HandoffMachine):
    """The whole machine on stepdown, counted by itself."""

    def system(self) -> HandoffSystem:
        return StepdownSystem()

    def episodes(self) -> dict[str, Episode]:
        """Meet nothing: many examples leak more than long ones."""
        return {}


def test_examples_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes for the next kill stand ready between examples, a few more or less; what leaks once an example is thirty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rooms = (room(), tmp_path, room() / "template" / "sessions")
    campaign(Leaking, 1, examples=6, turns=8)
    before = held(*rooms)

    assert campaign(Leaking, 2, examples=30, turns=3).claims == ()

    now = held(*rooms)
    assert {name: now[name] - before[name] for name in now if now[name] - before[name] > 5} == {}
