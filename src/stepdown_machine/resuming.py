"""Runs that go on: when one may, what it then holds, and that equal runs ask alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from stepdown_machine import operations as op
from stepdown_machine.model import LegalAnswers, Model
from stepdown_machine.model.legal_answers import refused
from stepdown_machine.observed import Observation, Step
from stepdown_machine.transition import Begun, Memory, Transition
from stepdown_machine.values import Ran

Place = tuple[int, int, int]
"""A run's seed, a generation, and a place in it."""


def over_budget(step: Step) -> bool:
    """Tell whether a candidate was refused because its run had spent what it may."""
    return step.role == "competitor" and step.error == "frontier-over-budget"


def resuming(run: str, rows: Observation, model: Model, memory: Memory) -> LegalAnswers:
    """Judge going on with a run: only one that is not done, and only as things were when it began."""
    steps, begun = [step for step in rows.steps if step.run == run], memory.plans.get(run)
    if not steps:
        return refused("unknown-run", because=f"history has no run {run}")
    if any(step.purpose != "work" for step in steps):
        return refused("run-of-another-kind", because=f"{run} is no run of generations")
    if begun is None:
        return LegalAnswers(True, frozenset({"run-done", "stale"}), "nobody knows what it was to be")
    stale = ["stale"] if (begun.version, begun.text) != (model.version, model.text) else []
    done = memory.ended.get(run) is False
    if done and any(step.served for step in steps if step.role == "competitor"):
        return refused("run-done", *stale, because=f"{run} came to its end")
    # One in which nobody served may be called done, or be gone on with: nothing is left to do either way.
    whole = done or len(steps) >= begun.asked.generations * (begun.asked.candidates + 1)
    over = ["run-done"] if whole else []
    if stale:
        return refused(*stale, *over, because="version or text is another by now")
    return LegalAnswers(True, frozenset(over))


def gone_on_with(operation: op.Plain, transition: Transition, due: LegalAnswers) -> LegalAnswers:
    """Judge an operation that goes on with a run that another process goes on with: whoever asks somebody is held there."""
    match transition.operation, transition.answer:
        case op.Rival(first=op.Resume() as first, second=second, held="announced"), (_, Ran(), *_):
            steps = [step for step in transition.steps if step.run == first.run]
            if operation is not first or first != second or not steps:
                return due
            kinds, because = ("run-under-way", "run-done", *due.kinds), "another process goes on with it"
            if any(step.attempts for step in steps):
                return refused(*kinds, because=because)
            # Nobody could be asked, and so nobody was held: it was over, or stopped once more, before the other one came.
            return replace(due, kinds=frozenset(kinds))
    return due


def again(due: LegalAnswers, run: str | None, rows: Observation, memory: Memory) -> LegalAnswers:
    """Judge a promotion that goes on with a comparison: only one without a verdict; of two grounds either may be named."""
    steps = [step for step in rows.steps if step.run == run]
    if run is None:
        return due
    if steps and steps[0].purpose == "comparison" and run not in memory.compared:
        # It may be of another version or text by now, or have come to its verdict before it was killed.
        return replace(due, kinds=due.kinds | {"stale", "run-done"})
    if run in memory.compared and steps:
        return LegalAnswers(False, due.kinds | {"run-done"}, f"{run} has come to its verdict before")
    kind = "run-of-another-kind" if steps else "unknown-run"
    return LegalAnswers(False, due.kinds | {kind}, f"{run} is no comparison")


def learned(transition: Transition, model: Model) -> Iterator[tuple[str, Begun]]:
    """Yield the runs that an operation began, a killed one's too, with what was asked for."""
    asked = [(operation, answer.run) for operation, answer in transition.answered() if isinstance(answer, Ran)]
    killed = op.parts(transition.operation)
    match transition.operation:
        case op.Crash():
            asked = [(killed[0], step.run) for step in transition.steps]
        case op.Rival(first=op.Crash()) | op.Rival(second=op.Crash()):
            # The steps of whoever was not answered are the dead one's.
            dead = killed[0] if isinstance(transition.operation.first, op.Crash) else killed[1]
            living = {run for _, run in asked}
            asked += [(dead, step.run) for step in transition.steps if step.run not in living]
    yield from (
        (run, Begun(operation, model.version, model.text)) for operation, run in asked if isinstance(operation, op.Run)
    )


def seeds(rows: Observation, plans: Mapping[str, Begun]) -> Iterator[tuple[Place, int]]:
    """Yield the seed of each step of these runs by its place."""
    places: dict[tuple[str, int], int] = defaultdict(int)
    for step in rows.steps:
        if step.run in plans:
            place = places[step.run, step.generation]
            places[step.run, step.generation] += 1
            yield (plans[step.run].asked.seed, step.generation, place), step.seed
