"""The life of a neighbour whose answers a model judges: everything that a judging call can be about, and each way it can end.

The machine never speaks of it. An audit has all of it to look at, and so have those who lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from stateful.environment import Environment, settings
from stateful.jurors import JURY, MOODS
from stateful.observing import PERSON
from stateful.other_scenarios import LENIENT, Interruption
from stateful.plans import PLANS
from stepdown.acts import configure, switch
from stepdown.acts.ask import judge, live
from stepdown.acts.export import export
from stepdown.acts.localize import evaluate, localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.acts.resume import resume_run
from stepdown.acts.run import play, start
from stepdown.errors import ProviderError
from stepdown.history import reader, rows
from stepdown.routing.policy import Policy
from stepdown.training.promotion import Trial
from stepdown.training.records import Filters
from stepdown.workspace import Workspace

TRIAL = Trial(margin=0.5, budget=16, look=8)
LONG = replace(TRIAL, look=16)


def live_judged(root: Path, cache: Path) -> None:
    """Let the neighbour live in a workspace that is there."""
    environment = Environment()
    composed = settings(environment, root, cache)
    with open_workspace(root, settings=composed) as opened:
        configure.set_policy(opened, LENIENT)
        _discover(opened, environment)
        made = export(opened, Filters(JURY)).path
        environment.jurors = "silent"
        with suppress(ProviderError):
            localize(opened, made, plan=PLANS["tiny-a"])
        bundle = _newest(opened, rows.Bundle).id
        _measure(opened, environment, bundle)
        switch.activate(opened, bundle, forced=True)
        _serve(opened)
        other = localize(opened, made, plan=PLANS["tiny-b"]).bundle.id
        promote(opened, other, trial=replace(TRIAL, margin=0.0))
    _stop_and_go_on(root, cache, environment, other)
    with open_workspace(root, settings=composed) as opened:
        _go_on_within(opened, "run-1")
        configure.set_policy(opened, Policy().as_json())
    assert not environment.wrong, environment.wrong[0]


def _newest(workspace: Workspace, table: type) -> rows.Row:
    with workspace.reading() as connection:
        found = reader.newest(connection, table)
    assert found is not None
    return found


def _discover(workspace: Workspace, environment: Environment) -> None:
    """Run with a judge that says all, some, nothing, and nothing that counts; and with one that may not be asked.

    The very first run spends what it may, and waits.
    """
    configure.set_policy(workspace, {"run_tokens": 1.0})
    play(start(workspace, JURY, seed=8, generations=2, candidates=2))
    configure.set_policy(workspace, {"run_tokens": "inf"})
    play(start(workspace, JURY, seed=1, generations=2, candidates=3))
    for mood in MOODS[1:]:
        environment.jurors = mood
        play(start(workspace, JURY, seed=2, generations=1, candidates=2))
    environment.jurors = "calm"
    for change in ({"frontier_never": "judge"}, {"frontier_never": "", "run_tokens": 1.0}):
        configure.set_policy(workspace, change)
        play(start(workspace, JURY, seed=3, generations=1, candidates=1))
    configure.set_policy(workspace, {"run_tokens": "inf"})
    environment.frontier = "illegal"
    play(start(workspace, JURY, seed=4, generations=1, candidates=1))
    environment.frontier = "calm"


def _measure(workspace: Workspace, environment: Environment, bundle: str) -> None:
    """Measure a bundle: by half of the verdicts, which is no measurement, by the others besides, and anew."""
    environment.jurors = "hesitant"
    with suppress(ProviderError):
        evaluate(workspace, bundle)
    environment.jurors = "calm"
    for _ in range(2):
        evaluate(workspace, bundle)


def _serve(workspace: Workspace) -> None:
    """Serve by it, and ask it live; somebody says later what an answer was really worth."""
    run = play(start(workspace, JURY, seed=5, generations=1, candidates=3))
    configure.set_policy(workspace, {"canary": 0.5, "mode": "auto"})
    play(start(workspace, JURY, seed=6, generations=1, candidates=3))
    configure.set_policy(workspace, {"canary": 1.0})
    with live(workspace, JURY) as desk:
        for seed in (1, 2):
            desk.ask(seed)
    with workspace.reading() as connection:
        served = next(step.served_call for step in reader.steps(connection, run.id) if step.served_call is not None)
    judge(workspace, served, 0.5, by=PERSON, why="I looked myself")


def _stop_and_go_on(root: Path, cache: Path, environment: Environment, bundle: str) -> None:
    """Stop a run and a comparison while they are judged, and go on with both.

    Of the comparison one answer is judged by then: so few that whoever forgot about the others' at that place would come to a
    verdict all the same.
    """
    with suppress(Interruption), _stopping(root, cache, environment, after=4) as opened:
        play(start(opened, JURY, seed=7, generations=2, candidates=3))
    with open_workspace(root, settings=settings(environment, root, cache)) as opened:
        play(resume_run(opened, _newest(opened, rows.Run).id))
    with suppress(Interruption), _stopping(root, cache, environment, after=17) as opened:
        promote(opened, bundle, trial=LONG)
    with open_workspace(root, settings=settings(environment, root, cache)) as opened:
        promote(opened, bundle, trial=LONG, resume=_newest(opened, rows.Run).id)


def _go_on_within(workspace: Workspace, run: str) -> None:
    """Go on with the first run under a budget that it has not spent, and those whose names begin as its own does have."""
    with workspace.reading() as connection:
        tokens, _ = reader.spent(connection, run)
        names = [each.id for each in reader.all_of(connection, rows.Run)]
    assert len([name for name in names if name.startswith(run)]) > 5, names
    configure.set_policy(workspace, {"run_tokens": tokens + 50.0, "mode": "frontier-only"})
    play(resume_run(workspace, run))


@contextmanager
def _stopping(root: Path, cache: Path, environment: Environment, after: int) -> Iterator[Workspace]:
    """Open a workspace in which so many steps are finished."""
    with open_workspace(root, settings=settings(environment, root, cache, _counted(after))) as opened:
        yield opened


def _counted(after: int) -> Callable[[str], None]:
    left = [after]

    def reached(point: str) -> None:
        left[0] -= point == "step-finished"
        if not left[0]:
            raise Interruption

    return reached
