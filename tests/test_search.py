"""The embedded frontier: deterministic, legal, and really better from generation to generation."""

from statistics import fmean

from hypothesis import given
from hypothesis import strategies as st

from journey import SCENARIO, discover, steps
from stepdown.providers.protocol import Example, Request
from stepdown.providers.search import Search
from stepdown.scenarios import referee, roles
from stepdown.scenarios.grid_ctf import BUDGET, KEYS, GridCtf, strategy
from stepdown.workspace import Workspace

GRID = GridCtf()
SEARCH = Search(GRID)
shares = st.floats(0, 1)


def example(generation: int, values: tuple[float, float, float], score: float) -> Example:
    """Return an earlier strategy."""
    played = strategy(dict(zip(KEYS, values, strict=True)))
    return Example(generation, played.value, played.text, score)


examples = st.lists(
    st.tuples(st.integers(1, 4), st.tuples(shares, shares, shares).filter(lambda v: v[0] + v[1] <= BUDGET), shares),
    max_size=12,
).map(lambda drawn: tuple(example(*one) for one in sorted(drawn, key=lambda one: one[0])))


def asked(role: str, seed: int, told: tuple[Example, ...]) -> str:
    """Return the reply to a request."""
    return SEARCH.complete(Request("call", role, "prompt", {}, seed, 1.0, told)).reply


@given(st.integers(0, 2**31), examples)
def test_every_proposal_is_legal_whatever_was_told(seed: int, told: tuple[Example, ...]) -> None:
    reply = asked("competitor", seed, told)

    assert referee.judge(GRID, roles.role_named(GRID, roles.COMPETITOR), reply, (), GRID.validators).refusals == ()


@given(st.integers(0, 2**31), examples)
def test_every_lesson_is_one(seed: int, told: tuple[Example, ...]) -> None:
    assert roles.lesson(asked("coach", seed, told)) is not None


@given(st.integers(0, 2**31), examples)
def test_the_same_question_has_the_same_answer(seed: int, told: tuple[Example, ...]) -> None:
    assert asked("competitor", seed, told) == asked("competitor", seed, told)


@given(examples)
def test_a_lesson_carries_no_number_of_any_example(told: tuple[Example, ...]) -> None:
    # Knowledge is exported with every record: a score in it would be a label leaked into other rows.
    assert not any(character.isdigit() for character in asked("coach", 1, told))


def test_discovery_improves_from_generation_to_generation(workspace: Workspace) -> None:
    run = discover(workspace, generations=12, candidates=6)

    found = steps(workspace, run.id)
    mean = [fmean(step.score or 0.0 for step in found if step.generation == n) for n in range(1, 13)]
    assert fmean(mean[-3:]) > fmean(mean[:3]) + 0.05
    assert max(step.score or 0.0 for step in found) > 0.84


def test_equal_runs_in_two_workspaces_find_the_same(workspace: Workspace, local: Workspace) -> None:
    from stepdown.acts import configure

    configure.set_policy(local, {"mode": "frontier-only"})
    with local.reading() as connection:
        assert local.knowledge(connection, SCENARIO).version == 1
    first, again = (discover(workspace, seed=4, generations=2, candidates=3) for _ in range(2))
    elsewhere = discover(local, seed=4, generations=2, candidates=3)

    found = [[step.answer for step in steps(workspace, run.id)] for run in (first, again)]
    assert found[0] == found[1] == [step.answer for step in steps(local, elsewhere.id)]
