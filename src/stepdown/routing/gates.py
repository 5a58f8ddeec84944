"""The gates: each looks at the facts and objects, or does not.

Numbers at the limit pass. A comparison is written so that NaN and None object: `not value >= limit`, never `value < limit`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from stepdown.routing.breaker import State
from stepdown.routing.facts import Facts
from stepdown.routing.policy import Mode
from stepdown.routing.reasons import Reason


def mode(facts: Facts) -> Reason | None:
    """Object when the policy forces the frontier."""
    return Reason.FRONTIER_FORCED if facts.mode is Mode.FRONTIER_ONLY else None


def role(facts: Facts) -> Reason | None:
    """Object when the policy does not let a bundle serve this role."""
    return None if facts.role in facts.local_roles else Reason.ROLE_NOT_ELIGIBLE


def presence(facts: Facts) -> Reason | None:
    """Object when the slot holds no bundle, or its directory is gone."""
    return None if facts.bundle is not None and facts.present else Reason.BUNDLE_ABSENT


def switch(facts: Facts) -> Reason | None:
    """Object when the slot's bundle was switched off, even if its directory is gone as well."""
    return Reason.BUNDLE_DISABLED if facts.bundle is not None and not facts.enabled else None


def integrity(facts: Facts) -> Reason | None:
    """Object when the bundle's files are not the ones it was registered with."""
    return Reason.BUNDLE_INTEGRITY if facts.present and not facts.whole else None


def compatibility(facts: Facts) -> Reason | None:
    """Object when the bundle was made for something else; a broken manifest says nothing about that."""
    return Reason.BUNDLE_INCOMPATIBLE if facts.present and facts.whole and not facts.compatible else None


def age(facts: Facts) -> Reason | None:
    """Object when the bundle is older than allowed (seconds, inclusive), or younger than it can be: a clock stands wrong."""
    fresh = at_least(facts.age, 0) and at_most(facts.age, facts.max_age)
    return Reason.BUNDLE_STALE if facts.bundle is not None and not fresh else None


def quality(facts: Facts) -> Reason | None:
    """Object when the held-out score is too low (lower 95 % bound, 0..1, inclusive)."""
    return Reason.QUALITY_BELOW_THRESHOLD if facts.evaluated and not at_least(facts.score, facts.min_score) else None


def validity(facts: Facts) -> Reason | None:
    """Object when too few held-out replies were legal (share, 0..1, inclusive)."""
    return Reason.VALIDITY_BELOW_THRESHOLD if facts.evaluated and not at_least(facts.valid, facts.min_valid) else None


def coverage(facts: Facts) -> Reason | None:
    """Object when the harness judges too few probes as the referee does (share, 0..1, inclusive)."""
    return None if at_least(facts.coverage, facts.min_coverage) else Reason.COVERAGE_WEAK


def cooldown(facts: Facts) -> Reason | None:
    """Object while the breaker is open, or half-open with another step's probe under way."""
    open_ = facts.breaker is State.OPEN or (facts.breaker is State.HALF_OPEN and facts.probing)
    return Reason.LOCAL_COOLDOWN if open_ else None


def evidence(facts: Facts) -> Reason | None:
    """Object when no evaluation counts for the bundle as things are now."""
    return Reason.QUALITY_INCONCLUSIVE if facts.bundle is not None and not facts.evaluated else None


def shadow(facts: Facts) -> Reason | None:
    """Object when the policy wants local judged, not served."""
    return Reason.SHADOW_ONLY if facts.shadow else None


def canary(facts: Facts) -> Reason | None:
    """Object when the step's draw falls outside the share given to local; a share of 1 holds nothing back."""
    return None if facts.draw < facts.canary else Reason.CANARY_HELD


def base(facts: Facts) -> Reason | None:
    """Object when the base that the bundle answers with is gone, or is another one than it was tuned from."""
    return None if facts.based else Reason.BASE_MISMATCH


def lessons(facts: Facts) -> Reason | None:
    """Object when more lessons lie between the prompt and the evaluation than allowed (inclusive); without end is no limit."""
    lapsed = facts.evaluated and facts.max_lessons != math.inf and not at_most(facts.lessons, facts.max_lessons)
    return Reason.QUALITY_OUTDATED if lapsed else None


def at_least(value: float | None, limit: float) -> bool:
    """Tell whether a known number reaches the limit; None and NaN do not."""
    return value is not None and value >= limit


def at_most(value: float | None, limit: float) -> bool:
    """Tell whether a known number keeps within the limit; None and NaN do not."""
    return value is not None and value <= limit


@dataclass(frozen=True, slots=True)
class Gate:
    """One question to the facts.

    Attributes:
        ask: Returns the gate's objection, or None.
        reads: The facts that it looks at, and no others.
    """

    ask: Callable[[Facts], Reason | None]
    reads: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the gate is called."""
        return self.ask.__name__


GATES = (
    Gate(mode, ("mode",)),
    Gate(role, ("role", "local_roles")),
    Gate(presence, ("bundle", "present")),
    Gate(switch, ("bundle", "enabled")),
    Gate(integrity, ("present", "whole")),
    Gate(compatibility, ("present", "whole", "compatible")),
    Gate(age, ("bundle", "age", "max_age")),
    Gate(quality, ("evaluated", "score", "min_score")),
    Gate(validity, ("evaluated", "valid", "min_valid")),
    Gate(coverage, ("coverage", "min_coverage")),
    Gate(cooldown, ("breaker", "probing")),
    Gate(evidence, ("bundle", "evaluated")),
    Gate(shadow, ("shadow",)),
    Gate(canary, ("draw", "canary")),
    Gate(base, ("based",)),
    Gate(lessons, ("evaluated", "lessons", "max_lessons")),
)
"""Every gate, in the order of `Reason`."""
