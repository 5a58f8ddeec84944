"""Why the frontier was not asked: what its run had spent, and whether its provider could be had. Pure."""

from collections.abc import Iterator
from itertools import pairwise

from stepdown.audit.steps import grouped
from stepdown.audit.witnesses import Difference, Evidence, policies_of
from stepdown.history import rows
from stepdown.routing.facts import Facts
from stepdown.scenarios.judging import JUDGE

FRONTIER = "frontier"


def budgets(evidence: Evidence) -> Iterator[Difference]:
    """A step is refused for its run's budget exactly when that was spent (I1), as far as the order of calls is known.

    Calls of one generation may be under way together. So what was surely spent before a step is what earlier generations
    spent, and what may have been is what the whole run spent without it. Where a run is not of generations, those that judge
    have numbers of their own and come between the others.
    """
    ordered = {run.id for run in evidence.runs if run.purpose == rows.WORK}
    policies = policies_of(evidence)
    attempts = grouped([attempt for attempt in evidence.attempts if attempt.target == FRONTIER], "step")
    for steps in grouped(evidence.steps, "run").values():
        for step in steps:
            policy = policies.get(step.policy)
            if policy is None:
                continue
            over = Facts.from_json(step.facts).over_budget
            if not over and not policy.budgeted:
                continue
            before = [each for each in steps if each.generation < step.generation and step.run in ordered]
            surely = [a for each in before for a in attempts[each.id]]
            perhaps = [a for each in steps if each.id != step.id for a in attempts[each.id]]
            if over and not policy.overspent(*_spent(perhaps)):
                yield Difference("I1", step.id, "over_budget is said, and its run had not spent that much")
            elif not over and policy.overspent(*_spent(surely)):
                yield Difference("I1", step.id, "over_budget is not said, and earlier generations had spent it")


def availability(evidence: Evidence) -> Iterator[Difference]:
    """A run's frontier is made when it begins and when it goes on; no other step finds that it can be had, or cannot (I1)."""
    resumed = grouped(evidence.resumptions, "run")
    asked = [step for step in evidence.steps if step.role != JUDGE]  # A judge is a provider of its own.
    for run, steps in grouped(asked, "run").items():
        unavailable = [Facts.from_json(step.facts).unavailable for step in steps]
        changes = sum(now is not before for before, now in pairwise(unavailable))
        if changes > len(resumed[run]):
            yield Difference(
                "I1", run, f"its frontier was made unavailable, or had again, {changes} times between its steps"
            )


def _spent(attempts: list[rows.Attempt]) -> tuple[int, float | None]:
    tokens = sum((attempt.input_tokens or 0) + (attempt.output_tokens or 0) for attempt in attempts)
    costs = [attempt.cost for attempt in attempts]
    return tokens, None if None in costs else sum(cost or 0.0 for cost in costs)
