"""A run as a value: everything a report says, summed from rows and from nothing else."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, quantiles
from types import MappingProxyType
from typing import Any

from stepdown.history import rows

SHADOW = "shadow"


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
        acts: What was done with it, oldest first.
        losses: The loss of its training, by step.
        outdated: That it was measured with other knowledge than prompts have now, in a sentence; empty when it was not.
    """

    bundle: rows.Bundle
    evaluation: rows.Evaluation | None
    promise: Mapping[str, Any] | None
    verdict: rows.Verdict | None
    acts: Sequence[rows.Act]
    losses: Sequence[rows.Loss] = ()
    outdated: str = ""


@dataclass(frozen=True, slots=True)
class Savings:
    """What local saved, against a frontier that was really paid for the same role.

    Attributes:
        steps: Steps that local served.
        baseline: Mean US dollars of a step that the frontier served, and `measured`: over how many, the last ones.
        spent: US dollars that local's steps cost, failed attempts included.
        saved: US dollars: what the frontier would have cost, less what was spent.
    """

    steps: int
    baseline: float
    measured: int
    spent: float
    saved: float


@dataclass(frozen=True, slots=True)
class Story:
    """One run, told from its rows.

    Attributes:
        run: Its first row.
        ending: Its last, None while it is under way.
        generations: The trajectory.
        steps: Who served each, and why; where a model judges, each answer with the score that it gave.
        attempts: Every call.
        served: Steps by side that served; failed and interrupted ones under those words.
        reasons: Steps by reason why local did not serve.
        best: Best score of a served answer; None without one.
        local_share: Share of the local-eligible role's served steps that local served; None without one, and in a comparison,
            where local was not to serve.
        spends: By provider.
        savings: By role that local served; None where no frontier step of that role has a known cost.
        verdict: What the run was played for, if it is a promotion's comparison.
        bundles: Those that were asked.
        lessons: Versions of the knowledge the run taught.
        resumed: When it went on after it had ended before it was done.
        unjudged: Answers that a judging model was asked about and gave no verdict on, by what went wrong.
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
    savings: Mapping[str, Savings | None]
    verdict: rows.Verdict | None
    bundles: Sequence[Provenance]
    lessons: Sequence[rows.Lesson]
    resumed: Sequence[rows.Resumption] = ()
    unjudged: Mapping[str, int] = field(default_factory=dict)


def unjudged(story: Story) -> str:
    """Return how many answers stay unjudged, and why, in a sentence."""
    why = ", ".join(f"{trouble} ×{times}" for trouble, times in story.unjudged.items())
    return f"{sum(story.unjudged.values())} answers stay unjudged: the judge's calls ended with {why}."


def tell(
    run: rows.Run,
    ending: rows.Ending | None,
    generations: Sequence[rows.Generation],
    steps: Sequence[rows.Step],
    attempts: Sequence[rows.Attempt],
    bundles: Sequence[Provenance],
    lessons: Sequence[rows.Lesson],
    *,
    baselines: Mapping[str, Sequence[float]] = MappingProxyType({}),
    verdict: rows.Verdict | None = None,
    resumed: Sequence[rows.Resumption] = (),
    judge: str | None = None,
) -> Story:
    """Sum up a run.

    Args:
        run: Its first row.
        ending: Its last, if it ended.
        generations: Its gate decisions.
        steps: Its steps.
        attempts: Its calls.
        bundles: Those that were asked.
        lessons: What it taught.
        baselines: Role to the known costs (US dollars) of the last steps that the run's frontier really served.
        verdict: What it was played for, if for a promotion.
        resumed: When it went on.
        judge: The role of the model that judges its answers, if one does.
    """
    served = Counter(step.served or step.outcome for step in steps)
    reasons = Counter(step.reason for step in steps if step.reason is not None)
    silent = Counter(step.error or step.outcome for step in steps if step.role == judge and step.outcome != "served")
    return Story(
        run=run,
        ending=ending,
        generations=generations,
        steps=steps,
        attempts=attempts,
        served=dict(sorted(served.items())),
        reasons=dict(sorted(reasons.items())),
        best=max((step.score for step in steps if step.score is not None), default=None),
        local_share=_local_share(steps) if run.purpose == rows.WORK else None,
        spends=spends(attempts),
        savings=savings(steps, attempts, baselines),
        verdict=verdict,
        bundles=bundles,
        lessons=lessons,
        resumed=resumed,
        unjudged=dict(sorted(silent.items())),
    )


def _local_share(steps: Iterable[rows.Step]) -> float | None:
    served = [
        step.served for step in steps if step.role in step.facts.get("local_roles", ()) and step.served is not None
    ]
    return served.count("local") / len(served) if served else None


def savings(
    steps: Sequence[rows.Step], attempts: Sequence[rows.Attempt], baselines: Mapping[str, Sequence[float]]
) -> dict[str, Savings | None]:
    """Compare what local's steps cost with what the frontier's did; what is not known on either side is not guessed."""
    local = {step.id: step.role for step in steps if step.served == "local"}
    costs: dict[str, list[float | None]] = {}
    for attempt in attempts:
        if attempt.step in local and not attempt.shadow:
            costs.setdefault(local[attempt.step], []).append(attempt.cost)
    steps_of = Counter(local.values())
    return {role: _saved(steps_of[role], costs[role], baselines.get(role, ())) for role in sorted(steps_of)}


def _saved(steps: int, costs: Sequence[float | None], baseline: Sequence[float]) -> Savings | None:
    priced = [cost for cost in costs if cost is not None]
    if not baseline or len(priced) < len(costs):
        return None
    mean, spent = fmean(baseline), sum(priced)
    return Savings(steps, mean, len(baseline), spent, steps * mean - spent)


def spends(attempts: Sequence[rows.Attempt]) -> list[Spend]:
    """Sum attempts by who was asked. Shadows are apart: nobody was served by them."""
    groups: dict[tuple[str, str], list[rows.Attempt]] = {}
    for attempt in attempts:
        key = (SHADOW if attempt.shadow else attempt.target, attempt.requested_provider)
        groups.setdefault(key, []).append(attempt)
    return [_spend(provider, target, group) for (target, provider), group in sorted(groups.items())]


def _spend(provider: str, target: str, attempts: Sequence[rows.Attempt]) -> Spend:
    answered = [attempt for attempt in attempts if attempt.reply is not None]
    # A shadow serves nobody, so it has no price at all: neither zero nor unknown.
    priced = [] if target == SHADOW else answered
    costs = [attempt.cost for attempt in priced if attempt.cost is not None]
    return Spend(
        provider=provider,
        target=target,
        attempts=len(attempts),
        failed=sum(not attempt.accepted for attempt in attempts),
        input_tokens=sum(attempt.input_tokens or 0 for attempt in attempts),
        output_tokens=sum(attempt.output_tokens or 0 for attempt in attempts),
        uncounted=sum(attempt.input_tokens is None or attempt.output_tokens is None for attempt in answered),
        cost=sum(costs),
        unpriced=len(priced) - len(costs),
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


def advising(story: Story, advised: Callable[[str], str]) -> Story:
    """Return a story whose own sentences advise what their reader can do; what anybody replied stays as it came."""
    ending, bundles = story.ending, [replace(each, outdated=advised(each.outdated)) for each in story.bundles]
    if ending is not None and ending.error is not None:
        ending = replace(ending, error=advised(ending.error))
    return replace(story, ending=ending, bundles=bundles)
