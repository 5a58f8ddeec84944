"""The toy's routing rule and breaker: facts in, objections out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

OPEN, HALF_OPEN, CLOSED = "open", "half-open", "closed"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision rests on.

    Attributes:
        bundle: What was registered of the slot's bundle; `None` for an empty slot.
        breaker: Where the bundle's breaker stands.
        probing: Another step's probe is under way.
        base: What lies where the base does.
        wording: The text that is asked with; `decoding` is how bundles are decoded.
        knowledge: How many lessons the question is put with.
        seed: Of the step.
    """

    role: str
    policy: dict[str, Any]
    bundle: dict[str, Any] | None
    enabled: bool
    present: bool
    whole: bool
    now: float
    version: int
    coverage: float
    breaker: str
    probing: bool
    seed: int
    base: str
    wording: str
    decoding: str
    knowledge: int


def objections(facts: Facts) -> tuple[str, ...]:
    """Ask every gate and keep every objection, in the closed order."""
    policy, bundle = facts.policy, facts.bundle
    objecting = {
        "frontier-forced": policy["mode"] == "frontier-only",
        "role-not-eligible": facts.role not in policy["local_roles"] or facts.role in policy["local_never"],
        "bundle-absent": bundle is None or not facts.present,
        "coverage-weak": not facts.coverage >= policy["min_coverage"],
        "shadow-only": policy["shadow"],
        "canary-held": not draw(facts.seed) < policy["canary"],
    }
    if bundle is not None:
        objecting |= about(facts, policy, bundle)
    return tuple(reason for reason in ORDER if objecting.get(reason))


def draw(seed: int) -> float:
    """Return the place of a step in [0, 1): the canary serves those below its share."""
    return int(hashlib.sha256(f"canary {seed}".encode()).hexdigest()[:8], 16) / 2**32


def about(facts: Facts, policy: dict[str, Any], bundle: dict[str, Any]) -> dict[str, bool]:
    """Ask the gates that look at the bundle."""
    age = facts.now - bundle["trained_at"]
    counts = bundle["version"] == facts.version
    counts = counts and bundle["decoding"] == facts.decoding
    worded = bundle["wording"] == facts.wording
    counts = counts and worded
    return {
        "bundle-disabled": not facts.enabled,
        "bundle-integrity": facts.present and not facts.whole,
        "bundle-incompatible": facts.whole
        and ((bundle["scenario"], bundle["format"]) != ("grid_ctf", 1) or not worded),
        "bundle-stale": age < 0 or (policy["max_age"] is not None and not age <= policy["max_age"]),
        "quality-below-threshold": counts and not bundle["score"] >= policy["min_score"],
        "validity-below-threshold": counts and not bundle["valid"] >= policy["min_valid"],
        "local-cooldown": facts.breaker == OPEN or (facts.breaker == HALF_OPEN and facts.probing),
        "quality-inconclusive": not counts,
        "base-mismatch": facts.whole and bundle["base"] not in (None, facts.base),
        "quality-outdated": counts and lapsed(policy["max_lessons"], abs(facts.knowledge - bundle["knowledge"])),
    }


ORDER = (
    "frontier-forced",
    "role-not-eligible",
    "bundle-absent",
    "bundle-disabled",
    "bundle-integrity",
    "bundle-incompatible",
    "bundle-stale",
    "quality-below-threshold",
    "validity-below-threshold",
    "coverage-weak",
    "local-cooldown",
    "quality-inconclusive",
    "shadow-only",
    "canary-held",
    "base-mismatch",
    "quality-outdated",
)


def lapsed(most: float | None, away: int) -> bool:
    """Tell whether more lessons lie between than may."""
    return most is not None and away > most


@dataclass(frozen=True, slots=True)
class ToyBreaker:
    """What is remembered between two local attempts of a bundle; times in seconds."""

    opened: float | None = None
    failures: tuple[float, ...] = ()
    successes: int = 0

    def state(self, policy: dict[str, Any], now: float) -> str:
        """Return where it stands."""
        if self.opened is None:
            return CLOSED
        if now - self.opened < policy["breaker_cooldown"]:
            return OPEN
        return CLOSED if self.successes >= policy["breaker_probes"] else HALF_OPEN

    def after(self, policy: dict[str, Any], now: float, *, failed: bool) -> ToyBreaker:
        """Return the breaker after one more local attempt."""
        state = self.state(policy, now)
        if state == OPEN:
            return ToyBreaker(max(now, self.opened or now)) if failed else self
        if state == HALF_OPEN:
            return ToyBreaker(now) if failed else self.probed(policy)
        earlier = () if self.opened is not None else self.failures
        if not failed:
            return ToyBreaker(failures=earlier)
        recent = (*(at for at in earlier if at >= now - policy["breaker_window"]), now)
        return ToyBreaker(opened=now) if len(recent) >= policy["breaker_threshold"] else ToyBreaker(failures=recent)

    def probed(self, policy: dict[str, Any]) -> ToyBreaker:
        """Return the breaker after a good probe."""
        successes = self.successes + 1
        return ToyBreaker() if successes >= policy["breaker_probes"] else ToyBreaker(self.opened, (), successes)
