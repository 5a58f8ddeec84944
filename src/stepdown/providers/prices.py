"""What an answer cost: a dated table. A price that is not in it is unknown, which is neither zero nor a default.

Hosted models' prices come from the table that `genai-prices` maintains, by way of `fixtures/prices/make.py`. Input that a
provider took from its cache counts in full, because history does not keep how much that was: the bill may be lower.
"""

import json
import re
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
        most: Input tokens up to which it holds; some services charge all tokens of a longer prompt otherwise.
    """

    since: datetime
    input: float | None
    output: float | None
    most: int | None = None


_DAY = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})$")
"""How services end the name of a snapshot of a model: `gpt-4o-2024-08-06`, `claude-sonnet-4-5-20250929`."""


@cache
def table() -> dict[tuple[str, str], list[Price]]:
    """Return the shipped prices by provider and model, oldest first."""
    shipped = json.loads(files("stepdown.providers").joinpath("prices.json").read_text("utf-8"))
    prices: dict[tuple[str, str], list[Price]] = {}
    for row in sorted(shipped["prices"], key=lambda row: row["since"]):
        price = Price(datetime.fromisoformat(row["since"]), row["input"], row["output"], row.get("most"))
        prices.setdefault((row["provider"], row["model"]), []).append(price)
    return prices


def cost(
    completion: Completion, at: datetime, prices: Mapping[tuple[str, str], Sequence[Price]] | None = None
) -> float | None:
    """Return what a completion cost in US dollars, by who *answered*; None when price or token count is unknown.

    Args:
        completion: What came.
        at: When, aware.
        prices: By provider and model, oldest first; by default the shipped table.
    """
    if completion.provider in FREE:
        return 0.0
    price = _price(completion, at, table() if prices is None else prices)
    if price is None or price.input is None or price.output is None:
        return None
    if completion.input_tokens is None or completion.output_tokens is None:
        return None
    if price.most is not None and completion.input_tokens > price.most:
        return None
    return (completion.input_tokens * price.input + completion.output_tokens * price.output) / 1_000_000


def _price(completion: Completion, at: datetime, prices: Mapping[tuple[str, str], Sequence[Price]]) -> Price | None:
    """Return the price of the very model; where the table has none, that of the model it is a dated snapshot of."""
    for model in (completion.model, _DAY.sub("", completion.model)):
        if (completion.provider, model) in prices:
            return next((price for price in reversed(prices[completion.provider, model]) if price.since <= at), None)
    return None
