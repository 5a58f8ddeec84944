"""What an evaluation counts for, and what its numbers say. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, stdev
from typing import Any

from stepdown.digest import digest
from stepdown.errors import InvalidValue
from stepdown.history import rows
from stepdown.scenarios import prompt
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import judge
from stepdown.scenarios.roles import Role
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


@dataclass(frozen=True, slots=True)
class Terms:
    """What an evaluation is bound to: change one of these and it no longer counts.

    Attributes:
        values: Scenario, prompt format, decoding and seeds.
    """

    values: dict[str, Any]

    @property
    def digest(self) -> str:
        """By which terms are known."""
        return digest(self.values)


def terms(scenario: Scenario, decoding: Decoding, seeds: Sequence[int] | None = None) -> Terms:
    """Return the terms of an evaluation.

    Args:
        scenario: Played as it is in this version.
        decoding: Settings of serving.
        seeds: Those that were played; by default the held-out ones, and routing counts no others.
    """
    values = {
        "scenario": scenario.name,
        "scenario_version": scenario.version,
        "prompt_format": prompt.FORMAT,
        "decoding": decoding.as_json(),
        "seeds": list(scenario.holdout_seeds() if seeds is None else seeds),
    }
    return Terms(values)


def held_out_seeds(scenario: Scenario) -> Sequence[int]:
    """Return the seeds a bundle is evaluated on.

    Raises:
        InvalidValue: The scenario has fewer than two, and nothing could be said of a bundle.
    """
    seeds = scenario.holdout_seeds()
    if len(seeds) < 2:
        raise InvalidValue(
            f"{scenario.name} has {len(seeds)} held-out seeds, and an evaluation needs two or more; give it some.",
            kind="evaluation-empty",
        )
    return seeds


def judge_held_out(scenario: Scenario, role: Role, seed: int, reply: str) -> rows.Holdout:
    """Judge one reply to a held-out seed, by the referee alone; an illegal one scores 0.

    Raises:
        InvalidValue: The scenario's score is not one.
    """
    judgement = judge(scenario, role, reply, (seed,))
    return rows.Holdout("", seed, judgement.score or 0.0, legal=judgement.answer is not None, reply=reply)


def evaluation_of(
    bundle: str,
    bound: Terms,
    knowledge: int,
    replies: Sequence[rows.Holdout],
    at: datetime,
    run: str | None = None,
    call: str | None = None,
) -> rows.Evaluation:
    """Sum up a bundle's held-out replies; the row gets its id when it is recorded.

    Args:
        bundle: Its id.
        bound: What `terms` says of the seeds that were played.
        knowledge: Version of the knowledge in the prompts.
        replies: One for each seed.
        at: Aware UTC.
        run: The comparison it is a part of.
        call: What the trace calls it.
    """
    summary = summarize([row.score for row in replies], [row.legal for row in replies])
    return rows.Evaluation(
        id="",
        bundle=bundle,
        terms=bound.values,
        terms_digest=bound.digest,
        knowledge=knowledge,
        call=call,
        seeds=len(replies),
        mean=summary.mean,
        lower=summary.lower,
        valid=summary.valid,
        at=at,
        run=run,
    )
