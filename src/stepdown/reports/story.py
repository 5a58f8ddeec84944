"""A run as a value: everything a report says, summed from rows and from nothing else."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from stepdown.history import rows


@dataclass(frozen=True, slots=True)
class Spend:
    """What the attempts of one provider took.

    Attributes:
        provider: Who was asked.
        target: `local`, `frontier` or `shadow`.
        attempts: How often.
        failed: How often no usable reply came.
        input_tokens: Sum over the attempts that were counted.
        output_tokens: Likewise.
        uncounted: Attempts whose tokens nobody counted.
        cost: US dollars over the attempts with a known price.
        unpriced: Attempts whose price is not known; their cost is in no sum.
        latency: Median and 95th percentile in seconds; None without a measurement.
    """

    provider: str
    target: str
    attempts: int
    failed: int
    input_tokens: int
    output_tokens: int
    uncounted: int
    cost: float
    unpriced: int
    latency: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a bundle that was asked comes from.

    Attributes:
        bundle: Its registration.
        evaluation: Its newest evaluation, if any.
        promise: Its manifest, when the directory is still whole.
        verdict: Its newest promotion verdict, if any.
    """

    bundle: rows.Bundle
    evaluation: rows.Evaluation | None
    promise: Mapping[str, Any] | None
    verdict: rows.Verdict | None


@dataclass(frozen=True, slots=True)
class Story:
    """One run, told from its rows.

    Attributes:
        run: Its first row.
        ending: Its last, None while it is under way.
        generations: The trajectory.
        steps: Who served each, and why.
        attempts: Every call.
        served: Steps by side that served; failed and interrupted ones under those words.
        reasons: Steps by reason why local did not serve.
        best: Best score of a served strategy; None without one.
        local_share: Share of the local-eligible role's served steps that local served; None without one.
        spends: By provider.
        bundles: Those that were asked.
        lessons: Versions of the knowledge the run taught.
    """

    run: rows.Run
    ending: rows.Ending | None
    generations: Sequence[rows.Generation]
    steps: Sequence[rows.Step]
    attempts: Sequence[rows.Attempt]
    served: Mapping[str, int]
    reasons: Mapping[str, int]
    best: float | None
    local_share: float | None
    spends: Sequence[Spend]
    bundles: Sequence[Provenance]
    lessons: Sequence[rows.Lesson]


def tell(
    run: rows.Run,
    ending: rows.Ending | None,
    generations: Sequence[rows.Generation],
    steps: Sequence[rows.Step],
    attempts: Sequence[rows.Attempt],
    bundles: Sequence[Provenance],
    lessons: Sequence[rows.Lesson],
) -> Story:
    """Sum up a run."""
    served = Counter(step.served or step.outcome for step in steps)
    reasons = Counter(step.reason for step in steps if step.reason is not None)
    return Story(
        run=run,
        ending=ending,
        generations=generations,
        steps=steps,
        attempts=attempts,
        served=dict(sorted(served.items())),
        reasons=dict(sorted(reasons.items())),
        best=max((step.score for step in steps if step.score is not None), default=None),
        local_share=_local_share(steps),
        spends=spends(attempts),
        bundles=bundles,
        lessons=lessons,
    )


def _local_share(steps: Iterable[rows.Step]) -> float | None:
    served = [step.served for step in steps if step.role != "coach" and step.served is not None]
    return served.count("local") / len(served) if served else None


def spends(attempts: Sequence[rows.Attempt]) -> list[Spend]:
    """Sum attempts by who was asked. Shadows are apart: nobody was served by them."""
    groups: dict[tuple[str, str], list[rows.Attempt]] = {}
    for attempt in attempts:
        key = ("shadow" if attempt.shadow else attempt.target, attempt.requested_provider)
        groups.setdefault(key, []).append(attempt)
    return [_spend(provider, target, group) for (target, provider), group in sorted(groups.items())]


def _spend(provider: str, target: str, attempts: Sequence[rows.Attempt]) -> Spend:
    answered = [attempt for attempt in attempts if attempt.text is not None]
    costs = [attempt.cost for attempt in answered if attempt.cost is not None]
    return Spend(
        provider=provider,
        target=target,
        attempts=len(attempts),
        failed=sum(not attempt.accepted for attempt in attempts),
        input_tokens=sum(attempt.input_tokens or 0 for attempt in attempts),
        output_tokens=sum(attempt.output_tokens or 0 for attempt in attempts),
        uncounted=sum(attempt.input_tokens is None or attempt.output_tokens is None for attempt in answered),
        cost=sum(costs),
        unpriced=len(answered) - len(costs),
        latency=percentiles([attempt.latency for attempt in attempts if attempt.latency is not None]),
    )


def percentiles(seconds: Sequence[float]) -> tuple[float, float] | None:
    """Return the median and the 95th percentile."""
    if not seconds:
        return None
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    cuts = quantiles(seconds, n=20, method="inclusive")
    return cuts[9], cuts[18]
