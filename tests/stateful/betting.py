"""What differences show, said a second time: from the paper, without stepdown's own code and without its library.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86(1), 2024: a capital of 1 is bet
against each mean, with stakes that are settled before what they are placed on is seen (equation 26, one-sided).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log, sqrt

MOST = 3 / 4
"""Share of the capital that one bet may lose."""
HALVINGS = 60


def bounds(differences: Sequence[float], rate: float) -> tuple[float, float]:
    """Return what the mean of differences (-1..1) is not below and not above, each with a chance of `rate` to be wrong."""
    return _least(differences, rate), -_least([-each for each in differences], rate)


def _least(differences: Sequence[float], rate: float) -> float:
    """Return the greatest mean that is refuted: every lower one is as well."""
    seen = [(each + 1) / 2 for each in differences]
    bets = list(_bets(seen, rate))
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        grown = sum(log(1 + min(bet, MOST / middle) * (each - middle)) for bet, each in zip(bets, seen, strict=True))
        low, high = (middle, high) if grown > log(1 / rate) else (low, middle)
    return 2 * low - 1


def _bets(seen: Sequence[float], rate: float) -> Iterator[float]:
    """Yield each bet before what it is placed on counts: it is small where much has varied."""
    spread, mean = 1 / 4, 1 / 2
    for number, each in enumerate(seen, 1):
        yield sqrt(2 * log(1 / rate) / (spread * log(number + 1)))
        mean += (each - mean) / (number + 1)
        spread += (each - mean) ** 2
