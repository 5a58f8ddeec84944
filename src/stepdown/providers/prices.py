"""What an answer cost: a dated table. A price that is not in it is unknown, which is neither zero nor a default."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

from stepdown.providers.protocol import Completion

FREE = frozenset({"stepdown-local", "search", "extract", "labels"})
"""Providers that run here and charge nothing; what the electricity costs is not known to stepdown."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs from an instant on.

    Attributes:
        since: Aware UTC.
        input: US dollars for a million input tokens; None from the day a price is no longer offered.
        output: US dollars for a million output tokens.
    """

    since: datetime
    input: float | None
    output: float | None


@cache
def table() -> dict[tuple[str, str], list[Price]]:
    """Return the shipped prices by provider and model, oldest first."""
    shipped = json.loads(files("stepdown.providers").joinpath("prices.json").read_text("utf-8"))
    prices: dict[tuple[str, str], list[Price]] = {}
    for row in sorted(shipped["prices"], key=lambda row: row["since"]):
        price = Price(datetime.fromisoformat(row["since"]), row["input"], row["output"])
        prices.setdefault((row["provider"], row["model"]), []).append(price)
    return prices


def cost(
    answer: Completion, at: datetime, prices: Mapping[tuple[str, str], Sequence[Price]] | None = None
) -> float | None:
    """Return what an answer cost in US dollars, by who *answered*; None when price or token count is unknown.

    Args:
        answer: What came.
        at: When, aware.
        prices: By provider and model, oldest first; by default the shipped table.
    """
    if answer.provider in FREE:
        return 0.0
    valid = [
        price
        for price in (table() if prices is None else prices).get((answer.provider, answer.model), [])
        if price.since <= at
    ]
    if not valid or valid[-1].input is None or valid[-1].output is None:
        return None
    if answer.input_tokens is None or answer.output_tokens is None:
        return None
    return (answer.input_tokens * valid[-1].input + answer.output_tokens * valid[-1].output) / 1_000_000
