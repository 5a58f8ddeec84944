"""What a system does not show is taken as the oracle has it, so that no invariant speaks of it; and its words become ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from stepdown_machine.capabilities import shows
from stepdown_machine.model import Limits, Model, Objections, Registered
from stepdown_machine.observed import Call, Holding, Observation, Shelved, Step
from stepdown_machine.protocol import SHOWN, Description
from stepdown_machine.transition import Walk
from stepdown_machine.values import Policy


def heard(seen: Observation, description: Description) -> Observation:
    """Say an observation in the machine's words."""
    if not description.words:
        return seen
    words = tuple(sorted(description.words.items()))
    return replace(
        seen,
        steps=tuple(_step(each, words) for each in seen.steps),
        calls=tuple(_call(each, words) for each in seen.calls),
        holdings=tuple(replace(each, role=description.words.get(each.role, each.role)) for each in seen.holdings),
    )


@lru_cache(4096)
def _step(step: Step, words: tuple[tuple[str, str], ...]) -> Step:
    meaning = dict(words)
    named = {
        name: _said(meaning, getattr(step, name))
        for name in ("role", "requested", "reason", "served", "outcome", "error")
    }
    attempts = tuple(
        replace(each, provider=meaning.get(each.provider, each.provider), error=_said(meaning, each.error))
        for each in step.attempts
    )
    objections = tuple(meaning.get(each, each) for each in step.objections)
    return replace(step, **named, attempts=attempts, objections=objections)  # type: ignore[arg-type]


@lru_cache(4096)
def _call(call: Call, words: tuple[tuple[str, str], ...]) -> Call:
    meaning = dict(words)
    return replace(call, provider=meaning.get(call.provider, call.provider), error=_said(meaning, call.error))


def _said(meaning: dict[str, str], word: str | None) -> str | None:
    return None if word is None else meaning.get(word, word)


def settled(due: Objections, step: Step, description: Description) -> Objections:
    """Where a system states one reason and no other objection, put the one it states first, if it is due."""
    if shows(description, "objections") or not shows(description, "reason"):
        return due
    if step.reason in due.may and step.reason not in due.must:
        # Nobody knew whether it objects, and it says so.
        due = due.also(step.reason)
    if step.reason not in due.must:
        return due
    return replace(due, must=(step.reason, *(each for each in due.must if each != step.reason)))


def stated(
    step: Step, due: Objections, walk: Walk, now: float, calls: tuple[Call | None, ...], description: Description
) -> Step:
    """Fill in what a step does not say of itself."""
    if description.shows >= SHOWN:
        return step
    errors = dict(zip(walk.providers, walk.errors, strict=True))
    due_error = {each.call: errors.get(each.provider) for each in step.attempts}
    filled: dict[str, object] = {
        "requested": "frontier" if due.must else "local",
        "objections": due.must,
        "reason": walk.reason if step.served != "local" or walk.served == "local" else None,
        "times": now,
    }
    names = {"times": "at"}
    step = replace(step, **{names.get(k, k): v for k, v in filled.items() if not shows(description, k)})  # type: ignore[arg-type]
    if not shows(description, "errors"):
        # A call that never ended was interrupted, and the walk knows of no shadow.
        open_ = {each.call for each, call in zip(step.attempts, calls, strict=True) if call is None or not call.ended}
        shadows = {each.call for each in step.attempts if each.shadow}
        due_error |= {call.call: call.error for call in calls if call is not None and call.call in shadows}
        due_error |= dict.fromkeys(open_, "interrupted" if step.recovered else None)
        attempts = tuple(replace(each, error=due_error[each.call]) for each in step.attempts)
        step = replace(step, attempts=attempts, error=None if step.served else walk.error)
    if not shows(description, "weights"):
        traced = {call.call: call.weights for call in calls if call is not None}
        attempts = tuple(replace(each, weights=traced.get(each.call)) for each in step.attempts)
        step = replace(step, attempts=attempts)
    return step


def completed(seen: Observation, model: Model, description: Description, steps: Mapping[str, Step]) -> Observation:
    """Fill in what an observation leaves out.

    Args:
        seen: The observation.
        model: The world at that moment.
        description: What the system shows, and what not.
        steps: By id, the steps with what was due where they say nothing: see `stated`.
    """
    if description.shows >= SHOWN:
        return seen
    seen = replace(seen, steps=tuple(_remembered(step, steps.get(step.step, step), description) for step in seen.steps))
    filled = {
        "holdings": tuple(Holding("", role, bundle) for role, bundle in model.slots.items()),
        "shelf": tuple(_shelved(each) for each in model.bundles.values() if not each.deleted),
        "policy": _policy(model.limits),
        "validators": model.validators,
        "datasets": tuple(model.datasets.items()),
        "judgements": model.judgements,
        "checkpoints": (),
    }
    return replace(seen, **{name: value for name, value in filled.items() if not shows(description, name)})  # type: ignore[arg-type]


HIDDEN = {"requested": "requested", "objections": "objections", "reason": "reason", "times": "at", "errors": "error"}
"""What a step may not say of itself, and the attribute that it stands in."""


def _remembered(step: Step, due: Step, description: Description) -> Step:
    """Say what a step does not say as it was due when it happened; what it does say stays its own."""
    hidden = {name: getattr(due, name) for what, name in HIDDEN.items() if not shows(description, what)}
    step = replace(step, **hidden)
    pairs = (("errors", "error"), ("weights", "weights"))
    names = [name for what, name in pairs if not shows(description, what)]
    if not names or len(step.attempts) != len(due.attempts):
        return step
    attempts = (
        replace(one, **{name: getattr(other, name) for name in names})
        for one, other in zip(step.attempts, due.attempts, strict=True)
    )
    return replace(step, attempts=tuple(attempts))


def _shelved(registered: Registered) -> Shelved:
    return Shelved(registered.bundle, registered.files != "gone", registered.files == "whole", registered.weights)


def _policy(limits: Limits) -> Policy:
    return Policy(**{name: getattr(limits, name) for name in Policy.__dataclass_fields__})
