"""The arithmetic of a run: which seed a step gets, and what a generation's gate decides. Pure."""

import hashlib
from collections.abc import Mapping
from statistics import fmean
from typing import Literal

GateDecision = Literal["advance", "retry", "rollback"]

ROLLBACK_MARGIN = 0.05
"""A generation whose best falls this far (score, 0..1) below the champion has been led astray by what was learned since."""

SEEDS = 500_000
"""Step seeds lie in [0, 500000), far below every held-out seed."""


def step_seed(run_seed: int, generation: int, position: int) -> int:
    """Return a step's seed: the same run asks the same questions again."""
    data = f"{run_seed}/{generation}/{position}".encode()
    return int.from_bytes(hashlib.sha256(data).digest()[:8]) % SEEDS


def outcome(scores: Mapping[str, float], *, own_case: bool) -> tuple[str | None, float | None]:
    """Return a generation's best step, the first of several, and what the generation came to.

    In a game that is the best answer's score. Where every answer has a case of its own, one good answer says little, and the
    generation came to its mean.

    Args:
        scores: Step to score, by their places; legal answers only.
        own_case: See `scenarios.protocol.Scenario`.
    """
    best = max(scores, key=lambda step: scores[step], default=None)
    if best is None:
        return None, None
    return best, round(fmean(scores.values()), 6) if own_case else scores[best]


def gate(score: float | None, champion: float | None) -> GateDecision:
    """Decide on a generation's best (mean score) against the best so far; None where there is none."""
    if score is None:
        return "retry"
    if champion is None or score > champion:
        return "advance"
    return "rollback" if score < champion - ROLLBACK_MARGIN else "retry"
