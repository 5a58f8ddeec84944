"""What a verdict must be, given what was measured, and how sure so many seeds can make anybody."""

from stepdown_machine.model.limits import Limits

ERROR_RATE = 0.05
"""Chance of a false verdict, each way."""


def outcome(
    limits: Limits, margin: float, *, lower: float, upper: float, ahead: float, valid: float, coverage: float
) -> str:
    """Say the verdict: reject what is shown to be worse, promote what is shown not to be, hold the rest.

    A NaN shows nothing. Legal share and coverage are inclusive limits; a margin must really be kept.

    Args:
        limits: In force at this moment.
        margin: How much worse than the frontier is still as good.
        lower: What the mean difference to the frontier is not below.
        upper: What it is not above.
        ahead: What the mean difference to the slot's bundle is not above; NaN without one.
        valid: Share of legal replies.
        coverage: Of the harness, at this moment.
    """
    if upper < -margin:
        return "reject"
    fit = valid >= limits.min_valid and coverage >= limits.min_coverage
    return "promote" if lower > -margin and fit and not ahead < -margin else "hold"


def share(number: int) -> float:
    """Return what the n-th comparison of a slot may spend of an error rate that all of them share: the sum stays below it."""
    return ERROR_RATE / (number * (number + 1))


def surest(mean: float, seeds: int, rate: float = ERROR_RATE) -> float:
    """Return the highest lower bound that so many differences of this mean can honestly give.

    Take differences d in -1..1 as shares x = (d + 1) / 2. A source that gives these very shares with chance p each time
    and 0 otherwise has the mean p * x, and shows nothing but x in n draws with chance p ** n. A bound above
    x * rate ** (1 / n) would be false for one such source more often than was promised.
    """
    return (mean + 1.0) * float(rate ** (1.0 / seeds)) - 1.0
