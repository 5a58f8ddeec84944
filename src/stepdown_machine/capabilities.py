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
"""Reasons that a failure of local gives, and the weathers that bring it about."""

POLICIES = {
    "frontier-forced": "mode",
    "quality-below-threshold": "min_score",
    "validity-below-threshold": "min_valid",
    "shadow-only": "shadow",
    "canary-held": "canary",
}
"""Reasons that only a policy value of that name can give."""

SHOWN = {"I5": "weights", "I6": "holdings"}
"""Invariants about one thing that a system shows, or not."""

DONE = {
    "I8": (op.Export,),
    "I9": (op.Train, op.Damage, op.Retire, op.Delete, op.Prune, op.Plant),
    "I14": (op.Promote, op.Rollback, op.Prune),
}
"""Invariants about what comes of some operations."""


WORDS: dict[type, tuple[str, str]] = {
    op.Damage: ("damages", "how"),
    op.Plant: ("plants", "kind"),
    op.SetValidator: ("validators", "name"),
    op.SetBase: ("bases", "base"),
    op.Audit: ("falsifiable", "falsified"),
}
"""Operations that say one word, where a description lists what a system knows of that kind, and the word's name."""


def can(said: Description, what: type | str | op.Operation) -> bool:
    """Tell whether a system has something.

    Args:
        said: How it describes itself.
        what: A class of operations; an operation with all that it names; a reason; or the code of an invariant.
    """
    if isinstance(what, type):
        return what in said.operations
    if isinstance(what, str):
        return what in reasons(said) or what in claims(said)
    return {type(what), *map(type, op.parts(what))} <= said.operations and _named(said, what)


def shows(said: Description, what: str) -> bool:
    """Tell whether a system shows something of itself, beside who was asked and who served: one of `protocol.SHOWN`."""
    return what in said.shows


def fitted(said: Description, operation: op.Operation) -> op.Operation:
    """Leave what a system cannot be told out of a policy: there it keeps what it began with."""
    match operation:
        case op.SetPolicy(policy=policy):
            return op.SetPolicy(governed(said, policy))
        case op.Crash(operation=op.SetPolicy(policy=policy)):
            return replace(operation, operation=op.SetPolicy(governed(said, policy)))
        case op.Rival(first=first, second=second):
            pair = [op.SetPolicy(governed(said, each.policy)) if isinstance(each, op.SetPolicy) else each
                    for each in (first, second)]  # fmt: skip
            return replace(operation, first=pair[0], second=pair[1])
    return operation


def governed(said: Description, policy: Policy) -> Policy:
    """Return a policy with those values only that can be set; of the others nobody knows anything else than the start."""
    known = {each.name: getattr(policy, each.name) for each in fields(Policy) if each.name in said.policies}
    return replace(said.policy, **known)


def _named(said: Description, operation: op.Operation) -> bool:
    """Tell whether a system knows every word that an operation says."""
    if type(operation) in WORDS:
        kind, word = WORDS[type(operation)]
        return getattr(operation, word) in (None, *getattr(said, kind))
    match operation:
        case op.Train(plan=plan):
            return plan in (*said.plans, *said.tuned)
        case op.Disturb(local=local, frontier=frontier):
            return local in ("calm", *said.failures) and frontier in ("calm", *said.outages)
        case op.SetPolicy(policy=policy):
            return repr(policy) == repr(governed(said, policy))
        case op.Crash(operation=inner, point=point):
            return point in said.points.get(type(inner).__name__, ()) and _named(said, inner)
        case op.Rival(second=second, held=held):
            points = (None, *said.holds.get(type(second).__name__, ()))
            return held in points and all(_named(said, each) for each in op.parts(operation))
    return True


def reasons(said: Description) -> tuple[str, ...]:
    """Return the reasons that a system can be brought to state, in their order, its own ones last."""
    return _reasons(_Key(said))


def claims(said: Description) -> tuple[str, ...]:
    """Return the codes of the invariants that a system is held to, in their order."""
    return _claims(_Key(said))


class _Key:
    """A description by identity: it holds mappings, and is asked once."""

    __slots__ = ("said",)

    def __init__(self, said: Description) -> None:
        self.said = said

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.said is other.said

    def __hash__(self) -> int:
        return id(self.said)


@lru_cache(64)
def _reasons(key: _Key) -> tuple[str, ...]:
    said = key.said
    return (
        *(each for each in REASONS if each in said.knows and _due(said, each)),
        *(own.reason for own in said.grounds),
    )


def _due(said: Description, reason: str) -> bool:
    """Tell whether anything that a system can do leads to a reason."""

    def sets(*names: str) -> bool:
        return op.SetPolicy in said.operations and bool(said.policies & set(names))

    does = said.operations.__contains__
    if reason in POLICIES:
        return sets(POLICIES[reason])
    if reason in FAILURES:
        judged = reason != "local-invalid-output" or said.objectors is not None or said.refuses is not None
        return judged and does(op.Disturb) and bool({*FAILURES[reason]} & {*said.failures})
    ways = {
        "role-not-eligible": len(said.roles) > 1 or sets("local_roles", "local_never"),
        "bundle-absent": not said.given
        or does(op.Retire)
        or does(op.Delete)
        or (does(op.Damage) and "delete-directory" in said.damages),
        "bundle-disabled": does(op.Disable),
        "bundle-integrity": does(op.Damage) and bool({*said.damages} - {"delete-directory"}),
        "bundle-incompatible": does(op.Plant) and bool(said.plants),
        "bundle-stale": sets("max_age") and does(op.Advance),
        "coverage-weak": sets("min_coverage") and does(op.SetValidator) and bool(said.validators),
        "local-cooldown": does(op.Disturb) and bool(said.failures),
        "quality-inconclusive": does(op.Revise),
        "base-mismatch": bool(said.tuned) and len(said.bases) > 1 and does(op.SetBase),
    }
    return ways[reason]


@lru_cache(64)
def _claims(key: _Key) -> tuple[str, ...]:
    said = key.said
    codes = (*(f"I{number}" for number in range(1, 15)), "A0")
    return tuple(
        code
        for code in codes
        if SHOWN.get(code) in (None, *said.shows)
        and (code not in DONE or bool({*DONE[code]} & said.operations))
        and (code != "I7" or said.scores)
        and (code != "I13" or "shadow-only" in reasons(said))
    )
