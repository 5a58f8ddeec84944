"""What a campaign must have seen, and what it is told that it did not see."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest

from stepdown_machine.model import REASONS
from stepdown_machine.reach import NAMED, Reach

RULES = ("crash", "export", "run")
PAIRS = Counter(product(RULES, RULES))


def whole(**changed: object) -> Reach:
    """Return a campaign that saw all it must, but for what is changed."""
    facts: dict[str, Any] = {
        "routed": Counter({"local": 30, **dict.fromkeys(REASONS, 4)}),
        "rules": Counter(RULES),
        "pairs": PAIRS,
        "offered": frozenset(RULES),
        "sought": REASONS,
        "examples": 100,
    }
    return Reach(**facts | changed)


def test_a_campaign_that_saw_everything_owes_nothing() -> None:
    assert list(whole().unmet()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rules": Counter(RULES[1:])}, "rule crash never ran"),
        ({"routed": Counter({"local": 30, **dict.fromkeys(REASONS[1:], 4)})}, f"{REASONS[0]} is 0.0% of routed steps"),
        ({"routed": Counter({"local": 4, **dict.fromkeys(REASONS, 4)})}, "local served 4.8% of routed steps"),
        ({"aborted": 4}, "4 of 100 examples aborted"),
        ({"pairs": PAIRS - Counter([("run", "crash")])}, "88.9% of ordered rule pairs seen"),
    ],
)
def test_it_is_told_what_it_owes(changed: dict[str, object], said: str) -> None:
    (owed,) = whole(**changed).unmet()

    assert owed.startswith(said)


def test_pairs_that_were_never_seen_are_named() -> None:
    seen = whole(pairs=PAIRS - Counter([("run", "crash"), ("export", "export")]))

    assert next(seen.unmet()).endswith("never: export then export, run then crash")


def test_only_so_many_pairs_are_named() -> None:
    rules = [f"rule {number}" for number in range(4)]
    seen = Reach(offered=frozenset(rules), rules=Counter(rules))

    assert next(seen.unmet()).endswith(f"and {len(rules) ** 2 - NAMED} more")


def test_a_campaign_that_saw_nothing_is_told_so() -> None:
    assert any("ordered rule pairs" in owed for owed in Reach().unmet())
