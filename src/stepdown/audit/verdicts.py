"""What a judging model said of an answer follows from its call: its prompt, its score and its reason. Pure.

The score itself cannot be had again. So a recorded verdict is compared with the reply of the judging call, and that reply with
the trace, like any other.
"""

from collections.abc import Iterator
from dataclasses import replace

from stepdown.audit.steps import grouped
from stepdown.audit.witnesses import Difference, Evidence, compare, knowledge_of
from stepdown.history import rows
from stepdown.scenarios import judging, referee, roles
from stepdown.scenarios.prompt import Knowledge

Pair = tuple[rows.Step, rows.Step | None]
"""An answer that was served, and the step that judged it."""

SERVING = (rows.WORK, rows.LIVE)
"""What runs are for in which answers are served; of held-out ones see `heard`."""


def verdicts(evidence: Evidence) -> Iterator[Difference]:
    """Each answer was judged once, on its own words, and history says what the judge said (I7)."""
    written = {row.by.removeprefix(judging.BY): row for row in evidence.judgements if row.by.startswith(judging.BY)}
    times = len([row for row in evidence.judgements if row.by.startswith(judging.BY)])
    if times != len(written):
        yield Difference("I7", "judgements", "a judging call gave more than one of them")
    run_of = {run.id: run for run in evidence.runs}
    completed = {row.run for row in evidence.endings if row.outcome == "completed"}
    judged: set[str] = set()
    for answer, judge in pairs(evidence):
        if judge is None:
            if answer.run in completed:
                yield Difference("I7", answer.id, "its run completed without asking the judge about it")
            continue
        judged.add(judge.id)
        yield from _asked(evidence, run_of[answer.run], answer, judge)
        yield from _given(answer, judge, written.pop(judge.served_call or "", None))
    for call in written:
        yield Difference("I7", call, "history has a verdict of this judging call, and no such call judged an answer")
    for step in evidence.steps:
        run = run_of[step.run]
        judges = step.role == judging.JUDGE and judging.of(evidence.scenarios(run.scenario)) is not None
        if judges and run.purpose in SERVING and step.id not in judged:
            yield Difference("I7", step.id, "it judges no answer that was served")


def pairs(evidence: Evidence) -> Iterator[Pair]:
    """Yield every answer that a judging model was to be asked about, with the step that asked it."""
    taken = grouped(evidence.steps, "run")
    for run in evidence.runs:
        if run.purpose not in SERVING or judging.of(evidence.scenarios(run.scenario)) is None:
            continue
        judges = {(step.generation, step.position): step for step in taken[run.id] if step.role == judging.JUDGE}
        for step in taken[run.id]:
            if step.answer is not None and step.role != judging.JUDGE:
                live = run.purpose == rows.LIVE
                yield step, judges.get(judging.place(step.generation, step.position, run.candidates, live=live))


def scored(evidence: Evidence) -> list[rows.Step]:
    """Return the steps, each answer with the score that its run went by: its own, or what its judging call said."""
    scores: dict[str, float | None] = {}
    for step, judge in pairs(evidence):
        verdict = judging.verdict(judge.reply) if judge is not None and judge.reply is not None else None
        scores[step.id] = verdict[0] if verdict is not None else None
    return [replace(step, score=scores[step.id]) if step.id in scores else step for step in evidence.steps]


def _asked(evidence: Evidence, run: rows.Run, step: rows.Step, judge: rows.Step) -> Iterator[Difference]:
    """The judge was asked about this answer to this question, and about nothing else."""
    scenario = evidence.scenarios(run.scenario)
    if scenario.version != run.scenario_version:
        return
    knowledge = knowledge_of(evidence).get((run.scenario, step.knowledge), Knowledge())
    role = roles.role_named(scenario, step.role)
    asked = referee.judging_prompt(scenario, role, step.seed, knowledge, step.prompt, step.answer or "")
    yield from compare("I7", judge.id, judge, {"prompt": asked, "knowledge": step.knowledge}, "the answer it judges")


def _given(step: rows.Step, judge: rows.Step, row: rows.GivenScore | None) -> Iterator[Difference]:
    """The verdict in history is the one in the judge's reply, and there is none where the judge said none."""
    verdict = judging.verdict(judge.reply) if judge.reply is not None else None
    if verdict is None or row is None:
        if (verdict is None) is not (row is None):
            yield Difference("I7", judge.id, "its reply and history disagree on whether there is a verdict")
        return
    expected = {"call": step.served_call, "score": verdict[0], "why": verdict[1]}
    yield from compare("I7", f"judgement of {row.call}", row, expected, "the judging call")


def unreproducible(evidence: Evidence) -> Iterator[str]:
    """Say which scores a model gave: they are compared with its calls, and cannot be had again."""
    for name in dict.fromkeys(run.scenario for run in evidence.runs):
        if judging.of(evidence.scenarios(name)) is not None:
            runs = {run.id for run in evidence.runs if run.scenario == name}
            count = sum(step.run in runs and step.role == judging.JUDGE for step in evidence.steps)
            yield (
                f"not reproducible: a model judges the answers of {name}, so its {count} verdicts were compared with the "
                "calls that gave them, and not asked for again"
            )
