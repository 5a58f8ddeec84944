"""Derive verdicts again from their evidence, and activations from verdicts. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stepdown.history import rows
from stepdown.history.audit import Difference, Evidence, difference
from stepdown.scenarios.protocol import Scenario
from stepdown.training.evaluation import held_out
from stepdown.training.promotion import Evidence as Shown
from stepdown.training.promotion import Trial, bounds, differences


def verdicts(evidence: Evidence) -> Iterator[Difference]:
    """Judge every promotion again: from the bundles' replies, and from what the frontier said on the same seeds (I10)."""
    replies: dict[str, dict[int, float]] = defaultdict(dict)
    for reply in evidence.holdouts:
        replies[reply.evaluation][reply.seed] = reply.score
    evaluations = {row.id: row for row in evidence.evaluations}
    bundles = {bundle.id: bundle for bundle in evidence.bundles}
    for row in evidence.verdicts:
        where = f"verdict on {row.bundle[:12]} of {row.run}"
        mine = evaluations.get(row.evidence["challenger"])
        if mine is None or mine.bundle != row.bundle:
            yield Difference("I10", where, "it names an evaluation that is not the bundle's")
            continue
        scenario = evidence.scenarios(bundles[row.bundle].scenario)
        if mine.terms["scenario_version"] != scenario.version:
            continue
        its = replies[row.evidence["champion"]] if row.evidence["champion"] else None
        shown = _shown(row.evidence, mine, replies[mine.id], its, _said(evidence, row.run, scenario))
        for name, value in {**shown.as_json(), "outcome": shown.outcome.value}.items():
            stored = row.outcome if name == "outcome" else row.evidence[name]
            if stored != value:
                yield difference("I10", where, name, stored, value, "judging again")


def _said(evidence: Evidence, run: str, scenario: Scenario) -> Mapping[int, float]:
    """Return the frontier's score on each seed that it answered in a run."""
    seed_of = {step.id: step.seed for step in evidence.steps if step.run == run}
    return {
        seed_of[attempt.step]: held_out(scenario, seed_of[attempt.step], attempt.text).score
        for attempt in evidence.attempts
        if attempt.step in seed_of and attempt.text is not None and not attempt.recovered
    }


def _shown(
    stored: rows.Json,
    challenger: rows.Evaluation,
    mine: Mapping[int, float],
    its: Mapping[int, float] | None,
    frontier: Mapping[int, float],
) -> Shown:
    seeds: Sequence[int] = challenger.terms["seeds"]
    answered = [seed for seed in seeds if seed in frontier]
    trial = Trial(**stored["trial"])
    to_frontier = differences([mine[seed] for seed in answered], [frontier[seed] for seed in answered])
    to_champion = differences([mine[seed] for seed in seeds], [its[seed] for seed in seeds]) if its else []
    derived: dict[str, Any] = {
        "trial": trial,
        "seeds": len(answered),
        "unanswered": len(seeds) - len(answered),
        "to_frontier": bounds(to_frontier, trial.error_rate),
        "to_champion": bounds(to_champion, trial.error_rate),
        "valid": challenger.valid or 0.0,
    }
    # The policy's limit and the harness of that moment are what was judged by; nothing else remembers the moment.
    given = {name: stored[name] for name in ("min_valid", "coverage", "min_coverage", "challenger", "champion")}
    return Shown(**derived, **given)


def activations(evidence: Evidence) -> Iterator[Difference]:
    """No bundle became its slot's without a verdict, unless by force or by going back (I10)."""
    promoted = {row.bundle for row in evidence.verdicts if row.outcome == "promote"}
    for act in evidence.acts:
        trusted = act.forced or act.by == "rollback" or act.bundle in promoted
        if act.kind == "activate" and not trusted:
            yield Difference("I10", f"activate {act.bundle[:12]}", "no verdict promotes it, and nobody forced it")
