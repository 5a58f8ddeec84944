"""grid_ctf from its published figures: who judges a reply, and what a strategy scores on a seed."""

from json import loads
from math import isfinite
from random import Random
from typing import Any

KEYS = frozenset(("aggression", "defense", "path_bias"))
BUDGET = 1.4


def objectors(text: str) -> frozenset[str]:
    """Name the validators that object to a reply, each judging only what is its own.

    `json-object` wants a JSON object; the others are silent on anything else. `known-keys` wants exactly the three
    keys; `finite-numbers` wants numbers (no bool, no NaN) under those of the three that are there; `unit-range` wants
    such numbers in 0..1; `budget` wants aggression + defense <= 1.4 where both are such numbers.
    """
    strategy = _object(text)
    if strategy is None:
        return frozenset({"json-object"})
    numbers = {key: strategy[key] for key in KEYS & strategy.keys() if _is_number(strategy[key])}
    spent = numbers.get("aggression", 0.0) + numbers.get("defense", 0.0)
    verdicts = {
        "known-keys": strategy.keys() != KEYS,
        "finite-numbers": len(numbers) < len(KEYS & strategy.keys()),
        "unit-range": any(not 0.0 <= value <= 1.0 for value in numbers.values()),
        "budget": {"aggression", "defense"} <= numbers.keys() and spent > BUDGET,
    }
    return frozenset(name for name, objects in verdicts.items() if objects)


def score(text: str, seed: int) -> float:
    """Return what the referee gives a reply on a seed, 0..1 with four decimals; 0 when it is illegal."""
    if objectors(text):
        return 0.0
    strategy = loads(text)
    bold, guard, path = (float(strategy[key]) for key in ("aggression", "defense", "path_bias"))
    luck = Random(seed).uniform(-0.07, 0.07)
    capture = _clip(0.55 * bold + 0.45 * path + luck)
    survival = _clip(1.0 - 0.4 * bold + 0.4 * guard)
    efficiency = _clip(1.0 - 0.3 * bold + 0.1 * guard)
    return round(0.6 * capture + 0.25 * survival + 0.15 * efficiency, 4)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))
