"""A campaign is many starts: how many examples each has, and which they draw."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, core, seed, settings
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase
from hypothesis.stateful import RuleBasedStateMachine, rule

from stepdown_machine.restarts import FRESH, run, shares

Drawn = list[tuple[int, ...]]
LIMITS = settings(deadline=None, database=None, stateful_step_count=2, phases=[Phase.generate])
FAILS_AT = 2


def counting(**extra: Any) -> tuple[type[RuleBasedStateMachine], Drawn]:
    """Return a machine, and the list in which each of its examples leaves what it drew."""
    seen: Drawn = []

    class Counting(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.drawn: tuple[int, ...] = ()

        @rule(number=st.integers(0, 2**32))
        def draw(self, number: int) -> None:
            self.drawn += (number,)

        def teardown(self) -> None:
            seen.append(self.drawn)

    for name, value in extra.items():
        setattr(Counting, name, value)
    return Counting, seen


@pytest.mark.parametrize(
    ("examples", "starts"), [(1, [1]), (12, [12]), (13, [7, 6]), (30, [10, 10, 10]), (200, [12] * 13 + [11] * 4)]
)
def test_no_start_has_more_than_a_dozen_examples_and_none_more_than_the_first(examples: int, starts: list[int]) -> None:
    assert shares(settings(LIMITS, max_examples=examples)) == starts
    assert max(starts) <= FRESH


def test_where_nothing_is_generated_nothing_is_started() -> None:
    assert shares(settings(LIMITS, phases=[Phase.reuse])) == []


def _by_argument() -> Drawn:
    machine, seen = counting()
    run(machine, settings(LIMITS, max_examples=36), 5)
    assert not hasattr(machine, "_hypothesis_internal_use_seed")
    return seen


def _by_decorator() -> Drawn:
    machine, seen = counting()
    run(seed(5)(machine), settings(LIMITS, max_examples=36), None)
    return seen


def _by_option() -> Drawn:
    machine, seen = counting()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "global_force_seed", 5)
        run(machine, settings(LIMITS, max_examples=36), None)
    return seen


def _by_settings() -> Drawn:
    machine, seen = counting()
    run(machine, settings(LIMITS, max_examples=36, derandomize=True), None)
    return seen


def _at_random() -> Drawn:
    machine, seen = counting()
    run(machine, settings(LIMITS, max_examples=36), None)
    return seen


@pytest.mark.parametrize("draw", [_by_argument, _by_decorator, _by_option, _by_settings, _at_random])
def test_each_start_draws_other_examples(draw: Callable[[], Drawn]) -> None:
    """Each but the first of a start, which is the simplest there is."""
    seen = draw()

    assert len(seen) == 36
    assert len(set(seen)) >= 30


@pytest.mark.parametrize("draw", [_by_argument, _by_decorator, _by_option, _by_settings])
def test_a_seed_draws_the_same_examples_every_time(draw: Callable[[], Drawn]) -> None:
    assert draw() == draw()


def test_a_machine_runs_as_random_as_before_after_it_was_seeded() -> None:
    machine, seen = counting()
    run(machine, settings(LIMITS, max_examples=12), 5)
    run(machine, settings(LIMITS, max_examples=12), None)

    assert seen[:12] != seen[12:]


def test_where_nothing_is_saved_all_is_drawn() -> None:
    """Hypothesis raises a skip there: a campaign would have been skipped, and green."""
    machine, seen = counting()

    run(
        machine,
        settings(LIMITS, database=InMemoryExampleDatabase(), phases=[*LIMITS.phases, Phase.reuse], max_examples=12),
        1,
    )

    assert len(seen) == 12


def test_a_replay_of_nothing_says_so() -> None:
    machine, _ = counting()

    with pytest.raises(unittest.SkipTest):
        run(machine, settings(LIMITS, database=InMemoryExampleDatabase(), phases=[Phase.reuse]), None)


def test_what_failed_is_tried_first_and_nothing_else() -> None:
    def fail(self: Any, number: int) -> None:
        seen.append(number)
        assert number < FAILS_AT

    seen: list[int] = []
    machine, _ = counting(draw=rule(number=st.integers(0, 2**32))(fail))
    kept = settings(LIMITS, database=InMemoryExampleDatabase(), phases=[*LIMITS.phases, Phase.reuse], max_examples=60)

    with pytest.raises(AssertionError):
        run(machine, kept, None)
    found = set(seen)
    seen.clear()
    with pytest.raises(AssertionError):
        run(machine, kept, None)

    assert seen
    assert set(seen) <= found
