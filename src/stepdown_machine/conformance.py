"""Does an adapter keep the protocol, and can the machine reach everything through it? Two questions, two answers.

    pytest --pyargs stepdown_machine.conformance --machine-adapter=my_package.adapter:MyAdapter

Safety asks for one story through every operation. Findability asks that local serves and each reason can be stated:
an adapter through which the machine never sees a local step would be green and worthless.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from stepdown_machine import operations as op
from stepdown_machine.adapter import AdapterError, load, untouched
from stepdown_machine.broken import system as toy
from stepdown_machine.model import REASONS
from stepdown_machine.protocol import HandoffSystem
from stepdown_machine.rules.bases import Bases
from stepdown_machine.rules.wording import WordingRules
from stepdown_machine.session import Session

ADAPTER = "STEPDOWN_MACHINE_ADAPTER"
"""Environment variable, `module:name` of a factory of fresh adapters; the toy without it."""


def fresh() -> HandoffSystem:
    """Return a fresh adapter, the one that the environment names."""
    path = os.environ.get(ADAPTER, "")
    system: HandoffSystem = load(path) if path else toy("correct")
    return system


def fit() -> None:
    """Say once, while tests are collected, what every one of them would stumble over."""
    try:
        fresh().close()
    except AdapterError as error:
        raise pytest.Collector.CollectError(str(error)) from None


fit()


class Guide(WordingRules, Bases):
    """The steering rules, driven by hand."""

    def system(self) -> HandoffSystem:
        """Return the adapter under test."""
        return fresh()


@pytest.fixture
def guide() -> Iterator[Guide]:
    """Yield the rules on a fresh adapter, and give it back whatever happens."""
    guide_ = Guide()
    guide_.begin(start="serving")
    yield guide_
    guide_.teardown()


def test_a_fresh_system_is_empty_and_describes_itself_the_same_each_time() -> None:
    """Examples share nothing."""
    with closing(fresh()) as one, closing(fresh()) as two:
        assert one.describe() == two.describe()
        assert one.observe() == two.observe()
        assert one.observe().steps == ()
        assert one.describe().most.keys() <= {"breaker_threshold", "breaker_probes"}


def test_what_one_adapter_did_is_not_seen_by_another_one() -> None:
    """State that two of them share would be blamed on the system."""
    with closing(Session(fresh())) as session, closing(fresh()) as other:
        needs(session, op.Run)
        session.act(op.Run(0))

        untouched(type(other).__name__, other.observe(thorough=True))


def test_the_whole_way_from_discovery_to_local_keeps_every_promise() -> None:
    """Run, export, train, activate, run, reopen."""
    with closing(Session(fresh())) as session:
        needs(session, op.Run, op.Export, op.Train, op.Activate)
        plan = session.description.plans[0]
        records = max(2, session.description.min_records)

        for operation in (
            op.Run(0, 1, records),
            op.Export(),
            op.Train("dataset-1", plan),
            op.Activate("bundle-1"),
            op.Run(1),
        ):
            session.act(operation)

        session.look_again()
        assert [step.role for step in session.seen.steps[-2:]] == ["competitor", "coach"]


def test_a_rival_is_held_where_the_system_says_it_can_be(guide: Guide) -> None:
    """Whoever is held at its announcement has decided before the other acts: held or not, nothing else tells the two apart."""
    needs(guide.session, op.Rival, op.Disable, op.Run, op.Export, op.Train, op.Activate)
    if "announced" not in guide.session.description.holds.get("Run", ()):
        pytest.skip("the description holds no run at `announced`")

    guide.act(op.Rival(op.Disable("bundle-1"), op.Run(1), "announced"))

    held = next(step for step in guide.session.seen.steps[::-1] if step.role == "competitor")
    assert held.requested == "local"


@pytest.mark.parametrize("reason", [*REASONS, "local"])
def test_every_reason_and_local_can_be_reached(reason: str, guide: Guide) -> None:
    """What cannot be reached is not tested."""
    if reason != "local" and not guide.session.can(reason):
        pytest.skip(f"nothing that the description declares could give {reason}")

    guide.lead_to(cause=reason if reason in REASONS else "bundle-absent", choice=0)

    outcomes = {one.step.reason or one.step.served for one in guide.session.routed}
    assert reason in outcomes


def needs(session: Session, *operations: type) -> None:
    """Skip a test of operations that the description does not declare."""
    if missing := [each.__name__ for each in operations if each not in session.description.operations]:
        pytest.skip(f"the description does not declare {', '.join(missing)}")
