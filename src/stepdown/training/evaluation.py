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
from stepdown.scenarios import judging, prompt
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import judge
from stepdown.scenarios.roles import Role, proposer
from stepdown.scenarios.wording import wording
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


def summarize(scores: Sequence[float | None], legal: Sequence[bool]) -> Summary:
    """Return mean, one-sided lower bound by Student's t (no assumption but finite variance and enough seeds), legal share.

    Replies without a score count for the legal share alone.
    """
    given = [score for score in scores if score is not None]
    valid = fmean(map(float, legal)) if legal else None
    if not given:
        return Summary(None, None, valid)
    mean = fmean(given)
    return Summary(mean, _lower(given, mean), valid)


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
        values: Scenario, prompt format, decoding and seeds, and the digest of the prompt's text unless it is the first.
    """

    values: dict[str, Any]

    @property
    def digest(self) -> str:
        """By which terms are known."""
        return digest(self.values)


def terms(scenario: Scenario, decoding: Decoding, seeds: Sequence[int] | None = None, role: str | None = None) -> Terms:
    """Return the terms of an evaluation.

    Args:
        scenario: Played as it is in this version.
        decoding: Settings of serving.
        seeds: Those that were played; by default the held-out ones, and routing counts no others.
        role: Who was asked; by default the one whose answers a run looks for.
    """
    named = wording(scenario, role if role is not None else proposer(scenario).name).named
    values = {
        "scenario": scenario.name,
        "scenario_version": scenario.version,
        "prompt_format": prompt.FORMAT,
        "decoding": decoding.as_json(),
        "seeds": list(scenario.holdout_seeds() if seeds is None else seeds),
        **({"prompts": named} if named else {}),
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

    Where a model judges, a legal one has no score yet: `hearing.heard` gives it.

    Raises:
        InvalidValue: The scenario's score is not one.
    """
    judgement = judge(scenario, role, reply, (seed,) if judging.of(scenario) is None else ())
    score = 0.0 if judgement.answer is None else judgement.score
    return rows.Holdout("", seed, score, legal=judgement.answer is not None, reply=reply)


def evaluation_of(
    bundle: str,
    bound: Terms,
    knowledge: int,
    replies: Sequence[rows.Holdout],
    at: datetime,
    run: str | None = None,
    call: str | None = None,
    judged: str | None = None,
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
        judged: Where a model judged the replies, see `rows.Evaluation`.
    """
    summary = summarize([row.score for row in replies], [row.legal for row in replies])
    return rows.Evaluation(
        id="",
        bundle=bundle,
        terms=bound.values,
        terms_digest=bound.digest,
        knowledge=knowledge,
        call=call,
        judged=judged,
        seeds=len(replies),
        mean=summary.mean,
        lower=summary.lower,
        valid=summary.valid,
        at=at,
        run=run,
    )
