"""grid_ctf from its published figures: who judges a reply, and what a strategy scores on a seed."""

from functools import lru_cache
from json import loads
from math import isfinite
from random import Random
from typing import Any

KEYS = frozenset(("aggression", "defense", "path_bias"))
BUDGET = 1.4


@lru_cache(4096)
def objectors(text: str) -> frozenset[str]:
    """Name the validators that object to a reply, each judging only what is its own.

    `json-object` wants a JSON object; the others are silent on anything else. `known-keys` wants exactly the three
    keys, each once; `finite-numbers` wants a number (no bool, no NaN) under every key; `unit-range` wants each number
    in 0..1; `budget` wants aggression + defense <= 1.4 where both are numbers.
    """
    pairs = _pairs(text)
    if pairs is None:
        return frozenset({"json-object"})
    strategy = dict(pairs)
    numbers = {key: value for key, value in strategy.items() if _is_number(value)}
    spent = numbers.get("aggression", 0.0) + numbers.get("defense", 0.0)
    verdicts = {
        "known-keys": strategy.keys() != KEYS or len(pairs) != len(KEYS),
        "finite-numbers": len(numbers) < len(strategy),
        "unit-range": any(not 0.0 <= value <= 1.0 for value in numbers.values()),
        "budget": {"aggression", "defense"} <= numbers.keys() and spent > BUDGET,
    }
    return frozenset(name for name, objects in verdicts.items() if objects)


@lru_cache(4096)
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


def _pairs(text: str) -> tuple[tuple[str, Any], ...] | None:
    """Read a JSON object as its pairs: a tuple stands for an object, so that a list is told from one."""
    try:
        pairs = loads(text, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    return pairs if isinstance(pairs, tuple) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))
