"""Decide every generation again from its steps, and follow what was learned from them. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from stepdown.audit import verdicts
from stepdown.audit.witnesses import Difference, Evidence, compare, knowledge_of
from stepdown.history import rows
from stepdown.scenarios import prompt, referee, roles
from stepdown.scenarios.generation import gate, outcome
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.wording import wording


def generations(evidence: Evidence) -> Iterator[Difference]:
    """Decide every generation again from its steps (I10)."""
    by_generation: dict[tuple[str, int], list[rows.Step]] = defaultdict(list)
    for step in verdicts.scored(evidence):
        if step.answer is not None and step.score is not None:
            by_generation[step.run, step.generation].append(step)
    scenario_of = {run.id: run.scenario for run in evidence.runs}
    champions: dict[str, tuple[str | None, float | None]] = defaultdict(lambda: (None, None))
    decided: Counter[str] = Counter()
    for row in evidence.generations:
        decided[row.run] += 1
        if row.number != decided[row.run]:
            yield Difference("I10", f"{row.run}/{row.number}", f"it stands where generation {decided[row.run]} should")
        candidates = sorted(by_generation[row.run, row.number], key=lambda step: step.position)
        scores = {step.id: step.score for step in candidates if step.score is not None}
        best, score = outcome(scores, own_case=referee.own_case(evidence.scenarios(scenario_of[row.run])))
        decision = gate(score, champions[row.run][1])
        if decision == "advance" and best is not None:
            champions[row.run] = (best, score)
        champion, champion_score = champions[row.run]
        expected = {
            "decision": decision,
            "best": best,
            "score": score,
            "champion": champion,
            "champion_score": champion_score,
        }
        yield from compare("I10", f"{row.run}/{row.number}", row, expected, "its steps")


def coached(evidence: Evidence) -> Iterator[Difference]:
    """The coach was asked about what the candidates of its generation had come to, with the knowledge that it names (I10)."""
    run_of = {run.id: run for run in evidence.runs}
    versions = knowledge_of(evidence)
    answers: dict[tuple[str, int], list[rows.Step]] = defaultdict(list)
    for step in verdicts.scored(evidence):
        if step.answer is not None and step.score is not None:
            answers[step.run, step.generation].append(step)
    for step in evidence.steps:
        run = run_of[step.run]
        scenario = evidence.scenarios(run.scenario)
        coach, knowledge = roles.coach(scenario), versions.get((run.scenario, step.knowledge))
        asked = coach is not None and step.role == coach.name and run.purpose == rows.WORK
        if not asked or scenario.version != run.scenario_version or (knowledge is None and step.knowledge != 0):
            continue
        if not wording(scenario, step.role).is_of(step.facts.get("prompts", "")):
            continue
        given = sorted(answers[step.run, step.generation], key=lambda each: each.position)
        scored = [(each.seed, each.answer or "", each.score or 0.0) for each in given]
        results = prompt.results(scenario, scored, own_case=referee.own_case(scenario))
        expected = {"prompt": prompt.coach(scenario, knowledge or Knowledge(), results)}
        yield from compare("I10", step.id, step, expected, "its generation")


def lessons(evidence: Evidence) -> Iterator[Difference]:
    """Knowledge grows by one version at a time, each by another step, and says what a coach said or what was known (I10)."""
    taught = {step.id: roles.lesson(step.reply) for step in evidence.steps if step.reply is not None}
    seen: dict[str, set[tuple[str, str]]] = defaultdict(lambda: {(Knowledge().playbook, Knowledge().hints)})
    last: dict[str, int] = defaultdict(int)
    named: set[str] = set()
    for row in evidence.lessons:
        where = f"knowledge {row.scenario} {row.version}"
        if row.version != last[row.scenario] + 1:
            yield Difference("I10", where, f"it follows version {last[row.scenario]}")
        if row.step in named:
            yield Difference("I10", where, f"an earlier version came of its step {row.step}")
        named.add(row.step)
        text = (row.playbook, row.hints)
        if text != taught.get(row.step) and text not in seen[row.scenario]:
            yield Difference("I10", where, f"its step {row.step} did not teach it, and it was not known before")
        seen[row.scenario].add(text)
        last[row.scenario] = row.version
