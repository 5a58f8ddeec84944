"""Judge every promotion again, from replies, from what the frontier said, and from policy and harness of that moment. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stepdown.audit import heard
from stepdown.audit.witnesses import Difference, Evidence, difference, knowledge_of, policies_of
from stepdown.digest import digest
from stepdown.history import rows
from stepdown.routing.policy import Policy
from stepdown.scenarios.harness import coverage
from stepdown.scenarios.judging import JUDGE
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import Role, role_named
from stepdown.training import hearing
from stepdown.training.evaluation import judge_held_out
from stepdown.training.promotion import Grounds, Trial, bounds, differences, settled

Scores = Mapping[int, float]
"""Seed to score."""


def verdicts(evidence: Evidence) -> Iterator[Difference]:
    """Derive every verdict and its evidence, and find no evaluation of a comparison that came to none (I10)."""
    sources = _sources(evidence)
    for row in evidence.verdicts:
        try:
            yield from list(_judged_again(sources, row))
        except (LookupError, TypeError, ValueError):
            yield Difference("I10", _where(row), "its evidence is not such as a verdict follows from")
    named = {str(row.evidence[side]) for row in evidence.verdicts for side in ("challenger", "champion")}
    for evaluation in evidence.evaluations:
        if evaluation.run is not None and evaluation.id not in named:
            yield Difference("I10", evaluation.id, f"no verdict follows from it, and it was a part of {evaluation.run}")


def spendings(evidence: Evidence) -> Iterator[Difference]:
    """Find what every comparison could err: recorded for each, numbered by slot, and spent of one error rate (I14)."""
    runs, trials = {run.id: run for run in evidence.runs}, {row.run: row.evidence for row in evidence.verdicts}
    numbers: dict[tuple[str, str], int] = defaultdict(int)
    order = {run.id: number for number, run in enumerate(evidence.runs)}
    asked = {call.run: call.role for call in evidence.announcements if call.role != JUDGE}
    for row in evidence.spendings:
        numbers[row.scenario, row.role] += 1
        if row.number != numbers[row.scenario, row.role]:
            yield difference(
                "I14", row.run, "number", row.number, numbers[row.scenario, row.role], "its slot's comparisons"
            )
        run = runs[row.run]
        if (run.purpose, run.scenario) != (rows.COMPARISON, row.scenario):
            yield Difference("I14", row.run, f"it is no comparison in {row.scenario}, and spent of its error rate")
        if asked.get(row.run, row.role) != row.role:
            yield Difference("I14", row.run, f"it asked the {asked[row.run]}, and spent of the {row.role}'s error rate")
        if row.run in trials and row.share != Trial(**trials[row.run]["trial"]).share(row.number):
            yield Difference(
                "I14", row.run, f"a share of {row.share!r} is not what its trial gives to comparison {row.number}"
            )
    if evidence.spendings:
        spent, since = {row.run for row in evidence.spendings}, min(order[row.run] for row in evidence.spendings)
        for verdict in evidence.verdicts:
            if verdict.run not in spent and order[verdict.run] > since:
                yield Difference("I14", _where(verdict), "nothing was recorded of what its comparison could err")


@dataclass(frozen=True, slots=True)
class _Sources:
    """What verdicts follow from, by name."""

    evidence: Evidence
    runs: Mapping[str, rows.Run]
    bundles: Mapping[str, rows.Bundle]
    evaluations: Mapping[str, rows.Evaluation]
    scores: Mapping[str, Scores]
    policies: Mapping[int, Policy]
    shares: Mapping[str, float]
    sat: heard.Sittings
    versions: heard.Versions


def _sources(evidence: Evidence) -> _Sources:
    scores: dict[str, dict[int, float]] = defaultdict(dict)
    for reply in evidence.holdouts:
        if reply.score is not None:
            scores[reply.evaluation][reply.seed] = reply.score
    return _Sources(
        evidence=evidence,
        runs={run.id: run for run in evidence.runs},
        bundles={bundle.id: bundle for bundle in evidence.bundles},
        evaluations={row.id: row for row in evidence.evaluations},
        scores=scores,
        policies=policies_of(evidence),
        shares={row.run: row.share for row in evidence.spendings},
        sat=heard.sittings(evidence),
        versions=knowledge_of(evidence),
    )


def _where(row: rows.Verdict) -> str:
    return f"verdict on {row.bundle[:12]} of {row.run}"


def _judged_again(sources: _Sources, row: rows.Verdict) -> Iterator[Difference]:
    where, misnamed = _where(row), _misnamed(sources, row)
    if misnamed is not None:
        yield Difference("I10", where, misnamed)
        return
    challenger = sources.evaluations[row.evidence["challenger"]]
    scenario = sources.evidence.scenarios(sources.bundles[row.bundle].scenario)
    # What another version of the scenario gave cannot be played again by this one.
    if challenger.terms["scenario_version"] != scenario.version:
        return
    trial, offered = Trial(**row.evidence["trial"]), scenario.comparison_seeds()
    if sources.runs[row.run].candidates != min(trial.budget, len(offered)):
        yield Difference("I10", where, f"its run was not for a budget of {trial.budget} seeds")
    role = role_named(scenario, sources.bundles[row.bundle].role)
    answered = _frontier_answers(sources, row.run, scenario, role, challenger)
    frontier = {reply.seed: reply.score for reply in answered if reply.score is not None}
    if not hearing.enough(answered):
        yield Difference("I10", where, "the judge was silent on too many of the frontier's answers for a verdict")
    share = sources.shares.get(row.run, trial.error_rate)
    compared = _compared(offered, trial, share, sources.scores[challenger.id], frontier)
    if challenger.terms["seeds"] != compared:
        yield Difference("I10", where, "it does not stand on the seeds that its trial compares, one look after another")
        return
    shown = _shown(sources, row, trial, compared, frontier, coverage(scenario, row.validators))
    held_out_terms = {**challenger.terms, "seeds": list(scenario.holdout_seeds())}
    derived = {**shown.as_json(), "outcome": shown.outcome.value, "terms_digest": digest(held_out_terms)}
    stored = {**row.evidence, "outcome": row.outcome, "terms_digest": row.terms_digest}
    for name in [*derived, *sorted(stored.keys() - derived.keys())]:
        if stored.get(name) != derived.get(name):
            yield difference("I10", where, name, stored.get(name), derived.get(name), "judging again")


def _misnamed(sources: _Sources, row: rows.Verdict) -> str | None:
    """Say which of the things that a verdict names cannot be what it was judged by."""
    bundle, run = sources.bundles[row.bundle], sources.runs[row.run]
    if row.policy not in sources.policies:
        return f"it names policy {row.policy}, which history does not have"
    if (run.purpose, run.scenario) != (rows.COMPARISON, bundle.scenario):
        return f"{row.run} is no comparison in its scenario"
    challenger = sources.evaluations.get(row.evidence["challenger"])
    if challenger is None or (challenger.bundle, challenger.run) != (row.bundle, row.run):
        return "it names an evaluation that is not the bundle's in that run"
    if row.evidence["champion"] is None:
        return None
    champion = sources.evaluations.get(row.evidence["champion"])
    if champion is None or (champion.run, champion.terms) != (row.run, challenger.terms):
        return "it names an evaluation of its champion that is not on the same seeds in that run"
    rival = sources.bundles[champion.bundle]
    slots = [(each.scenario, each.role) for each in (bundle, rival)]
    return None if rival != bundle and slots[0] == slots[1] else "its champion is no rival for its slot"


def _frontier_answers(
    sources: _Sources, run: str, scenario: Scenario, role: Role, challenger: rows.Evaluation
) -> list[rows.Holdout]:
    """Return what the frontier answered in a run, each with its score: the scenario's, or what its judging call said."""
    steps = {step.id: step for step in sources.evidence.steps if step.run == run and step.role == role.name}
    replies = {
        steps[attempt.step].position: judge_held_out(scenario, role, steps[attempt.step].seed, attempt.reply)
        for attempt in sources.evidence.attempts
        if attempt.step in steps and attempt.reply is not None and not (attempt.recovered or attempt.shadow)
    }
    where = hearing.where(run, hearing.FRONTIER)
    prompts = heard.prompts_of(scenario, role, challenger, replies, sources.versions)
    return list(heard.again(scenario, role, replies, prompts, sources.sat, where).values())


def _compared(offered: Sequence[int], trial: Trial, share: float, mine: Scores, frontier: Scores) -> list[int]:
    """Return the seeds up to the look that settled it, that the frontier was silent at, or that spent the budget."""
    seen: list[int] = []
    for first in range(0, min(trial.budget, len(offered)), trial.look):
        block = offered[: trial.budget][first : first + trial.look]
        seen += block
        answered = [seed for seed in seen if seed in frontier and seed in mine]
        gains = differences([mine[seed] for seed in answered], [frontier[seed] for seed in answered])
        if frontier.keys().isdisjoint(block) or settled(gains, trial.margin, share):
            break
    return seen


def _shown(
    sources: _Sources, row: rows.Verdict, trial: Trial, compared: Sequence[int], frontier: Scores, covered: float
) -> Grounds:
    challenger, policy = sources.evaluations[row.evidence["challenger"]], sources.policies[row.policy]
    mine, its = sources.scores[challenger.id], sources.scores.get(row.evidence["champion"])
    answered = [seed for seed in compared if seed in frontier and seed in mine]
    to_frontier = differences([mine[seed] for seed in answered], [frontier[seed] for seed in answered])
    rivalled = [seed for seed in compared if its and seed in its and seed in mine]
    to_champion = differences([mine[seed] for seed in rivalled], [its[seed] for seed in rivalled]) if its else []
    share = sources.shares.get(row.run)
    rate = trial.error_rate if share is None else share
    return Grounds(
        trial=trial,
        seeds=len(answered),
        unanswered=len(compared) - len(answered),
        to_frontier=bounds(to_frontier, rate),
        to_champion=bounds(to_champion, rate),
        valid=challenger.valid or 0.0,
        min_valid=policy.min_valid,
        coverage=covered,
        min_coverage=policy.min_coverage,
        challenger=challenger.id,
        champion=row.evidence["champion"],
        share=share,
    )
