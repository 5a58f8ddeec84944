"""A part of I10: what is known is what coaches said, and a question is put with what was known when its generation began."""

from __future__ import annotations

from collections.abc import Iterator

from stepdown_machine import operations as op
from stepdown_machine.findings import Finding
from stepdown_machine.observed import Lesson, Step
from stepdown_machine.protocol import Teaching
from stepdown_machine.transition import Transition


def learned(transition: Transition) -> Iterator[Finding]:
    """Check new lessons, and with which ones questions were put; where the order of things is open, only their numbers."""
    before, seen = transition.before.lessons, transition.seen.lessons
    numbers = [lesson.version for lesson in seen]
    if numbers != list(range(1, len(seen) + 1)):
        yield Finding("I10", "lessons numbered from 1", f"{numbers}", "each is one more")
    teaching = transition.description.teaching
    asking = isinstance(transition.operation, op.Run | op.Ask | op.Resume | op.Promote)
    if teaching is None or not asking or not transition.orderly:
        return
    if isinstance(transition.operation, op.Promote) and transition.operation.resume is not None:
        return
    due, known = _due(transition, teaching)
    if seen[len(before) :] != tuple(due):
        yield Finding("I10", f"lessons {due}", f"{list(seen[len(before) :])}", "that is what the coach taught")
        return
    for step in transition.steps:
        if step.role in ("competitor", "coach") and step.knowledge != known[step.step]:
            did = f"{step.step} has {step.knowledge}"
            yield Finding("I10", f"asked with {known[step.step]} lessons", did, "so many were known")


def _due(transition: Transition, teaching: Teaching) -> tuple[list[Lesson], dict[str, int]]:
    """Return the lessons that a run's steps come to, and with how many each was to be asked."""
    texts = {0: teaching.first, **{lesson.version: lesson.text for lesson in transition.before.lessons}}
    gates = {(each.run, each.index): each for each in transition.generations}
    by_id = {step.step: step for step in transition.seen.steps}
    new: list[Lesson] = []
    put: dict[str, int] = {}
    begun: dict[tuple[str, int], int] = {}
    kept: Step | None = None
    if isinstance(transition.operation, op.Resume):
        before = [each for each in transition.before.generations if each.run == transition.operation.run and each.kept]
        kept = by_id[before[-1].kept[0]] if before else None

    def teach(text: str | None, step: str) -> None:
        newest = max(texts)
        if text is not None and text != texts[newest]:
            texts[newest + 1] = text
            new.append(Lesson(newest + 1, text, step))

    for said in _unheard(transition, teaching, frozenset(texts.values())):
        teach(teaching.read(said.text), said.step)
    for step in transition.steps:
        place = step.run, step.generation
        begun.setdefault(place, max(texts))
        if step.role != "coach":
            put[step.step] = begun[place]
            continue
        gate = gates.get(place)
        kept = by_id[gate.kept[0]] if gate is not None and gate.kept else kept
        if gate is not None and gate.gate == "rollback" and kept is not None:
            # What was learned since the best so far led astray: what was known then is known again.
            teach(texts[kept.knowledge], _best(transition, place))
        put[step.step] = max(texts)
        teach(teaching.read(step.text) if step.served is not None else None, step.step)
    return new, put


def _unheard(transition: Transition, teaching: Teaching, known: frozenset[str]) -> Iterator[Step]:
    """Yield what a coach had said of the last generation before the run was killed, when nobody had learned it yet.

    What was known by then, and had been forgotten since, may be learned again or not.
    """
    if not isinstance(transition.operation, op.Resume):
        return
    run, before = transition.operation.run, transition.before
    said = [step for step in before.steps if (step.run, step.role) == (run, "coach")]
    new = {lesson.step for lesson in transition.seen.lessons[len(before.lessons) :]}
    for step in said[-1:]:
        if step.served is not None and (teaching.read(step.text) not in known or step.step in new):
            yield step


def _best(transition: Transition, place: tuple[str, int]) -> str:
    """Return the best candidate of a generation, the first of several."""
    mine = [
        step
        for step in transition.seen.steps
        if (step.run, step.generation) == place and step.role == "competitor" and step.score is not None
    ]
    return max(mine, key=lambda step: step.score or 0.0).step
