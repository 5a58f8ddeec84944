"""The breaker against a reference that reads the whole history each time, written here from the contract."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdown.routing.breaker import Breaker, State
from stepdown.routing.policy import Policy

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = Policy(breaker_threshold=2, breaker_window=60.0, breaker_cooldown=30.0, breaker_probes=2)

History = list[tuple[float, bool]]
"""Seconds since the beginning, and whether the attempt failed; oldest first."""


def at(seconds: float) -> datetime:
    """Return an instant."""
    return BEGIN + timedelta(seconds=seconds)


def folded(history: History, policy: Policy = POLICY) -> Breaker:
    """Return the breaker after a history, as it is stored and read between any two attempts."""
    breaker = Breaker()
    for seconds, failed in history:
        breaker = Breaker.from_json(breaker.after(policy, at(seconds), failed=failed).as_json())
    return breaker


def naive(history: History, now: float, policy: Policy) -> State:
    """Say the contract again: walk through everything that ever happened, in plain seconds."""
    opened: float | None = None
    failures: list[float] = []
    probes = 0
    for when, failed in history:
        if said(opened, probes, when, policy) is State.CLOSED:
            # Closed for lack of a demanded probe: with a clear memory.
            failures = [] if opened is not None else failures
            opened, probes = None, 0
            if failed:
                failures = [*(f for f in failures if f >= when - policy.breaker_window), when]
                opened = when if len(failures) >= policy.breaker_threshold else None
        elif failed:
            opened, probes = when, 0
        elif said(opened, probes, when, policy) is State.HALF_OPEN:
            probes += 1
            if probes >= policy.breaker_probes:
                opened, failures, probes = None, [], 0
    return said(opened, probes, now, policy)


def said(opened: float | None, probes: int, now: float, policy: Policy) -> State:
    """Name the state, given when it opened last and how many probes succeeded since."""
    if opened is None:
        return State.CLOSED
    if now - opened < policy.breaker_cooldown:
        return State.OPEN
    return State.CLOSED if probes >= policy.breaker_probes else State.HALF_OPEN


policies = st.builds(
    Policy,
    breaker_threshold=st.integers(1, 4),
    breaker_window=st.sampled_from([0.0, 1.0, 10.0, 1e9, float("inf")]),
    breaker_cooldown=st.sampled_from([0.0, 1.0, 10.0, 1e9]),
    breaker_probes=st.integers(0, 3),
)
waits = st.sampled_from([0.0, 0.5, 1.0, 9.0, 10.0, 11.0])
histories = st.lists(st.tuples(waits, st.booleans()), max_size=25)


@given(policies, histories, waits)
def test_the_fold_by_checkpoint_is_the_walk_through_all_history(
    policy: Policy, gaps: list[tuple[float, bool]], wait: float
) -> None:
    now, history = 0.0, []
    for gap, failed in gaps:
        now += gap
        history.append((now, failed))

    assert folded(history, policy).state(policy, at(now + wait)) is naive(history, now + wait, policy)


@given(policies, histories)
def test_success_alone_never_opens_it(policy: Policy, gaps: list[tuple[float, bool]]) -> None:
    history = [(float(index), False) for index, _ in enumerate(gaps)]

    assert folded(history, policy).state(policy, at(1e6)) is State.CLOSED


def test_failures_within_the_window_open_it_and_older_ones_are_forgotten() -> None:
    assert folded([(0, True), (60, True)]).state(POLICY, at(60)) is State.OPEN
    assert folded([(0, True), (60.001, True)]).state(POLICY, at(61)) is State.CLOSED


def test_it_half_opens_at_the_very_end_of_the_cooldown() -> None:
    breaker = folded([(0, True), (1, True)])

    assert breaker.state(POLICY, at(30.999)) is State.OPEN
    assert breaker.state(POLICY, at(31)) is State.HALF_OPEN


def test_a_failed_probe_starts_the_cooldown_anew() -> None:
    breaker = folded([(0, True), (1, True), (31, False), (32, True)])

    assert breaker.state(POLICY, at(61.9)) is State.OPEN
    assert breaker.state(POLICY, at(62)) is State.HALF_OPEN


def test_enough_probes_in_a_row_close_it() -> None:
    assert folded([(0, True), (1, True), (31, False)]).state(POLICY, at(31)) is State.HALF_OPEN
    assert folded([(0, True), (1, True), (31, False), (32, False)]).state(POLICY, at(32)) is State.CLOSED


def test_a_late_failure_while_open_extends_the_cooldown() -> None:
    assert folded([(0, True), (1, True), (20, True)]).state(POLICY, at(49)) is State.OPEN


def test_a_cooldown_of_zero_is_zero() -> None:
    policy = replace(POLICY, breaker_cooldown=0.0)

    assert folded([(0, True), (0, True)], policy).state(policy, at(0)) is State.HALF_OPEN


def test_zero_probes_close_it_when_the_cooldown_is_over() -> None:
    policy = replace(POLICY, breaker_probes=0)
    breaker = folded([(0, True), (1, True)], policy)

    assert breaker.state(policy, at(30)) is State.OPEN
    assert breaker.state(policy, at(31)) is State.CLOSED


def test_a_clock_set_back_does_not_end_the_cooldown() -> None:
    assert folded([(1000, True), (1001, True)]).state(POLICY, at(0)) is State.OPEN


@pytest.mark.parametrize("hours", [-11, 0, 5])
def test_the_zone_in_which_an_instant_is_written_changes_nothing(hours: int) -> None:
    from datetime import timezone

    zone = timezone(timedelta(hours=hours))
    breaker = folded([(0, True), (1, True)])
    assert breaker.state(POLICY, at(30.5).astimezone(zone)) is State.OPEN
    assert breaker.state(POLICY, at(31).astimezone(zone)) is State.HALF_OPEN
