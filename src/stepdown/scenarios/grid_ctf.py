"""grid_ctf: three numbers steer a capture-the-flag team.

Figures are autocontext's published grid_ctf, so a score here is a score there: capture, survival and efficiency are weighted
0.6, 0.25 and 0.15; aggression and defense share a budget of 1.4; the challenger wins at 0.55.
"""

import json
import math
import random
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, ClassVar

from stepdown.scenarios import texts
from stepdown.scenarios.protocol import Answer, IllegalAnswer, Match, Probe, Validator, answer

BUDGET = 1.4
WINNING_SCORE = 0.55
KEYS = ("aggression", "defense", "path_bias")
SEEDS, AT_HAND = 1024, 16
"""How many seeds a process remembers the draws of, and of how many replies, which may be long, what validators read."""


class GridCtf:
    """The scenario `grid_ctf`; `Scenario` says what each method promises."""

    name: ClassVar[str] = "grid_ctf"
    version: ClassVar[int] = 1
    prompts: ClassVar[Mapping[str, str]] = texts.named("grid_ctf")
    rules: ClassVar[str] = prompts["rules"]
    parameters: ClassVar[Mapping[str, tuple[float, float]]] = dict.fromkeys(KEYS, (0.0, 1.0))

    @property
    def validators(self) -> Mapping[str, Validator]:
        """The harness: each looks at one thing, and together they see what the referee sees."""
        return VALIDATORS

    def schema(self) -> Mapping[str, Any]:
        """Return the strategy's JSON Schema; the budget cannot be said in it."""
        number = {"type": "number", "minimum": 0, "maximum": 1}
        return {
            "type": "object",
            "properties": dict.fromkeys(KEYS, number),
            "required": list(KEYS),
            "additionalProperties": False,
        }

    def observation(self, seed: int) -> Mapping[str, float]:
        """Draw what the player sees, from a generator of its own."""
        enemy, density = _observed(seed)
        return {"enemy_spawn_bias": enemy, "resource_density": density}

    def parse(self, reply: str) -> Answer:
        """Read a strategy strictly: exactly three real numbers in [0, 1] within the budget, each key once."""
        return _parsed(reply)

    def repair(self, values: Mapping[str, float]) -> Mapping[str, float]:
        """Clip to the unit box at two decimals, then take what exceeds the budget from both sides alike."""
        clipped = {key: round(min(1.0, max(0.0, values[key])), 2) for key in KEYS}
        while (excess := round(clipped["aggression"] + clipped["defense"] - BUDGET, 2)) > 0:
            share = max(0.01, math.floor(excess * 50) / 100)
            clipped["defense"] = round(clipped["defense"] - share, 2)
            clipped["aggression"] = round(clipped["aggression"] - max(0.0, excess - share), 2)
        return clipped

    def play(self, answer: Answer, seed: int) -> Match:
        """Play one match."""
        values = answer.value
        return _played(values["aggression"], values["defense"], values["path_bias"], seed)

    def probes(self) -> Sequence[Probe]:
        """Read the shipped probes."""
        return _probes()

    def tournament_seeds(self) -> Sequence[int]:
        """Read the shipped seeds for tournaments."""
        return _seeds()[0]

    def holdout_seeds(self) -> Sequence[int]:
        """Read the shipped held-out seeds."""
        return _seeds()[1]

    def comparison_seeds(self) -> Sequence[int]:
        """Read the shipped seeds for comparisons."""
        return _seeds()[2]


def strategy(values: Mapping[str, float]) -> Answer:
    """Return a strategy as an answer: all numbers are floats, and none is minus zero."""
    return answer({key: float(values[key]) + 0.0 for key in sorted(values)})


def _parsed(reply: str) -> Answer:
    try:
        values = json.loads(reply, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError) as error:
        raise IllegalAnswer(f"not a JSON object: {error}") from None
    if not isinstance(values, dict) or values.keys() != set(KEYS):
        raise IllegalAnswer(f"not an object of exactly {', '.join(KEYS)}")
    for key, value in values.items():
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise IllegalAnswer(f"{key} is not a number from 0 to 1")
    if values["aggression"] + values["defense"] > BUDGET:
        raise IllegalAnswer(f"aggression + defense exceeds {BUDGET}")
    return strategy(values)


def _played(aggression: float, defense: float, path_bias: float, seed: int) -> Match:
    capture = _clip(0.55 * aggression + 0.45 * path_bias + _luck(seed))
    survival = _clip(1 - 0.4 * aggression + 0.4 * defense)
    efficiency = _clip(1 - 0.3 * aggression + 0.1 * defense)
    score = round(_clip(0.6 * capture + 0.25 * survival + 0.15 * efficiency), 4)
    parts = {"capture": round(capture, 4), "survival": round(survival, 4), "efficiency": round(efficiency, 4)}
    return Match(seed, score, score >= WINNING_SCORE, parts)


# Seeds come back: every candidate meets the same few, and an audit plays all of history again.
@lru_cache(SEEDS)
def _observed(seed: int) -> tuple[float, float]:
    draw = random.Random(seed)
    return round(draw.uniform(0.25, 0.75), 3), round(draw.uniform(0.1, 0.9), 3)


@lru_cache(SEEDS)
def _luck(seed: int) -> float:
    return random.Random(seed).uniform(-0.07, 0.07)


def _clip(value: float) -> float:
    return max(0.0, min(1.0, value))


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


@cache
def _probes() -> tuple[Probe, ...]:
    return tuple(Probe(**row) for row in _fixture("probes.json")["probes"])


@cache
def _seeds() -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    stored = _fixture("seeds.json")
    compared = stored["comparison"]
    return tuple(stored["tournament"]), tuple(stored["holdout"]), range(compared["first"], compared["last"] + 1)


def _fixture(name: str) -> Any:
    return json.loads(files("stepdown.scenarios").joinpath("fixtures", name).read_text("utf-8"))


# The validators are written apart from `parse` on purpose: coverage compares the two, so they must not share code.


@lru_cache(AT_HAND)
def _read(reply: str) -> Any:
    try:
        return json.loads(reply)
    except (ValueError, RecursionError):
        return None


def json_object(reply: str) -> str | None:
    """Object to a reply that is not one JSON object."""
    return None if isinstance(_read(reply), dict) else "The reply is not a JSON object."


def known_keys(reply: str) -> str | None:
    """Object to a missing, an extra or a repeated key."""
    fields = _read(reply)
    if not isinstance(fields, dict):
        return None
    if sorted(fields) != sorted(KEYS):
        return f"The keys must be exactly {', '.join(KEYS)}."
    pairs: list[str] = []
    json.loads(reply, object_pairs_hook=lambda items: pairs.extend(key for key, _ in items))
    return None if len(pairs) == len(KEYS) else "A key stands twice."


def finite_numbers(reply: str) -> str | None:
    """Object to anything that is not a finite real number; true and false are not numbers."""
    fields = _read(reply)
    if not isinstance(fields, dict):
        return None
    strange = [key for key, value in fields.items() if not _real(value)]
    return f"{strange[0]} must be a finite number." if strange else None


def unit_range(reply: str) -> str | None:
    """Object to a number outside 0..1."""
    fields = _read(reply)
    if not isinstance(fields, dict):
        return None
    outside = [key for key, value in fields.items() if _real(value) and (value < 0 or value > 1)]
    return f"{outside[0]} must lie between 0 and 1." if outside else None


def budget(reply: str) -> str | None:
    """Object when aggression and defense together exceed the budget."""
    fields = _read(reply)
    if not isinstance(fields, dict):
        return None
    spent: list[Any] = [fields.get("aggression"), fields.get("defense")]
    if not all(_real(value) for value in spent):
        return None
    return f"aggression + defense must not exceed {BUDGET}." if sum(spent) > BUDGET else None


def _real(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        # A whole number of hundreds of digits: JSON has them, floats do not.
        return False


VALIDATORS: Mapping[str, Validator] = {
    "json-object": json_object,
    "known-keys": known_keys,
    "finite-numbers": finite_numbers,
    "unit-range": unit_range,
    "budget": budget,
}
