"""Derive again what history says was derived: decisions from facts, walks from decisions, scores from answers. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stepdown.audit.witnesses import Difference, Evidence, compare, difference, knowledge_of, policies_of
from stepdown.history import rows
from stepdown.history.rows import COMPARISON, LIVE
from stepdown.providers.prices import cost
from stepdown.providers.protocol import Completion
from stepdown.routing.canary import draw
from stepdown.routing.decide import Decision, Target, decide, shadowed, walk
from stepdown.routing.facts import Facts
from stepdown.routing.policy import Mode, Policy
from stepdown.routing.reasons import local_failure
from stepdown.scenarios import harness, referee, roles
from stepdown.scenarios.generation import step_seed
from stepdown.scenarios.judging import JUDGE
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.wording import wording


def steps(evidence: Evidence) -> Iterator[Difference]:
    """Derive every step again from what was announced, from its facts and from its attempts (I1, I2, I3, I7)."""
    run_of = {run.id: run for run in evidence.runs}
    announced = grouped(evidence.announcements, "step")
    attempted = grouped(evidence.attempts, "step")
    matched = grouped(evidence.matches, "step")
    versions = knowledge_of(evidence)
    policies = policies_of(evidence)
    for step in evidence.steps:
        run = run_of[step.run]
        scenario = evidence.scenarios(run.scenario)
        for call in announced[step.id]:
            yield from compare(
                "I4", step.id, step, {name: getattr(call, name) for name in ANNOUNCED}, "its announcement"
            )
        yield from _asked(step, run, scenario, versions)
        facts = Facts.from_json(step.facts)
        yield from _decided(step, facts, run, policies.get(step.policy))
        # What another version of the scenario gave cannot be played again by this one.
        same = scenario.version == run.scenario_version
        knowledge = versions.get((run.scenario, step.knowledge), Knowledge())
        judgements = _judgements(step, run, attempted[step.id], scenario, knowledge) if same else None
        yield from _walked(step, facts, attempted[step.id], matched[step.id], scenario, judgements)
        if same:
            measured_now = {"coverage": harness.coverage(scenario, step.validators)}
            yield from compare("I1", step.id, facts, measured_now, "the harness of that step")


ANNOUNCED = (
    "run", "generation", "position", "role", "seed", "knowledge", "policy", "validators", "prompt", "facts", "objections",
)  # fmt: skip


def grouped(values: Sequence[Any], key: str) -> Mapping[str, list[Any]]:
    """Return rows by one of their columns, in their order."""
    groups: dict[str, list[Any]] = defaultdict(list)
    for value in values:
        groups[getattr(value, key)].append(value)
    return groups


def _asked(
    step: rows.Step, run: rows.Run, scenario: Scenario, versions: Mapping[tuple[str, int], Knowledge]
) -> Iterator[Difference]:
    """The question follows from the run's seed and the knowledge of that version."""
    compared = run.purpose == COMPARISON and step.position < run.candidates and step.role != JUDGE
    seed = (
        scenario.comparison_seeds()[step.position] if compared else step_seed(run.seed, step.generation, step.position)
    )
    expected: dict[str, Any] = {"id": f"{step.run}/{step.generation}/{step.position}"}
    # Whoever asks live brings the case.
    live = run.purpose == LIVE
    expected |= {} if live else {"seed": seed}
    knowledge = versions.get((run.scenario, step.knowledge), Knowledge())
    if knowledge.version != step.knowledge:
        yield Difference("I10", step.id, f"its prompt had knowledge {step.knowledge}, which history does not have")
    elif scenario.version == run.scenario_version and not live:
        role = roles.roles(scenario).get(step.role)
        if role is None:
            yield Difference("I10", step.id, f"{run.scenario} has no role {step.role}")
        elif role.prompt is not None and wording(scenario, step.role).is_of(step.facts.get("prompts", "")):
            expected["prompt"] = role.prompt(knowledge, seed)
    yield from compare("I10", step.id, step, expected, "the run")


def _decided(
    step: rows.Step,
    facts: Facts,
    run: rows.Run,
    policy: Policy | None,
) -> Iterator[Difference]:
    """The objections follow from the facts, and the facts from what history says elsewhere."""
    objections = list(decide(facts).objections)
    if step.objections != objections:
        yield difference("I1", step.id, "objections", step.objections, objections, "deciding again")
    if policy is None:
        yield Difference("I10", step.id, f"it names policy {step.policy}, which history does not have")
        return
    derived = {name: getattr(policy, name) for name in LIMITS}
    derived |= {"role": step.role, "draw": draw(step.seed), "local_roles": policy.eligible_roles}
    derived |= {"frontier_allowed": policy.allows_frontier(step.role)}
    if run.purpose == COMPARISON:
        derived["mode"] = Mode.FRONTIER_ONLY
    yield from compare("I1", step.id, facts, derived, "the policy, role or seed of that step")


LIMITS = ("mode", "max_age", "min_score", "min_valid", "min_coverage", "shadow", "canary")


def _walked(
    step: rows.Step,
    facts: Facts,
    attempts: Sequence[rows.Attempt],
    matches: Sequence[rows.PlayedMatch],
    scenario: Scenario,
    judged: Mapping[str, referee.Judgement] | None,
) -> Iterator[Difference]:
    """Who was asked, who served and why follow from the decision and from the attempts.

    Args:
        step: What history says.
        facts: Of the step.
        attempts: Of the step, in their order.
        matches: Of the answer that was used.
        scenario: Where it was taken.
        judged: What each reply is worth, by call; None where nobody can say so any more.
    """
    scored, judgements = judged is not None, judged or {}
    decision = decide(facts)
    counted = [attempt for attempt in attempts if not attempt.shadow]
    targets = [target.value for target in walk(decision, facts.frontier_objection)]
    asked = [attempt.target for attempt in counted]
    wanted = targets[: 1 if counted and counted[0].accepted else len(targets)]
    if asked != wanted and not (step.recovered and asked == targets[: len(asked)]):
        yield difference("I2" if decision.local else "I3", step.id, "asked", asked, wanted, "the decision")
    if step.recovered:
        yield from _recovered(step, decision, counted)
        for attempt in attempts:
            yield from compare("I4", attempt.call, attempt, UNJUDGED, "its recovery")
        yield from _matched(step, matches, None, scenario)
        return
    # Nothing runs in the shadow of a step that asks nobody.
    if (shadowed(decision) and bool(targets)) is not any(attempt.shadow for attempt in attempts):
        yield Difference("I3", step.id, "the policy's shadow and the shadow attempts disagree")
    derived = _outcome(decision.local, facts, decision.reason, counted)
    served = next((attempt for attempt in counted if attempt.accepted), None)
    if scored:
        derived |= _used(step, judgements.get(served.call) if served else None, scenario)
    yield from compare("I3", step.id, step, derived, "its attempts")
    for attempt in attempts:
        if attempt.recovered:
            yield Difference("I4", attempt.call, "marked as recovered in a step that was not")
        if scored:
            yield from _judged(attempt, judgements.get(attempt.call), again=referee.reproducible(scenario))
    if scored and referee.reproducible(scenario):
        yield from _matched(step, matches, judgements.get(served.call) if served else None, scenario)


def _recovered(step: rows.Step, decision: Decision, counted: Sequence[rows.Attempt]) -> Iterator[Difference]:
    """What recovery closes, it closes as interrupted: nobody was served, for the reason that the decision gave."""
    failed_first = len(counted) > 1 and decision.reason is None
    expected = {
        **dict.fromkeys(("served", "served_call", "reply", "answer", "score")),
        "requested": counted[0].target if counted else None,
        "reason": local_failure(counted[0].error_type or "invalid-output") if failed_first else decision.reason,
        "outcome": "interrupted",
        "error": "interrupted",
    }
    yield from compare("I4", step.id, step, expected, "its recovery")


UNJUDGED = {"recovered": True, "refusals": [], "score": None, "cost": None}
"""What recovery closes, it does not judge: nobody was served."""


def _outcome(local: bool, facts: Facts, reason: str | None, counted: Sequence[rows.Attempt]) -> dict[str, Any]:
    served = next((attempt for attempt in counted if attempt.accepted), None)
    if reason is None and counted and not counted[0].accepted:
        reason = local_failure(counted[0].error_type or "")
    error = None
    if served is None:
        error = facts.frontier_objection or (counted[-1].error_type if counted else None)
    return {
        "requested": (Target.LOCAL if local else Target.FRONTIER).value,
        "reason": reason,
        "outcome": "served" if served else "failed",
        "error": error,
        "served": served.target if served else None,
        "served_call": served.call if served else None,
        "reply": served.reply if served else None,
    }


def _judgements(
    step: rows.Step, run: rows.Run, attempts: Sequence[rows.Attempt], scenario: Scenario, knowledge: Knowledge
) -> Mapping[str, referee.Judgement]:
    """Judge every reply of a step again, each once; a scenario that cannot score again is not asked to."""
    role = roles.roles(scenario).get(step.role)
    if role is None:
        return {}
    seeds: Sequence[int] = ()
    if role.judged and referee.reproducible(scenario):
        live = run.purpose == LIVE
        asked = (scenario, role, step.seed, knowledge, step.prompt)
        seeds = referee.live_seeds(*asked) if live else referee.seeds_of(scenario, step.seed)
    return {
        attempt.call: referee.judge(scenario, role, attempt.reply, seeds, step.validators)
        for attempt in attempts
        if attempt.reply is not None
    }


def _used(step: rows.Step, judgement: referee.Judgement | None, scenario: Scenario) -> dict[str, Any]:
    """Return what a step keeps of the reply that was used."""
    answer = judgement.answer if judgement and step.role in roles.roles(scenario) else None
    judged = answer is not None and roles.role_named(scenario, step.role).judged
    used: dict[str, Any] = {"answer": answer.text if answer and judged else None}
    if judgement is None or referee.reproducible(scenario):
        used["score"] = judgement.score if judgement else None
    return used


def _judged(attempt: rows.Attempt, judgement: referee.Judgement | None, *, again: bool) -> Iterator[Difference]:
    """What the harness said, the score and the cost follow from the reply."""
    if attempt.reply is None or judgement is None:
        empty: dict[str, Any] = {"refusals": [], "score": None, "cost": None}
        yield from compare("I7", attempt.call, attempt, empty, "a call without a reply")
        return
    refusals = list(judgement.refusals)
    completion = Completion(
        attempt.reply,
        attempt.provider or "",
        attempt.model or "",
        attempt.weights_digest,
        attempt.input_tokens,
        attempt.output_tokens,
    )
    expected = {
        "refusals": refusals,
        "error_type": "invalid-output" if refusals else None,
        "error": refusals[0] if refusals else None,
        **({"score": judgement.score} if again or refusals else {}),
    }
    yield from compare("I7", attempt.call, attempt, expected, "the harness and the scenario")
    yield from compare(
        "I12",
        attempt.call,
        attempt,
        {"cost": None if attempt.shadow else cost(completion, attempt.at)},
        "the price table",
    )


def _matched(
    step: rows.Step, matches: Sequence[rows.PlayedMatch], judgement: referee.Judgement | None, scenario: Scenario
) -> Iterator[Difference]:
    played = judgement.matches if judgement else ()
    expected = [rows.PlayedMatch(step.id, match.seed, match.score, match.won, match.parts) for match in played]
    if list(matches) != expected:
        yield Difference("I7", step.id, f"its matches are not what {scenario.name} gives for its answer")


def reworded(evidence: Evidence) -> Iterator[str]:
    """Say of how many steps the prompts could not be made again, because their text is another by now."""
    run_of = {run.id: run for run in evidence.runs}
    counts: dict[str, int] = defaultdict(int)
    for step in evidence.steps:
        run = run_of[step.run]
        scenario = evidence.scenarios(run.scenario)
        same = wording(scenario, step.role).is_of(step.facts.get("prompts", ""))
        counts[run.scenario] += scenario.version == run.scenario_version and not same
    for name, count in counts.items():
        if count:
            yield f"another text: {count} steps of {name} were asked with another prompt's text, and it was not made again"


def unreproducible(evidence: Evidence) -> Iterator[str]:
    """Say what could not be played again, because its scenario does not promise to give the same score twice."""
    for name in dict.fromkeys(run.scenario for run in evidence.runs):
        if not referee.reproducible(evidence.scenarios(name)):
            runs = sum(run.scenario == name for run in evidence.runs)
            yield f"not reproducible: {name} does not give a score twice, so those of its {runs} runs were not played again"
