"""In which order things may have happened: the steps of an operation, and the acts between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from stepdown_machine import operations as op
from stepdown_machine.protocol import Answer
from stepdown_machine.transition import Transition
from stepdown_machine.values import Pointed, Promoted, Ran

Event: TypeAlias = int | tuple[op.Plain, Answer]
"""So many steps, or an operation with its answer."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One order of things that may have happened.

    Attributes:
        recovered: Whether a recovered attempt whose outcome the trace knows counts for the breaker; the contract
            leaves that open.
    """

    events: tuple[Event, ...]
    recovered: bool = False


def explanations(transition: Transition) -> Iterator[Explanation]:
    """Yield every order that could explain an operation; most operations have one."""
    steps = len(transition.steps)
    match transition.operation:
        case op.Crash(operation=op.Run() | op.Resume()) | op.Rival(first=op.Crash()) | op.Rival(second=op.Crash()):
            yield Explanation((steps,))
            if any(
                attempt.provider == "local" for step in transition.steps if step.recovered for attempt in step.attempts
            ):
                yield Explanation((steps,), recovered=True)
        case op.Crash(operation=inner):
            # Whatever takes steps takes them before it changes anything else.
            yield Explanation((steps,))
            yield Explanation((steps, (inner, None)))
        case op.Rival():
            yield from (Explanation(events) for events in _orders(tuple(transition.answered()), transition))
        case _:
            answered = tuple(transition.answered())
            yield Explanation((*_evaluated(answered), steps, *answered))


def _evaluated(answered: tuple[tuple[op.Plain, Answer], ...]) -> tuple[Event, ...]:
    """Return what comes before the steps of a comparison: a bundle whose evaluation no longer counts is evaluated anew."""
    return tuple((operation, answer.now) for operation, answer in answered if isinstance(answer, Promoted))


HELD = {op.Promote: ("announced", Promoted), op.Rollback: ("rollback-checked", Pointed)}
"""Points at which who is held has looked at the slot and did not move it yet, and the answer of who got there."""


LOOKED = "looked"
ASKED_AGAIN = "asked-again"
"""The point at which somebody else is asked for the same step: who was asked first has failed, or nobody is served by it."""
"""The point at which a run has looked at the slot's bundle, and decided nothing of its first step yet."""


def _moments(steps: int, transition: Transition) -> Iterable[int]:
    """Return after how many of some steps an act can have fallen: before all of a run that was held undecided, or after all."""
    match transition.operation, transition.answer:
        case op.Rival(held=str(held)), (_, Ran(run=run), *_) if held == LOOKED:
            # It may have been over before the other began: not everybody has to look.
            return dict.fromkeys((steps - sum(step.run == run for step in transition.steps), steps))
    return range(steps + 1)


def came_second(transition: Transition) -> bool:
    """Tell whether the second of two acts was held before it moved the slot, until the first was done."""
    match transition.operation, transition.answer:
        case op.Rival(second=second, held=held), (_, theirs, *_) if type(second) in HELD:
            point, answer = HELD[type(second)]
            return held == point and isinstance(theirs, answer)
    return False


def _apart(answered: tuple[tuple[op.Plain, Answer], ...], transition: Transition) -> Iterator[tuple[Event, ...]]:
    """Yield what can have been before time passed: all of the first one, and of the second one nothing or all."""
    assert isinstance(transition.operation, op.Rival)
    (first, mine), (second, theirs) = answered[:2]
    passed: Event = (op.Advance(transition.operation.later), None)
    ran = theirs.run if isinstance(theirs, Ran) else ""
    count, before = len(transition.steps), sum(step.run != ran for step in transition.steps)
    acts = [
        [(each, answer)] if not isinstance(each, op.Run) else [] for each, answer in ((first, mine), (second, theirs))
    ]
    evaluated = _evaluated(answered)
    yield (*evaluated, before, *acts[0], passed, count - before, *acts[1])
    yield (*evaluated, count, *acts[0], *acts[1], passed)


def _taken(answered: tuple[op.Plain, Answer], transition: Transition) -> Event:
    """Return an act, or how many steps were taken where it is a run."""
    _, answer = answered
    return sum(step.run == answer.run for step in transition.steps) if isinstance(answer, Ran) else answered


def _orders(answered: tuple[tuple[op.Plain, Answer], ...], transition: Transition) -> Iterator[tuple[Event, ...]]:
    """Yield both orders of two acts, or every moment between the steps of a run at which an act can fall."""
    if isinstance(transition.operation, op.Rival) and transition.operation.later:
        yield from _apart(answered, transition)
        return
    steps = len(transition.steps)
    (mine, theirs), then = answered[:2], answered[2:]
    acts = [part for part in (mine, theirs) if not isinstance(part[0], op.Run)]
    evaluated = _evaluated(answered)
    moments = _moments(steps, transition)
    if then:
        # The second was held, or was over before the first began.
        second = [theirs] if theirs in acts else []
        while_held = [_taken(each, transition) for each in then]
        rest = steps - sum(each for each in while_held if isinstance(each, int))
        yield from ((*evaluated, at, mine, *while_held, rest - at, *second) for at in _moments(rest, transition))
        if second and not came_second(transition):
            yield (*evaluated, steps, *second, mine, *then)
        return
    match acts:
        case [one, two]:
            yield from ((*evaluated, at, one, steps - at, two) for at in moments)
            if not came_second(transition):
                yield from ((*evaluated, at, two, steps - at, one) for at in moments)
        case [one]:
            yield from ((*evaluated, at, one, steps - at) for at in moments)
        case _:
            yield (steps,)
