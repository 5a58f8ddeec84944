"""Promotion's statistics: is a challenger as good as the frontier, on matched seeds, whenever one stops looking? Pure.

The method is testing by betting: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B
86(1), 2024, https://arxiv.org/abs/2010.09686, with their predictable plug-in stakes (their section 4.2). A gambler who bets on
the differences against the claim "the mean is at most m" multiplies a capital that, were the claim true, could not be expected
to grow; by Ville's inequality it reaches 1/error_rate *at any time* with a chance of at most error_rate. So it may be looked
at after every block of seeds, and the verdict taken at the first look that settles it.

What is promised: if the true mean difference to the frontier is not above -margin, *promote* comes with a chance of at most
`error_rate`; if it is not below -margin, *reject* does. Both hold for differences of any distribution within [-1, 1], in
particular for a bundle that is nearly always good and rarely illegal, where Student's t promises too much.

Challengers come one after another, and a slot that risked 5 % with each would be wrong sooner or later: with fifty that are
all just too bad, the chance that one gets through can reach 92 %. So a slot has one error rate for all of them: its n-th
comparison may spend `error_rate` / (n (n + 1)), and the sum over any number of them stays below `error_rate` (unequal
Bonferroni shares; "alpha spending"). The share is a row before the first question is asked. A later comparison asks for more
evidence, but not for much: what is needed grows with the logarithm of 1 / share.

The bets are placed here, and scipy finds where they break even: of the libraries that bet, confseq has had no release since
January 2023 and does not build on Python 3.12, and none of the others has reached a version 1.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import fmean
from typing import Any

from stepdown.errors import InvalidValue

LOOK, LEAST_LOOK = 32, 8
"""Seeds between two looks, unless told otherwise, and the fewest that may be: each look costs a batch."""

CAUTION = 0.75
"""Largest share of the capital that one bet may lose; Waudby-Smith and Ramdas suggest a half or three quarters."""

WORSE_THAN_CHAMPION = "worse-than-champion"
INCONCLUSIVE = "inconclusive"
VALIDITY = "validity-below-threshold"
COVERAGE = "coverage-weak"


class PromotionOutcome(StrEnum):
    """What a promotion answers."""

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Trial:
    """What is promised before anything is looked at.

    Attributes:
        margin: How much worse than the frontier is still as good (mean score, 0..0.5).
        error_rate: Chance of a false verdict, each way, over all comparisons of a slot together; see `share`.
        budget: Most seeds that are compared.
        look: Seeds between two looks. How often one looks changes nothing that is promised.
    """

    margin: float = 0.05
    error_rate: float = 0.05
    budget: int = 256
    look: int = LOOK

    def share(self, number: int) -> float:
        """Return what the n-th comparison of a slot, counted from 1, may spend of the error rate."""
        return self.error_rate / (number * (number + 1))

    def __post_init__(self) -> None:
        for name, high in (("margin", 0.5), ("error_rate", 0.5)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
                raise InvalidValue(f"The {name} must be a number from 0 to {high}, not {value!r}.")
        if self.error_rate == 0:
            raise InvalidValue("An error_rate of 0 would ask for endless evidence; 0.05 is usual.")
        for name, least in (("look", LEAST_LOOK), ("budget", self.look)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidValue(f"A {name} of {value!r} seeds shows nothing; compare at least {least}.")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The mean of paired differences (-1..1), and what it cannot be below or above, each at the share that could be spent."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a verdict follows from.

    Attributes:
        trial: What was promised.
        seeds: How many were compared.
        unanswered: Seeds left out because the frontier did not answer, or the model that judges was silent.
        to_frontier: Challenger minus frontier; None when nothing could be compared.
        to_champion: Challenger minus champion; None without a champion.
        valid: The challenger's share of legal replies, and `min_valid`: what the policy demands.
        coverage: Of the harness, and `min_coverage`: what the policy demands.
        challenger: Its evaluation on these seeds.
        champion: The champion's; None without one.
        share: What this comparison could spend of the trial's error rate; None where each had all of it.
    """

    trial: Trial
    seeds: int
    unanswered: int
    to_frontier: Bounds | None
    to_champion: Bounds | None
    valid: float
    min_valid: float
    coverage: float
    min_coverage: float
    challenger: str
    champion: str | None
    share: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain values, with the outcome's reasons; what came later and says nothing is left out."""
        values = {**asdict(self), "objections": list(self.objections)}
        return {name: value for name, value in values.items() if name != "share" or value is not None}

    @property
    def objections(self) -> tuple[str, ...]:
        """What speaks against promoting; empty when nothing does."""
        margin, frontier, champion = self.trial.margin, self.to_frontier, self.to_champion
        objecting = {
            INCONCLUSIVE: frontier is None or not frontier.lower > -margin,
            VALIDITY: not self.valid >= self.min_valid,
            COVERAGE: not self.coverage >= self.min_coverage,
            WORSE_THAN_CHAMPION: champion is not None and champion.upper < -margin,
        }
        return tuple(name for name, holds in objecting.items() if holds)

    @property
    def outcome(self) -> PromotionOutcome:
        """Promote what is shown to be as good, reject what is shown not to be, hold what is not shown either way."""
        if self.to_frontier is not None and self.to_frontier.upper < -self.trial.margin:
            return PromotionOutcome.REJECT
        return PromotionOutcome.HOLD if self.objections else PromotionOutcome.PROMOTE


def differences(challenger: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return the paired differences of scores on the same seeds.

    Raises:
        InvalidValue: A score is not a number from 0 to 1.
    """
    for score in (*challenger, *other):
        if not 0 <= score <= 1:
            raise InvalidValue(f"A score of {score!r} cannot be compared; scores are numbers from 0 to 1.")
    return [mine - its for mine, its in zip(challenger, other, strict=True)]


def settled(differences: Sequence[float], margin: float, error_rate: float) -> bool:
    """Tell whether the differences already show on which side of -margin their mean lies."""
    return exceeds(differences, -margin, error_rate) or exceeds([-value for value in differences], margin, error_rate)


def exceeds(differences: Sequence[float], limit: float, error_rate: float) -> bool:
    """Tell whether the mean of differences is shown to lie above a limit."""
    shares, goal = _shares(differences), -math.log(error_rate)
    return _capital(shares, _stakes(shares, error_rate), (limit + 1) / 2) > goal


MOST_ALIKE = 100_000
"""Seeds beyond which nobody compares."""


def alike(margin: float, error_rate: float) -> int | None:
    """Return after how many seeds a challenger is shown to be as good that scores as the frontier on each; None for never."""
    first, last = 0, 1
    while not exceeds([0.0] * last, -margin, error_rate):
        first, last = last, 2 * last
        if last > MOST_ALIKE:
            return None
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (first, middle) if exceeds([0.0] * middle, -margin, error_rate) else (middle, last)
    return last


def bounds(differences: Sequence[float], error_rate: float) -> Bounds | None:
    """Return the mean of differences and its bounds; None without any."""
    if not differences:
        return None
    mirrored = [-value for value in differences]
    return Bounds(fmean(differences), _lower(differences, error_rate), -_lower(mirrored, error_rate))


def _lower(differences: Sequence[float], error_rate: float) -> float:
    """Return the least mean that the gambler has not refuted: the capital falls as the claimed mean rises."""
    from scipy.optimize import brentq

    shares, goal = _shares(differences), -math.log(error_rate)
    stakes = _stakes(shares, error_rate)

    def excess(mean: float) -> float:
        return _capital(shares, stakes, mean) - goal

    if excess(EDGE) <= 0:
        return -1.0
    return 2 * float(brentq(excess, EDGE, 1.0)) - 1


EDGE = 1e-9


def _shares(differences: Sequence[float]) -> list[float]:
    """Map differences from [-1, 1] to [0, 1], where the method is stated."""
    return [(value + 1) / 2 for value in differences]


def _stakes(shares: Sequence[float], error_rate: float) -> list[float]:
    """Return each bet before its seed is seen: large where little varied so far (equation 26, one-sided)."""
    stakes, total, squares, mean = [], 0.5, 0.25, 0.5
    for number, share in enumerate(shares, start=1):
        variance = squares / number
        stakes.append(math.sqrt(-2 * math.log(error_rate) / (variance * number * math.log(number + 1))))
        total += share
        mean = total / (number + 1)
        squares += (share - mean) ** 2
    return stakes


def _capital(shares: Sequence[float], stakes: Sequence[float], mean: float) -> float:
    """Return the logarithm of what a bet of 1 against "the mean is at most `mean`" has become."""
    most = CAUTION / mean
    return math.fsum(math.log1p(min(stake, most) * (share - mean)) for share, stake in zip(shares, stakes, strict=True))
