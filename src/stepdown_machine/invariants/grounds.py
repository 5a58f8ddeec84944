"""What stood against local at a step, and why, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stepdown_machine.model import Limits
from stepdown_machine.model.registered import Registered
from stepdown_machine.protocol import START
from stepdown_machine.transition import StepReview


def grounds(one: StepReview) -> str:
    """Say which gates object to local at a step and why, or that none does."""
    at = f"{one.now - START:g} s after the beginning"
    if not one.due.must:
        return f"{at} nothing stands against {one.bundle.bundle if one.bundle else 'nobody'}"
    return f"{at} this stands against local: {', '.join(_stated(one, reason) for reason in one.due.must)}"


def _stated(one: StepReview, reason: str) -> str:
    if reason in WHY:
        return f"{reason} ({WHY[reason](one)})"
    if one.bundle is not None and reason in OF_A_BUNDLE:
        return f"{reason} ({OF_A_BUNDLE[reason](one.bundle, one.limits)})"
    return reason


def _cooling(one: StepReview) -> str:
    opened = one.breaker.opened
    if opened is None:
        return "another process probes it at this moment"
    whose = f"the breaker of {one.bundle.bundle}" if one.bundle else "its breaker"
    return (
        f"{whose} opened {opened - START:g} s after the beginning, for {one.limits.breaker_cooldown:g} s from then on"
    )


WHY: Mapping[str, Callable[[StepReview], str]] = {
    "frontier-forced": lambda one: "a comparison" if one.step.purpose == "comparison" else f"mode {one.limits.mode}",
    "role-not-eligible": lambda one: f"the policy keeps a {one.step.role} from local",
    "bundle-absent": lambda one: f"{one.bundle.bundle} is gone" if one.bundle else "nothing is in the slot",
    "coverage-weak": lambda one: f"min_coverage is {one.limits.min_coverage:g}",
    "shadow-only": lambda _: "the policy lets it watch only",
    "canary-held": lambda one: f"seed {one.step.seed} is not in the canary's share of {one.limits.canary:g}",
    "local-cooldown": _cooling,
}
"""Why each gate objects, of those that can say it without a bundle."""

OF_A_BUNDLE: Mapping[str, Callable[[Registered, Limits], str]] = {
    "bundle-disabled": lambda each, _: f"{each.bundle} is switched off",
    "bundle-integrity": lambda each, _: f"the files of {each.bundle} are not what they were",
    "bundle-incompatible": lambda each, _: f"{each.bundle} was not made for what is asked now",
    "bundle-stale": lambda each, limits: (
        f"trained {each.trained_at - START:g} s after the beginning, max_age {limits.max_age}"
    ),
    "quality-below-threshold": lambda each, limits: f"score {each.score:g}, min_score {limits.min_score:g}",
    "validity-below-threshold": lambda each, limits: f"legal {each.valid:g}, min_valid {limits.min_valid:g}",
    "quality-inconclusive": lambda each, _: f"{each.bundle} was not measured as things are now",
    "quality-outdated": lambda each, limits: (
        f"measured with {each.knowledge} lessons, max_lessons {limits.max_lessons}"
    ),
    "base-mismatch": lambda each, _: f"the base of {each.bundle} is not there",
}
"""Why each gate objects to a bundle."""
