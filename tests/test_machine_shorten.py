"""Programs are shortened by whole turns and episodes, never past what fails."""

from hypothesis import given
from hypothesis import strategies as st

from stepdown_machine.shorten import LONGEST, Program, shorten, spelled


def program(names: list[str], warm_up: tuple[tuple[str, int], ...] = ()) -> Program:
    """Return a program of turns that take nothing."""
    return (("begin", {"warm_up": warm_up}), *((name, {}) for name in names))


NAMES = st.lists(st.sampled_from("abc"), max_size=LONGEST - 1)


@given(NAMES, st.sets(st.sampled_from("abc")))
def test_what_a_failure_needs_is_all_that_stays(names: list[str], needed: set[str]) -> None:
    wanted = needed & set(names)

    left = shorten(program(names), lambda shorter: wanted <= {name for name, _ in shorter})

    assert sorted(name for name, _ in left[1:]) == sorted(wanted)


@given(NAMES, st.integers(1, 4))
def test_whatever_comes_out_fails_and_is_no_longer(names: list[str], every: int) -> None:
    """Which turns matter may depend on how many there are."""
    whole = program(names)

    left = shorten(whole, lambda shorter: len(shorter) % every == len(whole) % every)

    assert len(left) % every == len(whole) % every
    assert len(left) <= len(whole)


def test_six_equal_turns_of_which_one_or_many_but_not_five_fail_become_one() -> None:
    left = shorten(program(["crash"] * 6 + ["export"]), lambda shorter: len(shorter) - 2 in (1, 2, 3, 4, 6))

    assert len(left) == 3


def test_an_episode_that_is_not_needed_goes_too() -> None:
    warm_up = (("bundle-absent", 0), ("clear away", 3), ("be raced", 1))

    left = shorten(program(["a"], warm_up), lambda shorter: ("clear away", 3) in shorter[0][1]["warm_up"])

    assert left == program([], (("clear away", 3),))
    assert spelled(left) == ["state.begin(warm_up=(('clear away', 3),))"]


def test_a_program_that_was_never_shrunk_stays_as_it_is() -> None:
    whole = program(["a"] * LONGEST)

    assert shorten(whole, lambda _: True) == whole
