"""What a step, a generation and the end of a run cost does not grow with what was recorded before.

Counted, not timed: the database tells how many of its own instructions it took, a few for every row that it looks at.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event

from grown import grow
from journey import SCENARIO, discover
from stepdown.acts import configure
from stepdown.acts.judging import found
from stepdown.acts.question import examples
from stepdown.acts.run import start
from stepdown.history import reader
from stepdown.history.questions import BASELINE
from stepdown.providers.protocol import Example, Request
from stepdown.providers.search import Search
from stepdown.scenarios import roles
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.views.runs import story
from stepdown.workspace import Workspace
from stepdown.workspace.facts import gather

GRAIN = 20
"""Instructions between two counts."""


@dataclass(slots=True)
class Work:
    """Instructions that the database has taken."""

    instructions: int = 0

    def tick(self) -> int:
        """Count some more; 0 lets the database go on."""
        self.instructions += GRAIN
        return 0


@contextmanager
def counted(workspace: Workspace) -> Iterator[Work]:
    """Count what the database does, on whatever connection."""
    work = Work()

    def watch(connection: Any, *_: object) -> None:
        connection.set_progress_handler(work.tick, GRAIN)

    event.listen(workspace.engine, "checkout", watch)
    try:
        yield work
    finally:
        event.remove(workspace.engine, "checkout", watch)
        with workspace.reading() as connection:
            connection.connection.driver_connection.set_progress_handler(None, 0)  # type: ignore[union-attr]


def spent(workspace: Workspace, act: Callable[[], object]) -> int:
    """Return the instructions of an act that was done before: the first one prepares statements."""
    act()
    with counted(workspace) as work:
        act()
    return work.instructions


def a_generation(workspace: Workspace) -> None:
    """Start a run, and play one generation of it: whole steps, the gate, the coach."""
    under_way = start(workspace, SCENARIO, generations=1, candidates=2)
    under_way.advance()
    under_way.end()


def test_a_generation_takes_no_longer_however_much_was_recorded_before(workspace: Workspace) -> None:
    run = discover(workspace)
    before = spent(workspace, lambda: a_generation(workspace))

    grow(workspace, run, 600)

    # A few for each run: their number is the next one's name. Nothing for any of the steps.
    assert spent(workspace, lambda: a_generation(workspace)) < before * 1.1 + 600 * 30


def test_the_story_of_a_run_takes_no_longer_however_many_there_are(workspace: Workspace) -> None:
    run = discover(workspace)
    before = spent(workspace, lambda: story(workspace, run.id))

    grow(workspace, run, 600)

    assert spent(workspace, lambda: story(workspace, run.id)) < before * 1.1 + GRAIN


def test_what_local_saved_is_measured_on_the_last_steps_however_many_the_frontier_served(local: Workspace) -> None:
    configure.set_policy(local, {"mode": "frontier-only"})
    run = discover(local, seed=1)
    configure.set_policy(local, {"mode": "auto"})
    served = discover(local, seed=2)
    grow(local, run, 600)
    before = spent(local, lambda: story(local, served.id))
    with local.reading() as connection:
        assert len(reader.frontier_costs(connection, SCENARIO, "search", "competitor")) == BASELINE

    grow(local, run, 900)

    assert story(local, served.id).savings.keys() == {"competitor"}
    assert spent(local, lambda: story(local, served.id)) < before * 1.1 + GRAIN


def test_gathering_facts_takes_no_longer_however_often_anything_was_switched(workspace: Workspace) -> None:
    def facts() -> None:
        with workspace.reading() as connection:
            gather(workspace, connection, workspace.scenario(SCENARIO), "competitor", 0)

    before = spent(workspace, facts)
    for enabled in (False, True) * 100:
        configure.switch_validator(workspace, SCENARIO, "budget", enabled=enabled)
        configure.set_policy(workspace, {"min_score": 0.5 if enabled else 0.6})

    assert spent(workspace, facts) < before * 1.1 + GRAIN


def test_a_run_reads_nothing_of_its_own_again(workspace: Workspace) -> None:
    under_way = start(workspace, SCENARIO, generations=12, candidates=4)
    taken = []
    for _ in range(12):
        with counted(workspace) as work:
            under_way.advance()
        taken.append(work.instructions)

    assert max(taken[-3:]) < max(taken[1:4]) * 1.1


def test_what_a_run_keeps_of_its_answers_is_what_history_says_of_them(workspace: Workspace) -> None:
    under_way = start(workspace, SCENARIO, generations=3, candidates=4)
    for _ in range(3):
        under_way.advance()

    with workspace.reading() as connection:
        assert under_way.examples == examples(
            found(under_way.scenario, under_way.run, under_way.role, reader.steps(connection, under_way.run.id))
        )
    assert under_way.examples


def test_the_optimizer_is_told_each_generation_once_and_draws_as_if_it_had_been_told_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cmaes import CMA

    told = itertools.count()
    real = CMA.tell
    monkeypatch.setattr(CMA, "tell", lambda self, found: (next(told), real(self, found))[1])
    grid, found = GridCtf(), tuple[Example, ...]()
    search = Search(grid)
    proposals = []
    for generation in range(1, 31):
        texts = [search.complete(asked(generation * 10 + place, found)).reply for place in range(4)]
        proposals.append((found, texts))
        parsed = [roles.role_named(grid, roles.COMPETITOR).parse(text) for text in texts]
        found += tuple(Example(generation, each.value, each.text, (place + 1) / 5) for place, each in enumerate(parsed))
    assert next(told) == 29

    for generation, (known, texts) in enumerate(proposals, 1):
        assert [Search(grid).complete(asked(generation * 10 + place, known)).reply for place in range(4)] == texts
    # And back to an earlier question, which the one that is kept does not continue.
    assert search.complete(asked(10, ())).reply == proposals[0][1][0]


def asked(seed: int, found: tuple[Example, ...]) -> Request:
    return Request("call", "competitor", "prompt", {}, seed, 1.0, found)
