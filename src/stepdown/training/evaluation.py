"""What an evaluation counts for, and what its numbers say. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from stepdown.digest import digest
from stepdown.scenarios import prompt
from stepdown.scenarios.protocol import Scenario
from stepdown.training.decoding import Decoding

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Summary:
    """What a set of held-out scores says.

    Attributes:
        mean: Mean score, 0..1; None without scores.
        lower: Lower bound of the mean at `CONFIDENCE`; None with fewer than two scores.
        valid: Share of legal replies, 0..1; None without scores.
    """

    mean: float | None
    lower: float | None
    valid: float | None


def summarize(scores: Sequence[float], legal: Sequence[bool]) -> Summary:
    """Return mean, one-sided lower bound by Student's t (no assumption but finite variance and enough seeds), legal share."""
    if not scores:
        return Summary(None, None, None)
    mean = fmean(scores)
    return Summary(mean, _lower(scores, mean), fmean(map(float, legal)))


def _lower(scores: Sequence[float], mean: float) -> float | None:
    if len(scores) < 2:
        return None
    if not all(map(math.isfinite, scores)):
        return math.nan
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(scores) - 1, CONFIDENCE))
    return max(0.0, mean - quantile * stdev(scores) / math.sqrt(len(scores)))


def terms(scenario: Scenario, decoding: Decoding) -> tuple[dict[str, Any], str]:
    """Return what an evaluation is bound to, and its digest: change one of these and it no longer counts."""
    bound = {
        "scenario": scenario.name,
        "scenario_version": scenario.version,
        "prompt_format": prompt.FORMAT,
        "decoding": decoding.as_json(),
        "seeds": list(scenario.holdout_seeds()),
    }
    return bound, digest(bound)
