"""The routing rule: which objections there are to asking local, and what a step must then look like."""

from dataclasses import dataclass

from stepdown_machine.model.breaker import Breaker
from stepdown_machine.model.registered import DAMAGED, GONE, WHOLE, Registered
from stepdown_machine.model.registry import Model

REASONS = (
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
    "local-load-failed",
    "local-error",
    "local-timeout",
    "local-invalid-output",
    "quality-inconclusive",
    "shadow-only",
    "canary-held",
    "base-mismatch",
    "quality-outdated",
)
"""Why local did not serve; the first that applies is the reason. Closed and append-only."""

UNREADABLE = frozenset({*REASONS[5:9], "local-cooldown", "quality-inconclusive", "base-mismatch", "quality-outdated"})
"""What may or may not be objected to a bundle whose own word about itself cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Objections:
    """What a decision must object, and what it may object besides; in the order of `REASONS`."""

    must: tuple[str, ...]
    may: frozenset[str] = frozenset()
    order: tuple[str, ...] = REASONS

    def also(self, reason: str) -> "Objections":
        """Return these with one more that must be."""
        return Objections(_ordered({*self.must, reason}, self.order), self.may, self.order)

    def allow(self, stated: tuple[str, ...]) -> bool:
        """Tell whether a list of objections is legal: all that must be, none that may not, in order."""
        ordered = all(reason in self.order for reason in stated) and list(stated) == sorted(
            set(stated), key=self.order.index
        )
        return ordered and set(self.must) <= set(stated) <= set(self.must) | self.may


def objections(model: Model, role: str, seed: int | None = None, knowledge: int | None = None) -> Objections:
    """Ask every gate that the system has about serving this role locally, now.

    Args:
        model: The world.
        role: Who is asked.
        seed: Of the step; without one nobody knows what the canary draws.
        knowledge: How many lessons the question is put with; by default all that are known now.
    """
    due = _asked(model, role, seed, model.known if knowledge is None else knowledge)
    order = (*REASONS, *(own.reason for own in model.grounds))
    own = {own.reason for own in model.grounds if own.due(model, role)}
    return Objections(_ordered(set(due.must) - model.lacks | own, order), due.may - model.lacks, order)


def _asked(model: Model, role: str, seed: int | None, knowledge: int) -> Objections:
    registered = model.serving(role)
    due = set(_about_policy(model, role))
    held = model.held_by_canary(seed)
    due |= {"canary-held"} if held else set()
    unsure = frozenset({"canary-held"}) if held is None else frozenset[str]()
    if registered is None:
        return Objections(_ordered(due | {"bundle-absent"}), unsure)
    due |= set(_about_standing(model, registered)) | set(_about_worth(model, registered, knowledge))
    due |= set() if model.based(registered) else {"base-mismatch"}
    if registered.files == WHOLE and registered.belongs:
        return Objections(_ordered(due), unsure)
    return Objections(_ordered(due - UNREADABLE | _sure(registered)), UNREADABLE | unsure)


def _sure(registered: Registered) -> set[str]:
    """Of a bundle that is whole but does not belong, that much is sure."""
    return {"bundle-incompatible"} if registered.files == WHOLE else set()


def _about_policy(model: Model, role: str) -> list[str]:
    limits = model.limits
    return (
        ["frontier-forced"] * (limits.mode == "frontier-only")
        + ["role-not-eligible"] * (not limits.local_allowed(role))
        + ["coverage-weak"] * (not model.coverage() >= limits.min_coverage)
        + ["shadow-only"] * limits.shadow
    )


def _about_standing(model: Model, registered: Registered) -> list[str]:
    return (
        ["bundle-absent"] * (registered.files == GONE)
        + ["bundle-disabled"] * (not registered.enabled)
        + ["bundle-integrity"] * (registered.files == DAMAGED)
        + ["bundle-incompatible"] * (not model.fits(registered))
    )


def _about_worth(model: Model, registered: Registered, knowledge: int) -> list[str]:
    limits = model.limits
    age = model.now - registered.trained_at
    # Before it was trained, a clock stands wrong, and nobody knows how old it is.
    stale = age < 0 or (limits.max_age is not None and age > limits.max_age)
    cooling = model.breakers.get(registered.bundle, Breaker()).cooling(limits, model.now)
    due = ["bundle-stale"] * stale + ["local-cooldown"] * cooling
    if not model.counts(registered):
        return [*due, "quality-inconclusive"]
    # `not >=` rather than `<`: NaN must never pass.
    due += ["quality-below-threshold"] * (not registered.score >= limits.min_score)
    due += ["quality-outdated"] * model.lapsed(registered, knowledge)
    return due + ["validity-below-threshold"] * (not registered.valid >= limits.min_valid)


def _ordered(reasons: set[str], order: tuple[str, ...] = REASONS) -> tuple[str, ...]:
    return tuple(sorted(reasons, key=order.index))
