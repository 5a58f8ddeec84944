"""Time by freezegun: the same oracle, with no clock given to the workspace at all.

If stepdown read any clock but the one that `stepdown.clock` reads, or kept an instant in local time, some step would not be
dated with the frozen moment (I12), a bundle would expire an hour early, or a breaker would cool in another zone's time.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from hypothesis import settings

from rotation import nightly
from stateful import adapter
from stateful.environment import settings as composed
from stepdown.acts.opening import open_workspace
from stepdown.clock import Clock
from stepdown_machine import operations as op
from stepdown_machine.machine import RoutingMachine, case
from stepdown_machine.protocol import START, Answer, Description, HandoffSystem, Origin
from stepdown_machine.session import Session
from stepdown_machine.values import Policy

IGNORED = ["transformers", "subprocess", "concurrent.futures", "threading", "hypothesis"]
"""transformers cannot be crawled without torch; the others wait in real time, and must go on doing so."""

ZONES = ("UTC", "America/St_Johns", "Pacific/Kiritimati", "Europe/Berlin")


class FrozenSystem(adapter.StepdownSystem):
    """stepdown with its own clock, in a process whose clock is frozen and whose zone is somewhere."""

    def __init__(self, zone: str = "UTC") -> None:
        self._zone, self._before = zone, os.environ.get("TZ")
        os.environ["TZ"] = zone
        time.tzset()
        self._freezer = freeze_time(datetime.fromtimestamp(START, UTC), ignore=IGNORED)
        self._frozen = self._freezer.start()
        super().__init__()

    def _open(self) -> None:
        told = composed(self._environment, self._root, adapter.room() / "cache")
        self._workspace = open_workspace(self._root, settings=replace(told, clock=Clock()))

    def describe(self) -> Description:
        found = super().describe()
        # Child processes live in real time, and so would what they write.
        here = found.operations - {op.Crash, op.Rival}
        return replace(found, origin=Origin("stateful.test_time", "FrozenSystem", (self._zone,)), operations=here)

    def _around(self, operation: op.Plain) -> None:
        super()._around(operation)
        if isinstance(operation, op.Advance):
            self._frozen.move_to(datetime.fromtimestamp(self._environment.now, UTC))

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._freezer.stop()
            os.environ.pop("TZ") if self._before is None else os.environ.update(TZ=self._before)
            time.tzset()


class FrozenMachine(RoutingMachine):
    """Policy, damage, environment and time, with every clock frozen far from Greenwich."""

    def system(self) -> HandoffSystem:
        return FrozenSystem("America/St_Johns")


TestFrozen = case(FrozenMachine)
TestFrozen.settings = settings(TestFrozen.settings, max_examples=25 if nightly() else 4)


@pytest.mark.parametrize("zone", ZONES)
def test_a_bundle_expires_at_the_same_instant_in_every_zone(zone: str) -> None:
    session = _serving(FrozenSystem(zone))
    try:
        session.act(op.SetPolicy(Policy(max_age=3600.0)))
        session.act(op.Advance(3600.0))
        at_the_limit = _objection(session)
        session.act(op.Advance(1.0))

        assert (at_the_limit, _objection(session)) == (None, "bundle-stale")
    finally:
        session.close()


def test_a_daylight_change_makes_no_hour_longer_or_shorter() -> None:
    """Europe/Berlin repeats the hour from 01:00 UTC on 2027-10-31."""
    session = _serving(FrozenSystem("Europe/Berlin"))
    try:
        change = datetime(2027, 10, 31, 1, tzinfo=UTC)
        session.act(op.Advance((change - timedelta(minutes=30)).timestamp() - START))
        session.act(op.Train("dataset-1", "tiny-b"))
        session.act(op.Activate("bundle-2"))
        session.act(op.SetPolicy(Policy(max_age=3600.0)))
        session.act(op.Advance(3600.0))
        across = _objection(session)
        session.act(op.Advance(1.0))

        assert (across, _objection(session)) == (None, "bundle-stale")
    finally:
        session.close()


def test_a_clock_set_back_loses_nothing_and_heals_nothing() -> None:
    session = _serving(FrozenSystem("Pacific/Kiritimati"))
    try:
        session.act(op.Advance(3600.0))  # Set back further, the clock would stand before the training.
        session.act(op.SetPolicy(Policy(breaker_threshold=1, breaker_cooldown=60.0)))
        session.act(op.Disturb(local="error"))
        failed = _reason(session)
        session.act(op.Disturb())
        session.act(op.Advance(-3600.0))
        cooling = _reason(session)
        session.act(op.Advance(3660.0))

        assert (failed, cooling, _reason(session)) == ("local-error", "local-cooldown", None)
        session.look_again()
    finally:
        session.close()


def _serving(system: HandoffSystem) -> Session:
    session = Session(system)
    for operation in (op.Run(0, 2, 2), op.Export(), op.Train("dataset-1", "tiny-a"), op.Activate("bundle-1")):
        session.act(operation)
    return session


def _reason(session: Session) -> str | None:
    """Run one step, judged by the oracle, and return why local did not serve."""
    answer: Answer = session.act(op.Run(0))
    assert answer is not None
    return next(step.reason for step in reversed(session.seen.steps) if step.role == "competitor")


def _objection(session: Session) -> str | None:
    """Run one step, judged by the oracle, and return what spoke first against asking local; how local does is no matter."""
    session.act(op.Run(0))
    step = next(step for step in reversed(session.seen.steps) if step.role == "competitor")
    return next(iter(step.objections), None)
