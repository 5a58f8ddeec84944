"""Which values a policy and a filter may have, said a second time, and the sentence that refuses any other."""

from __future__ import annotations

from math import inf

from stepdown_machine import operations as op
from stepdown_machine.values import Policy

RANGES: dict[str, tuple[int, float]] = {
    "min_score": (0, 1),
    "min_valid": (0, 1),
    "min_coverage": (0, 1),
    "canary": (0, 1),
    "max_age": (0, inf),
    "breaker_window": (0, inf),
    "breaker_cooldown": (0, inf),
    "run_tokens": (0, inf),
    "run_cost": (0, inf),
    "max_lessons": (0, inf),
    "breaker_threshold": (1, 1_000_000),
    "breaker_probes": (0, 1_000_000),
}
MOST = {name: int(RANGES[name][1]) for name in ("breaker_threshold", "breaker_probes")}


def out_of_range(of: Policy | op.Export) -> str:
    """Say what is wrong with a policy or a filter: the first value out of its range, what it must be, and what it is."""
    for name in RANGES if isinstance(of, Policy) else ("min_score",):
        low, high = RANGES[name]
        value = inf if (found := getattr(of, name)) is None else found
        if not low <= value <= high:
            kind = "a whole number" if name in MOST else "a number"
            limit = f"at least {low}" if high == inf else f"between {low} and {high}"
            return f"{name} must be {kind} {limit}, not {value!r}."
    return ""
