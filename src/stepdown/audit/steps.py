"""Derive again what history says was derived: decisions from facts, walks from decisions, scores from strategies. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stepdown.audit.witnesses import Difference, Evidence, compare, difference, policies_of
from stepdown.digest import digest
from stepdown.history import rows
from stepdown.history.rows import COMPARISON
from stepdown.providers.prices import cost
from stepdown.providers.protocol import Completion
from stepdown.routing.breaker import Breaker
from stepdown.routing.canary import draw
from stepdown.routing.decide import Target, decide, shadowed, walk
from stepdown.routing.facts import Facts
from stepdown.routing.policy import Mode, Policy
from stepdown.routing.reasons import local_failure
from stepdown.scenarios import harness, prompt, referee
from stepdown.scenarios.generation import gate, step_seed
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.training.evaluation import summarize


def steps(evidence: Evidence) -> Iterator[Difference]:
    """Derive every step again from what was announced, from its facts and from its attempts (I1, I2, I3, I7)."""
    run_of = {run.id: run for run in evidence.runs}
    announced = _grouped(evidence.announcements, "step")
    attempted = _grouped(evidence.attempts, "step")
    matched = _grouped(evidence.matches, "step")
    known = {
        (lesson.scenario, lesson.version): Knowledge(lesson.version, lesson.playbook, lesson.hints)
        for lesson in evidence.lessons
    }
    policies = policies_of(evidence)
    measured = {(row.bundle, row.lower, row.valid) for row in evidence.evaluations}
    for step in evidence.steps:
        run = run_of[step.run]
        scenario = evidence.scenarios(run.scenario)
        for call in announced[step.id]:
            yield from compare(
                "I4", step.id, step, {name: getattr(call, name) for name in ANNOUNCED}, "its announcement"
            )
        yield from _asked(step, run, scenario, known)
        facts = Facts.from_json(step.facts)
        yield from _decided(step, facts, run, policies.get(step.policy), measured)
        # What another version of the scenario gave cannot be played again by this one.
        same = scenario.version == run.scenario_version
        yield from _walked(step, facts, attempted[step.id], scenario, scored=same)
        if same:
            yield from _matched(step, matched[step.id], scenario)
            measured_now = {"coverage": harness.coverage(scenario, step.validators)}
            yield from compare("I1", step.id, facts, measured_now, "the harness of that step")


ANNOUNCED = (
    "run", "generation", "position", "role", "seed", "knowledge", "policy", "validators", "prompt", "facts", "objections",
)  # fmt: skip


def _grouped(values: Sequence[Any], key: str) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for value in values:
        found[getattr(value, key)].append(value)
    return found


def _asked(
    step: rows.Step, run: rows.Run, scenario: Scenario, known: Mapping[tuple[str, int], Knowledge]
) -> Iterator[Difference]:
    """The question follows from the run's seed and the knowledge of that version."""
    compared = run.purpose == COMPARISON and step.position < run.candidates
    seed = (
        scenario.comparison_seeds()[step.position] if compared else step_seed(run.seed, step.generation, step.position)
    )
    expected: dict[str, Any] = {"id": f"{step.run}/{step.generation}/{step.position}", "seed": seed}
    knowledge = known.get((run.scenario, step.knowledge), Knowledge())
    if knowledge.version != step.knowledge:
        yield Difference("I10", step.id, f"its prompt had knowledge {step.knowledge}, which history does not have")
    elif step.role != referee.COACH and scenario.version == run.scenario_version:
        expected["prompt"] = prompt.competitor(scenario, knowledge, seed)
    yield from compare("I10", step.id, step, expected, "the run")


def _decided(
    step: rows.Step,
    facts: Facts,
    run: rows.Run,
    policy: Policy | None,
    measured: set[tuple[str, float | None, float | None]],
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
    if facts.evaluated and (facts.bundle, facts.score, facts.valid) not in measured:
        yield Difference("I1", step.id, f"no evaluation of its bundle says {facts.score} and {facts.valid}")


LIMITS = ("mode", "max_age", "min_score", "min_valid", "min_coverage", "shadow", "canary")


def _walked(
    step: rows.Step, facts: Facts, attempts: Sequence[rows.Attempt], scenario: Scenario, *, scored: bool
) -> Iterator[Difference]:
    """Who was asked, who served and why follow from the decision and from the attempts."""
    decision = decide(facts)
    counted = [attempt for attempt in attempts if not attempt.shadow]
    targets = [target.value for target in walk(decision, frontier_allowed=facts.frontier_allowed)]
    asked = [attempt.target for attempt in counted]
    wanted = targets[: 1 if counted and counted[0].accepted else len(targets)]
    if asked != wanted and not (step.recovered and asked == targets[: len(asked)]):
        yield difference("I2" if decision.local else "I3", step.id, "asked", asked, wanted, "the decision")
    if step.recovered:
        failed_first = len(counted) > 1 and decision.reason is None
        expected: dict[str, Any] = {
            "requested": counted[0].target if counted else None,
            "reason": local_failure(counted[0].error_type or "invalid-output") if failed_first else decision.reason,
            "outcome": "interrupted",
            "error": "interrupted",
            "served": None,
            "served_call": None,
            "reply": None,
            "strategy": None,
            "score": None,
        }
        yield from compare("I4", step.id, step, expected, "its recovery")
        for attempt in attempts:
            yield from compare("I4", attempt.call, attempt, UNJUDGED, "its recovery")
        return
    if shadowed(decision) is not any(attempt.shadow for attempt in attempts):
        yield Difference("I3", step.id, "the policy's shadow and the shadow attempts disagree")
    derived = _outcome(decision.local, facts, decision.reason, counted)
    served = next((attempt for attempt in counted if attempt.accepted), None)
    if scored:
        strategy = referee.strategy(scenario, step.role, served.text) if served else None
        derived["strategy"] = strategy.text if strategy else None
        derived["score"] = referee.score(scenario, step.role, served.text or "") if served else None
    yield from compare("I3", step.id, step, derived, "its attempts")
    for attempt in attempts:
        if attempt.recovered:
            yield Difference("I4", attempt.call, "marked as recovered in a step that was not")
        if scored:
            yield from _judged(attempt, step, scenario)


UNJUDGED = {"recovered": True, "refusals": [], "score": None, "cost": None}
"""What recovery closes, it does not judge: nobody was served."""


def _outcome(local: bool, facts: Facts, reason: str | None, counted: Sequence[rows.Attempt]) -> dict[str, Any]:
    served = next((attempt for attempt in counted if attempt.accepted), None)
    if reason is None and counted and not counted[0].accepted:
        reason = local_failure(counted[0].error_type or "")
    error = None
    if served is None:
        error = counted[-1].error_type if facts.frontier_allowed and counted else "frontier-forbidden"
    return {
        "requested": (Target.LOCAL if local else Target.FRONTIER).value,
        "reason": reason,
        "outcome": "served" if served else "failed",
        "error": error,
        "served": served.target if served else None,
        "served_call": served.call if served else None,
        "reply": served.text if served else None,
    }


def _judged(attempt: rows.Attempt, step: rows.Step, scenario: Scenario) -> Iterator[Difference]:
    """What the harness said, the score and the cost follow from the reply."""
    if attempt.text is None:
        empty: dict[str, Any] = {"refusals": [], "score": None, "cost": None}
        yield from compare("I7", attempt.call, attempt, empty, "a call without a reply")
        return
    refusals = list(referee.refusals(scenario, step.role, step.validators, attempt.text))
    answer = Completion(
        attempt.text,
        attempt.provider or "",
        attempt.model or "",
        attempt.digest,
        attempt.input_tokens,
        attempt.output_tokens,
    )
    expected = {
        "refusals": refusals,
        "error_type": "invalid-output" if refusals else None,
        "error": refusals[0] if refusals else None,
        "score": None if refusals else referee.score(scenario, step.role, attempt.text),
    }
    yield from compare("I7", attempt.call, attempt, expected, "the harness and the scenario")
    yield from compare(
        "I12", attempt.call, attempt, {"cost": None if attempt.shadow else cost(answer, attempt.at)}, "the price table"
    )


def _matched(step: rows.Step, matches: Sequence[rows.Match], scenario: Scenario) -> Iterator[Difference]:
    strategy = referee.strategy(scenario, step.role, step.strategy) if step.strategy else None
    played = referee.tournament(scenario, strategy) if strategy else []
    expected = [rows.Match(step.id, match.seed, match.score, match.won, match.parts) for match in played]
    if list(matches) != expected:
        yield Difference("I7", step.id, f"its matches are not what {scenario.name} gives for its strategy")


def breakers(evidence: Evidence) -> Iterator[Difference]:
    """Fold every bundle's breaker again from its attempts (I10)."""
    step_of = {step.id: step for step in evidence.steps}
    policies = policies_of(evidence)
    now: dict[str, Breaker] = defaultdict(Breaker)
    for attempt in evidence.attempts:
        moves = attempt.bundle is not None and not attempt.shadow and not attempt.recovered
        stored = None
        if moves and attempt.bundle is not None:
            policy = policies.get(step_of[attempt.step].policy, Policy())
            now[attempt.bundle] = now[attempt.bundle].after(policy, attempt.at, failed=not attempt.accepted)
            stored = now[attempt.bundle].as_json()
        yield from compare("I10", attempt.call, attempt, {"breaker": stored}, "folding its bundle's attempts")


def generations(evidence: Evidence) -> Iterator[Difference]:
    """Decide every generation again from its steps (I10)."""
    by_generation: dict[tuple[str, int], list[rows.Step]] = defaultdict(list)
    for step in evidence.steps:
        if step.strategy is not None and step.score is not None:
            by_generation[step.run, step.generation].append(step)
    champions: dict[str, tuple[str | None, float | None]] = defaultdict(lambda: (None, None))
    for row in evidence.generations:
        candidates = sorted(by_generation[row.run, row.number], key=lambda step: step.position)
        best = max(candidates, key=lambda step: step.score or 0.0, default=None)
        score = best.score if best else None
        decision = gate(score, champions[row.run][1])
        if decision == "advance" and best is not None:
            champions[row.run] = (best.id, score)
        champion, champion_score = champions[row.run]
        expected = {
            "decision": decision,
            "best": best.id if best else None,
            "score": score,
            "champion": champion,
            "champion_score": champion_score,
        }
        yield from compare("I10", f"{row.run}/{row.number}", row, expected, "its steps")


def evaluations(evidence: Evidence) -> Iterator[Difference]:
    """Sum every evaluation again from its held-out replies, and play those again (I7)."""
    bundle_of = {bundle.id: bundle for bundle in evidence.bundles}
    held_out = _grouped(evidence.holdouts, "evaluation")
    for row in evidence.evaluations:
        scenario = evidence.scenarios(bundle_of[row.bundle].scenario)
        replies: Sequence[rows.Holdout] = held_out[row.id]
        yield from compare("I7", row.id, row, {"terms_digest": digest(row.terms)}, "its terms")
        if [reply.seed for reply in replies] != row.terms.get("seeds"):
            yield Difference("I7", row.id, "its held-out seeds are not those of its terms")
        if row.terms.get("scenario_version") != scenario.version:
            continue
        summary = summarize([reply.score for reply in replies], [reply.legal for reply in replies])
        expected = {"mean": summary.mean, "lower": summary.lower, "valid": summary.valid, "seeds": len(replies)}
        yield from compare("I7", row.id, row, expected, "its held-out replies")
        for reply in replies:
            strategy = referee.strategy(scenario, "", reply.reply)
            played = scenario.play(strategy, reply.seed).score if strategy else 0.0
            again = {"legal": strategy is not None, "score": played}
            yield from compare("I7", f"{row.id} seed {reply.seed}", reply, again, "the scenario")


def lessons(evidence: Evidence) -> Iterator[Difference]:
    """Knowledge grows by one version at a time, and says what a coach said or what was known before (I10)."""
    said = {step.id: referee.lesson(step.reply) for step in evidence.steps if step.reply is not None}
    seen: dict[str, set[tuple[str, str]]] = defaultdict(lambda: {(Knowledge().playbook, Knowledge().hints)})
    last: dict[str, int] = defaultdict(int)
    for row in evidence.lessons:
        where = f"knowledge {row.scenario} {row.version}"
        if row.version != last[row.scenario] + 1:
            yield Difference("I10", where, f"it follows version {last[row.scenario]}")
        text = (row.playbook, row.hints)
        if text != said.get(row.step) and text not in seen[row.scenario]:
            yield Difference("I10", where, f"its step {row.step} did not teach it, and it was not known before")
        seen[row.scenario].add(text)
        last[row.scenario] = row.version
