"""What a system can do, asked in one place: operations, reasons, what it shows, invariants; all follow from its description.

Nobody else looks into a description to decide whether something happens. What is not declared is not performed, not
owed, not checked and not counted.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache

from stepdown_machine import operations as op
from stepdown_machine.model import REASONS
from stepdown_machine.protocol import Description
from stepdown_machine.values import Policy

FAILURES = {
    "local-load-failed": ("load-failed",),
    "local-error": ("error",),
    "local-timeout": ("timeout",),
    "local-invalid-output": ("garbage", "illegal"),
}
"""Reasons that a failure of local gives, and the behaviour of its provider that brings it about."""

POLICIES = {
    "frontier-forced": "mode",
    "quality-below-threshold": "min_score",
    "validity-below-threshold": "min_valid",
    "shadow-only": "shadow",
    "canary-held": "canary",
    "quality-outdated": "max_lessons",
}
"""Reasons that only a policy value of that name can give."""

SHOWN = {"I5": "weights", "I6": "holdings"}
"""Invariants about one thing that a system shows, or not."""

DONE = {
    "I8": (op.Export,),
    "I9": (op.Train, op.Evaluate, op.Damage, op.Retire, op.Delete, op.Prune, op.Plant),
    "I14": (op.Promote, op.Rollback, op.Prune),
}
"""Invariants about what comes of some operations."""


WORDS: dict[type, tuple[str, str]] = {
    op.Damage: ("damages", "how"),
    op.Plant: ("plants", "kind"),
    op.SetValidator: ("validators", "name"),
    op.SetBase: ("bases", "base"),
    op.Reword: ("texts", "text"),
    op.Redecode: ("decodings", "how"),
    op.Audit: ("falsifiable", "falsified"),
}
"""Operations that say one word, where a description lists what a system knows of that kind, and the word's name."""


def can(description: Description, what: type | str | op.Operation) -> bool:
    """Tell whether a system has something.

    Args:
        description: How it describes itself.
        what: A class of operations; an operation with all that it names; a reason; or the code of an invariant.
    """
    if isinstance(what, type):
        return what in description.operations
    if isinstance(what, str):
        return what in reasons_of(description) or what in claims(description)
    acting = (what, *op.parts(what), *((what.first, what.second) if isinstance(what, op.Rival) else ()))
    return set(map(type, acting)) <= description.operations and _named(description, what)


def shows(description: Description, what: str) -> bool:
    """Tell whether a system shows something of itself, beside who was asked and who served: one of `protocol.SHOWN`."""
    return what in description.shows


def fitted(description: Description, operation: op.Operation) -> op.Operation:
    """Leave what a system cannot be told out of a policy: there it keeps what it began with."""
    match operation:
        case op.SetPolicy(policy=policy):
            return op.SetPolicy(governed(description, policy))
        case op.Crash(operation=op.SetPolicy(policy=policy)):
            return replace(operation, operation=op.SetPolicy(governed(description, policy)))
        case op.Rival(first=first, second=second, then=then):
            one, two, *more = (fitted(description, each) for each in (first, second, *then))
            return replace(operation, first=one, second=two, then=tuple(more))  # type: ignore[arg-type]
    return operation


def governed(description: Description, policy: Policy) -> Policy:
    """Return a policy with those values only that can be set; of the others nobody knows anything else than the start."""
    settable = {each.name: getattr(policy, each.name) for each in fields(Policy) if each.name in description.policies}
    if description.teaching is None:
        settable.pop("max_lessons", None)
    return replace(description.policy, **settable)


def _named(description: Description, operation: op.Operation) -> bool:
    """Tell whether a system knows every word that an operation says."""
    if type(operation) in WORDS:
        kind, word = WORDS[type(operation)]
        return getattr(operation, word) in (None, *getattr(description, kind))
    match operation:
        case op.Activate(proven=True):
            # Who promotes nobody has no proof to ask for.
            return op.Promote in description.operations
        case op.Prune(ahead=True):
            return description.foresees
        case op.Ask(more=more):
            return len(more) < description.questions
        case op.Train(plan=plan):
            return plan in (*description.plans, *description.tuned)
        case op.Disturb(local=local, frontier=frontier):
            return local in ("calm", *description.failures) and frontier in ("calm", *description.outages)
        case op.SetPolicy(policy=policy):
            return repr(policy) == repr(governed(description, policy))
        case op.Crash(operation=inner, point=point):
            return point in description.points.get(type(inner).__name__, ()) and _named(description, inner)
        case op.Rival(second=second, held=held):
            points = (None, *description.holds.get(type(second).__name__, ()))
            crashes = [each for each in (operation.first, second) if isinstance(each, op.Crash)]
            return held in points and all(_named(description, each) for each in (*op.parts(operation), *crashes))
    return True


def reasons_of(description: Description) -> tuple[str, ...]:
    """Return the reasons that a system can be brought to state, in their order, its own ones last."""
    return _reasons(_Key(description))


def claims(description: Description) -> tuple[str, ...]:
    """Return the codes of the invariants that a system is held to, in their order."""
    return _claims(_Key(description))


class _Key:
    """A description by identity: it holds mappings, and is asked once."""

    __slots__ = ("description",)

    def __init__(self, description: Description) -> None:
        self.description = description

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.description is other.description

    def __hash__(self) -> int:
        return id(self.description)


@lru_cache(64)
def _reasons(key: _Key) -> tuple[str, ...]:
    description = key.description
    return (
        *(each for each in REASONS if each in description.knows and _due(description, each)),
        *(own.reason for own in description.grounds),
    )


def _due(description: Description, reason: str) -> bool:
    """Tell whether anything that a system can do leads to a reason."""

    def sets(*names: str) -> bool:
        return op.SetPolicy in description.operations and bool(description.policies & set(names))

    does = description.operations.__contains__
    if reason in POLICIES:
        return sets(POLICIES[reason]) and (reason != "quality-outdated" or description.teaching is not None)
    if reason in FAILURES:
        recognisable = (
            reason != "local-invalid-output" or description.objectors is not None or description.refuses is not None
        )
        return recognisable and does(op.Disturb) and bool({*FAILURES[reason]} & {*description.failures})
    ways = {
        "role-not-eligible": len(description.roles) > 1 or sets("local_roles", "local_never"),
        "bundle-absent": not description.given
        or does(op.Retire)
        or does(op.Delete)
        or (does(op.Damage) and "delete-directory" in description.damages),
        "bundle-disabled": does(op.Disable),
        "bundle-integrity": does(op.Damage) and bool({*description.damages} - {"delete-directory"}),
        "bundle-incompatible": (does(op.Plant) and bool(description.plants))
        or (does(op.Reword) and len(description.texts) > 1),
        "bundle-stale": sets("max_age") and does(op.Advance),
        "coverage-weak": sets("min_coverage") and does(op.SetValidator) and bool(description.validators),
        "local-cooldown": does(op.Disturb) and bool(description.failures),
        "quality-inconclusive": does(op.Revise) or (does(op.Redecode) and len(description.decodings) > 1),
        "base-mismatch": bool(description.tuned) and len(description.bases) > 1 and does(op.SetBase),
    }
    return ways[reason]


@lru_cache(64)
def _claims(key: _Key) -> tuple[str, ...]:
    description = key.description
    codes = (*(f"I{number}" for number in range(1, 15)), "A0")
    return tuple(
        code
        for code in codes
        if SHOWN.get(code) in (None, *description.shows)
        and (code not in DONE or bool({*DONE[code]} & description.operations))
        and (code != "I7" or description.scores or bool(description.strange))
        and (code != "I13" or "shadow-only" in reasons_of(description))
    )
