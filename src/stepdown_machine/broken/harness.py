"""The toy's scenario: validators, referee and two providers. Pure functions; a broken variant edits one line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection
from functools import cache
from random import Random
from typing import Any

KEYS = {"aggression", "defense", "path_bias"}


def read(reply: str) -> dict[str, Any] | None:
    """Read a reply as a JSON object."""
    try:
        parsed = json.loads(reply)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def real(value: object) -> bool:
    """Tell whether a value is a finite number; true and false are not."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


VALIDATORS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "known-keys": lambda move: move.keys() == KEYS,
    "finite-numbers": lambda move: all(real(value) for value in move.values()),
    "unit-range": lambda move: all(0 <= value <= 1 for value in move.values() if real(value)),
    "budget": lambda move: not spends(move) or move["aggression"] + move["defense"] <= 1.4,
}


def spends(move: dict[str, Any]) -> bool:
    """Tell whether a move spends two numbers from the budget."""
    return real(move.get("aggression")) and real(move.get("defense"))


def legal(reply: str, enabled: Collection[str]) -> bool:
    """Ask every enabled validator."""
    move = read(reply)
    if move is None:
        return "json-object" not in enabled
    return all(accepts(move) for name, accepts in VALIDATORS.items() if name in enabled)


@cache
def referee(reply: str) -> bool:
    """Say whether the scenario accepts a reply, whatever is enabled."""
    return legal(reply, ("json-object", *VALIDATORS))


@cache
def score(reply: str, seed: int) -> float:
    """Play one match; an illegal reply scores 0."""
    if not referee(reply):
        return 0.0
    move = json.loads(reply)
    luck = Random(seed).uniform(-0.07, 0.07)
    capture = clip(0.55 * move["aggression"] + 0.45 * move["path_bias"] + luck)
    survival = clip(1 - 0.4 * move["aggression"] + 0.4 * move["defense"])
    efficiency = clip(1 - 0.3 * move["aggression"] + 0.1 * move["defense"])
    return round(0.6 * capture + 0.25 * survival + 0.15 * efficiency, 4)


def cost(words: int, tokens: int, at: float) -> float | None:
    """Return what so many tokens cost at the frontier, US dollars: from an instant on another price holds.

    Nobody knows what a longer question costs than it holds for.
    """
    price, most = next((price, most) for since, price, most in reversed(PRICES) if at >= since)
    return price * tokens / 1e6 if words <= most else None


PRICES = ((0.0, 1.0, math.inf), (1_800_000_020.0, 2.0, 25))
"""Since when, US dollars for a million output tokens, and the longest question; oldest first."""


def objectors(reply: str) -> frozenset[str]:
    """Name the validators that object to a reply, each asked alone."""
    return frozenset(name for name in ("json-object", *VALIDATORS) if not legal(reply, (name,)))


def clip(value: float) -> float:
    """Clip to 0..1."""
    return max(0.0, min(1.0, value))


def strategy(*source: object) -> str:
    """Draw a legal move from anything; the same source gives the same move."""
    draw = Random(repr(source))
    aggression = round(draw.uniform(0.4, 1.0), 2)
    move = {
        "aggression": aggression,
        "defense": round(draw.uniform(0.0, 1.4 - aggression) - 0.005, 2) + 0.0,
        "path_bias": round(draw.random(), 2),
    }
    return json.dumps({key: max(0.0, value) for key, value in move.items()})


GARBAGE = "I would rather not."
ILLEGAL = json.dumps({"aggression": 1.0, "defense": 0.9, "path_bias": 0.5})

PROBES = (
    strategy(1),
    strategy(2),
    GARBAGE,
    "[1, 2, 3]",
    ILLEGAL,
    json.dumps({"aggression": 0.9, "defense": 0.6, "path_bias": 0.5}),
    json.dumps({"aggression": 0.5, "defense": 0.5}),
    json.dumps({"aggression": 0.5, "defense": 0.5, "path_bias": 0.5, "speed": 1}),
    json.dumps({"aggression": True, "defense": 0.5, "path_bias": 0.5}),
    json.dumps({"aggression": math.nan, "defense": 0.5, "path_bias": 0.5}),
    json.dumps({"aggression": 0.5, "defense": 0.5, "path_bias": 1.5}),
    json.dumps({"aggression": -0.5, "defense": 0.5, "path_bias": 0.5}),
)
"""Moves, some legal, that show what the enabled validators still see."""


@cache
def coverage(enabled: frozenset[str]) -> float:
    """Return the share of probes that the enabled validators judge as the referee does."""
    return sum(legal(probe, enabled) == referee(probe) for probe in PROBES) / len(PROBES)
