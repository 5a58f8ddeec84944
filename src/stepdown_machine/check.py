"""What is wrong with an adapter, in sentences about the adapter, before the machine runs and judges the system behind it.

    stepdown-machine check my_package.adapter:MyAdapter

It is asked for one short story through the operations that its description names, three times: twice to see whether the same
story gives the same, and once more to see whether anything is left open. What is wrong is said once, in the order in which
to mend it. The oracle has no part in this.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from stepdown_machine import operations as op
from stepdown_machine.adapter import AdapterError, load
from stepdown_machine.invariants.answers import SHAPES
from stepdown_machine.observed import Observation, Shelved
from stepdown_machine.protocol import EVERYTHING, Answer, Description, HandoffSystem
from stepdown_machine.typed import misfits
from stepdown_machine.values import Bundle, Dataset, Ran, Refusal

ROWS = ("steps", "calls", "generations", "acts")
"""What only grows."""
ENOUGH = 3
"""Faults of one kind that are said; the others mostly have the same cause."""
TIMES = 5
"""Adapters that are made and closed to see whether something stays open: fewer could be chance."""


class StoryError(Exception):
    """A story cannot go on; the message is a sentence about the adapter."""


def faults(path: str) -> list[str]:
    """Return what is wrong with the adapter that `module:name` names; nothing when the machine may run.

    Args:
        path: Where it is.
    """
    try:
        system = load(path)
    except AdapterError as error:
        return [str(error)]
    except Exception as error:
        return [f"The adapter {path!r} could not be made ({_told(error)}); a fresh one needs no argument."]
    try:
        sentences = _about(system)
        _given_back(system)
        if sentences:
            return sentences
        return [*_stories(lambda: load(path))]
    except StoryError as error:
        return [str(error)]


def _about(system: HandoffSystem) -> list[str]:
    """Say what is wrong with a description, and with the first look at a fresh system."""
    description = system.describe()
    sentences = [*_described(description)]
    if system.describe() != description:
        sentences.append("describe() gives something else each time; it must say the same for every example.")
    return [*sentences, *_typed(system.observe(), "observe()")]


def _described(description: Description) -> Iterator[str]:
    hints = {"operations": frozenset, "validators": tuple, "plans": tuple, "probes": tuple, "policies": frozenset}
    for name, kind in hints.items():
        if not isinstance(getattr(description, name), kind):
            yield f"describe().{name} is {type(getattr(description, name)).__name__}; it must be {kind.__name__}."
            return
    if strange := sorted(str(each) for each in description.operations - EVERYTHING):
        yield f"describe().operations names {', '.join(strange)}; stepdown_machine.operations has no such class."
    names = {each.__name__ for each in description.operations}
    for what, points in (("points", description.points), ("holds", description.holds)):
        if unknown := sorted(set(points) - names):
            yield f"describe().{what} names {', '.join(unknown)}, which describe().operations does not."
    if op.Train in description.operations and not description.plans:
        yield "describe().plans is empty, but Train is declared: name at least one training plan."
    if description.most.keys() - {"breaker_threshold", "breaker_probes"}:
        yield "describe().most may name breaker_threshold and breaker_probes, and nothing else."


def _typed(seen: object, where: str) -> list[str]:
    return [*misfits(seen, Observation, where)][:ENOUGH]


def _stories(fresh: Callable[[], HandoffSystem]) -> Iterator[str]:
    """Tell the story twice and compare; then tell it some times more and count what stays open."""
    one, two = _told_whole(fresh()), _told_whole(fresh())
    for name in (each.name for each in fields(Observation)):
        first, second = (getattr(seen, name) for seen in (one, two))
        if first != second:
            yield (
                f"The same story gives other {name} the second time ({_difference(first, second)}); ids, times and answers "
                "must follow from what was asked, or no failure can be repeated."
            )
            return
    gc.collect()
    before = _held()
    for _ in range(TIMES):
        _told_whole(fresh())
    gc.collect()
    for kind, count in _held().items():
        if count - before[kind] >= TIMES:
            yield f"close() leaves {(count - before[kind]) / TIMES:.0f} {kind} open each time; give every one of them back."


def _told_whole(system: HandoffSystem) -> Observation:
    """Tell the story to a fresh system, look at it after every operation, and close it."""
    try:
        return _told_to(system)
    finally:
        _given_back(system)


def _given_back(system: HandoffSystem) -> None:
    try:
        system.close()
    except Exception as error:
        raise StoryError(f"close() raised {_told(error)}; it must give everything back, whatever happened.") from error


def _told_to(system: HandoffSystem) -> Observation:
    performed, seen = system.describe().operations, system.observe()
    names: dict[str, str] = {}
    for make in STORY:
        operation = make(names, system.describe())
        if operation is None or type(operation) not in performed:
            continue
        answer = _asked(system, operation)
        names |= _named(answer)
        seen = _looked(system, operation, seen)
    return seen


def _asked(system: HandoffSystem, operation: op.Plain) -> Answer:
    try:
        answer = system.perform(operation)
    except Exception as error:
        sentence = f"perform({operation!r}) raised {_told(error)}; a refusal is returned as a Refusal."
        raise StoryError(sentence) from error
    wanted = SHAPES.get(type(operation), type(None))
    if isinstance(answer, Refusal):
        raise StoryError(
            f"perform({operation!r}) is refused ({answer.kind}), though nothing stands against it: see its docstring in "
            "stepdown_machine.operations for what it must do."
        )
    for sentence in misfits(answer, wanted, f"The answer to {operation!r}"):
        raise StoryError(sentence)
    return answer


def _looked(system: HandoffSystem, operation: op.Plain, before: Observation) -> Observation:
    """Look twice and thoroughly: types, what went away, and what is remembered but not there."""
    after = f"after perform({operation!r})"
    seen, again, anew = system.observe(), system.observe(), system.observe(thorough=True)
    for sentence in _typed(seen, f"observe() {after}"):
        raise StoryError(sentence)
    for name in ROWS:
        old, new = getattr(before, name), getattr(seen, name)
        if new[: len(old)] != old:
            raise StoryError(f"observe().{name} forgot or changed what it had said before, {after}; rows only grow.")
    for other, how in ((again, "again"), (_no_more(anew, seen), "with thorough=True")):
        for name in (each.name for each in fields(Observation)):
            if getattr(other, name) != getattr(seen, name):
                raise StoryError(f"observe() {how} gives other {name}, {after}; looking changes nothing.")
    if isinstance(operation, op.Run) and len(seen.steps) == len(before.steps):
        raise StoryError(f"observe().steps holds nothing new {after}; every request is a step, whoever served it.")
    return seen


def _no_more(other: Observation, seen: Observation) -> Observation:
    """Leave out what a thorough look says of the shelf beyond a quick one."""
    quick = {shelved.bundle: shelved for shelved in seen.shelf}
    told = tuple(fields(Shelved))

    def less(shelved: Shelved) -> Shelved:
        known = quick.get(shelved.bundle, shelved)
        silent: dict[str, Any] = {each.name: None for each in told if getattr(known, each.name) is None}
        return replace(shelved, **silent)

    return replace(other, shelf=tuple(map(less, other.shelf)))


def _named(answer: Answer) -> dict[str, str]:
    match answer:
        case Ran(run=run):
            return {"run": run}
        case Dataset(dataset=dataset):
            return {"dataset": dataset}
        case Bundle(bundle=bundle):
            return {"bundle": bundle}
    return {}


Telling = Callable[[dict[str, str], Description], "op.Plain | None"]


def _with(kind: str, make: Callable[[str], op.Plain]) -> Telling:
    return lambda names, _said: make(names[kind]) if kind in names else None


STORY: tuple[Telling, ...] = (
    lambda _names, description: op.Run(0, 1, max(2, description.min_records)),
    lambda _names, _said: op.Export(),
    lambda names, description: op.Train(names["dataset"], description.plans[0]) if "dataset" in names else None,
    _with("bundle", op.Activate),
    lambda _names, _said: op.Run(1),
    _with("bundle", op.Disable),
    lambda _names, _said: op.Run(2),
    _with("bundle", op.Enable),
    lambda _names, _said: op.Disturb(local="error"),
    lambda _names, _said: op.Run(3),
    lambda _names, _said: op.Disturb(),
    lambda _names, _said: op.Advance(1.0),
    lambda _names, _said: op.Reopen(),
    lambda _names, _said: op.Run(4),
    _with("run", op.Report),
    lambda _names, _said: op.Audit(),
)
"""From discovery to local, off and on again, a failure and back: whatever of it the description declares."""


def _held() -> dict[str, int]:
    """Count what a process holds."""
    folder = next((each for each in (Path("/proc/self/fd"), Path("/dev/fd")) if each.is_dir()), None)
    return {"files": len(list(folder.iterdir())) if folder else 0, "threads": threading.active_count()}


def _difference(one: Any, two: Any) -> str:
    if isinstance(one, tuple) and isinstance(two, tuple):
        for first, second in zip(one, two, strict=False):
            if first != second:
                return _difference(first, second)
    parts = (
        [each.name for each in fields(one)] if type(one) is type(two) and hasattr(one, "__dataclass_fields__") else []
    )
    for name in parts:
        if getattr(one, name) != getattr(two, name):
            return f"{name}: {getattr(one, name)!r}, then {getattr(two, name)!r}"
    return f"{one!r}, then {two!r}"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
