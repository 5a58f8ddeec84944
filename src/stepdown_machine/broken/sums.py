"""What the toy says of many rows together."""

from __future__ import annotations

from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]


def count(words: Any) -> tuple[tuple[str, int], ...]:
    """Count words, leaving out None."""
    present = [word for word in words if word is not None]
    return tuple(sorted((word, present.count(word)) for word in set(present)))


def share(steps: list[Row]) -> tuple[float, ...]:
    """Return the share of served steps that local served, of those that it might; of other work than a run's there is none."""
    open_ = [row for row in steps if row["purpose"] == "work" and "role-not-eligible" not in row["objections"]]
    served = [row["served"] for row in open_ if row["served"]]
    return (served.count("local") / len(served),) if served else ()


def taken(side: str, attempts: list[Row]) -> Row:
    """Sum up one side's calls; what served nobody has no price."""
    mine = [each for each in attempts if ("shadow" if each["shadow"] else each["provider"]) == side]
    failed = [each for each in mine if each["error"] is not None]
    costs = [each.get("cost") for each in mine if each["error"] in (None, "invalid-output") and not each["shadow"]]
    priced = [cost for cost in costs if cost is not None]
    sums = {"cost": sum(priced), "unpriced": len(costs) - len(priced)}
    return {"side": side, "attempts": len(mine), "failed": len(failed), **sums}


def spent(row: Row) -> float | None:
    """Return what a served step cost; what nobody knows of one call nobody knows of all."""
    costs = [attempt["cost"] for attempt in row["attempts"] if not attempt["shadow"]]
    return None if None in costs else float(sum(costs))


def differs(attempt: Row, entry: Row) -> bool:
    """Tell whether history and trace disagree about one call."""
    fields = ("provider", "weights", "model", "input_tokens", "output_tokens")
    error = attempt["error"] if entry["ended"] and attempt["error"] != "invalid-output" else entry["error"]
    return any(attempt[name] != entry[name] for name in fields) or error != entry["error"]
