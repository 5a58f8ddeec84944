"""What a system does not show is taken as the oracle has it, so that no invariant speaks of it; and its words become ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from stepdown_machine.capabilities import shows
from stepdown_machine.model import Known, Limits, Model, Objections
from stepdown_machine.observed import Call, Holding, Observation, Shelved, Step
from stepdown_machine.protocol import SHOWN, Description
from stepdown_machine.scene import Walk
from stepdown_machine.values import Policy


def heard(seen: Observation, said: Description) -> Observation:
    """Say an observation in the machine's words."""
    if not said.words:
        return seen
    words = tuple(sorted(said.words.items()))
    return replace(
        seen,
        steps=tuple(_step(each, words) for each in seen.steps),
        calls=tuple(_call(each, words) for each in seen.calls),
        holdings=tuple(replace(each, role=said.words.get(each.role, each.role)) for each in seen.holdings),
    )


@lru_cache(4096)
def _step(step: Step, words: tuple[tuple[str, str], ...]) -> Step:
    known = dict(words)
    named = {
        name: _said(known, getattr(step, name))
        for name in ("role", "requested", "reason", "served", "outcome", "error")
    }
    attempts = tuple(
        replace(each, provider=known.get(each.provider, each.provider), error=_said(known, each.error))
        for each in step.attempts
    )
    objections = tuple(known.get(each, each) for each in step.objections)
    return replace(step, **named, attempts=attempts, objections=objections)  # type: ignore[arg-type]


@lru_cache(4096)
def _call(call: Call, words: tuple[tuple[str, str], ...]) -> Call:
    known = dict(words)
    return replace(call, provider=known.get(call.provider, call.provider), error=_said(known, call.error))


def _said(known: dict[str, str], word: str | None) -> str | None:
    return None if word is None else known.get(word, word)


def settled(due: Objections, step: Step, said: Description) -> Objections:
    """Where a system states one reason and no other objection, put the one it states first, if it is due."""
    if shows(said, "objections") or step.reason not in due.must or not shows(said, "reason"):
        return due
    return replace(due, must=(step.reason, *(each for each in due.must if each != step.reason)))


def stated(
    step: Step, due: Objections, walk: Walk, now: float, calls: tuple[Call | None, ...], said: Description
) -> Step:
    """Fill in what a step does not say of itself."""
    if said.shows >= SHOWN:
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
    step = replace(step, **{names.get(k, k): v for k, v in filled.items() if not shows(said, k)})  # type: ignore[arg-type]
    if not shows(said, "errors"):
        # A call that never ended was interrupted, and the walk knows of no shadow.
        open_ = {each.call for each, call in zip(step.attempts, calls, strict=True) if call is None or not call.ended}
        shadows = {each.call for each in step.attempts if each.shadow}
        due_error |= {call.call: call.error for call in calls if call is not None and call.call in shadows}
        due_error |= dict.fromkeys(open_, "interrupted" if step.recovered else None)
        attempts = tuple(replace(each, error=due_error[each.call]) for each in step.attempts)
        step = replace(step, attempts=attempts, error=None if step.served else walk.error)
    if not shows(said, "weights"):
        traced = {call.call: call.weights for call in calls if call is not None}
        attempts = tuple(replace(each, weights=traced.get(each.call)) for each in step.attempts)
        step = replace(step, attempts=attempts)
    return step


def completed(seen: Observation, model: Model, said: Description, steps: Mapping[str, Step]) -> Observation:
    """Fill in what an observation leaves out.

    Args:
        seen: The observation.
        model: The world at that moment.
        said: What the system shows, and what not.
        steps: By id, the steps with what was due where they say nothing: see `stated`.
    """
    if said.shows >= SHOWN:
        return seen
    seen = replace(seen, steps=tuple(_remembered(step, steps.get(step.step, step), said) for step in seen.steps))
    filled = {
        "holdings": tuple(Holding("", role, bundle) for role, bundle in model.slots.items()),
        "shelf": tuple(_shelved(each) for each in model.bundles.values() if not each.deleted),
        "policy": _policy(model.limits),
        "validators": model.validators,
        "datasets": tuple(model.datasets.items()),
        "judgements": model.judgements,
        "checkpoints": (),
    }
    return replace(seen, **{name: value for name, value in filled.items() if not shows(said, name)})  # type: ignore[arg-type]


HIDDEN = {"requested": "requested", "objections": "objections", "reason": "reason", "times": "at", "errors": "error"}
"""What a step may not say of itself, and the attribute that it stands in."""


def _remembered(step: Step, due: Step, said: Description) -> Step:
    """Say what a step does not say as it was due when it happened; what it does say stays its own."""
    step = replace(step, **{name: getattr(due, name) for what, name in HIDDEN.items() if not shows(said, what)})
    hidden = {what: name for what, name in (("errors", "error"), ("weights", "weights")) if not shows(said, what)}
    if not hidden or len(step.attempts) != len(due.attempts):
        return step
    pairs = zip(step.attempts, due.attempts, strict=True)
    return replace(
        step,
        attempts=tuple(
            replace(one, **{name: getattr(other, name) for name in hidden.values()}) for one, other in pairs
        ),
    )


def _shelved(known: Known) -> Shelved:
    return Shelved(known.bundle, known.files != "gone", known.files == "whole", known.weights)


def _policy(limits: Limits) -> Policy:
    return Policy(**{name: getattr(limits, name) for name in Policy.__dataclass_fields__})
