"""Does an adapter keep the protocol, and can the machine reach everything through it? Two questions, two answers.

    pytest --pyargs stepdown_machine.conformance --machine-adapter=my_package.adapter:MyAdapter

Safety asks for one story through every operation. Findability asks that local serves and each reason can be stated:
an adapter through which the machine never sees a local step would be green and worthless.
"""

from __future__ import annotations

import os
from importlib import import_module

import pytest

from stepdown_machine import operations as op
from stepdown_machine.broken import system as toy
from stepdown_machine.model import REASONS
from stepdown_machine.protocol import HandoffSystem
from stepdown_machine.rules.steering import Steering
from stepdown_machine.trial import Trial

ADAPTER = "STEPDOWN_MACHINE_ADAPTER"
"""Environment variable, `module:name` of a factory of fresh adapters; the toy without it."""


def fresh() -> HandoffSystem:
    """Return a fresh adapter, the one that the environment names."""
    module, _, name = os.environ.get(ADAPTER, "").partition(":")
    made: HandoffSystem = getattr(import_module(module), name)() if module else toy("correct")
    return made


class Guide(Steering):
    """The steering rules, driven by hand."""

    def system(self) -> HandoffSystem:
        """Return the adapter under test."""
        return fresh()


def test_a_fresh_system_is_empty_and_describes_itself_the_same_each_time() -> None:
    """Examples share nothing."""
    one, two = fresh(), fresh()

    assert one.describe() == two.describe()
    assert one.observe() == two.observe()
    assert one.observe().steps == ()
    assert one.describe().most.keys() <= {"breaker_threshold", "breaker_probes"}
    one.close()
    two.close()


def test_the_whole_way_from_discovery_to_local_keeps_every_promise() -> None:
    """Run, export, train, activate, run, reopen."""
    trial = Trial(fresh())
    plan = trial.description.plans[0]
    records = max(2, trial.description.min_records)

    for operation in (
        op.Run(0, 1, records),
        op.Export(),
        op.Train("dataset-1", plan),
        op.Activate("bundle-1"),
        op.Run(1),
    ):
        trial.act(operation)

    trial.look_again()
    assert [step.role for step in trial.seen.steps[-2:]] == ["competitor", "coach"]
    trial.close()


def test_a_rival_is_held_where_the_system_says_it_can_be() -> None:
    """Whoever is held at its announcement has decided before the other acts: held or not, nothing else tells the two apart."""
    guide = Guide()
    guide.begin(start="serving")

    if guide.can(op.Rival, op.Disable) and "announced" in guide.trial.description.holds.get("Run", ()):
        guide.act(op.Rival(op.Disable("bundle-1"), op.Run(1), "announced"))
        held = next(step for step in guide.trial.seen.steps[::-1] if step.role == "competitor")
        assert held.requested == "local"
    guide.teardown()


@pytest.mark.parametrize("reason", [*REASONS, "local"])
def test_every_reason_and_local_can_be_reached(reason: str) -> None:
    """What cannot be reached is not tested."""
    guide = Guide()
    guide.begin(start="serving")

    if reason not in (*guide.trial.description.reasons, "local"):
        # Its policy has no value that could give this reason.
        guide.teardown()
        return
    guide.provoke(cause=reason if reason in REASONS else "bundle-absent", place=0)

    told = {one.step.reason or one.step.served for one in guide.trial.routed}
    assert reason in told
    guide.teardown()
