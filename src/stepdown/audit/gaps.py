"""Find what history names and does not have, and what a completed run must have left. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from stepdown.audit.witnesses import Difference, Evidence
from stepdown.history import rows
from stepdown.routing.facts import Facts
from stepdown.routing.policy import Policy
from stepdown.scenarios import roles
from stepdown.scenarios.judging import JUDGE
from stepdown.scenarios.prompt import Knowledge
from stepdown.training import hearing

COMPARED = hearing.CHAMPION
"""The last generation of a comparison in which answers are judged."""


def dangling(evidence: Evidence) -> Iterator[Difference]:
    """Yield rows that name another which is not there (I10). While there is one, nothing more can be derived."""
    runs = {run.id for run in evidence.runs}
    calls = {call.call for call in evidence.announcements}
    steps = {step.id for step in evidence.steps}
    bundles = {bundle.id for bundle in evidence.bundles}
    evaluations = {evaluation.id for evaluation in evidence.evaluations}
    references: list[tuple[Sequence[Any], str, set[str]]] = [
        (evidence.announcements, "run", runs),
        (evidence.attempts, "call", calls),
        (evidence.attempts, "step", steps),
        (evidence.steps, "run", runs),
        (evidence.matches, "step", steps),
        (evidence.generations, "run", runs),
        (evidence.endings, "run", runs),
        (evidence.resumptions, "run", runs),
        (evidence.lessons, "step", steps),
        (evidence.evaluations, "bundle", bundles),
        ([row for row in evidence.evaluations if row.run is not None], "run", runs),
        (evidence.holdouts, "evaluation", evaluations),
        (evidence.acts, "bundle", bundles),
        (evidence.verdicts, "bundle", bundles),
        (evidence.verdicts, "run", runs),
        (evidence.judgements, "call", {attempt.call for attempt in evidence.attempts}),
    ]
    for referring, name, ids in references:
        for wanted in dict.fromkeys(getattr(row, name) for row in referring if getattr(row, name) not in ids):
            kind = re.sub("(?<!^)(?=[A-Z])", " ", type(referring[0]).__name__).lower()
            yield Difference("I10", wanted, f"history has no such {name}, and a row of kind {kind} names it")
    yield from _unreadable(evidence)


def _unreadable(evidence: Evidence) -> Iterator[Difference]:
    for step in evidence.steps:
        try:
            Facts.from_json(step.facts)
        except (KeyError, TypeError, ValueError, AttributeError):
            yield Difference("I1", step.id, "its facts are not such as a decision is made from")
    for change in evidence.policies:
        try:
            Policy.from_json(change.settings)
        except (TypeError, ValueError, AttributeError):
            yield Difference("I10", f"policy {change.number}", "its settings are not a policy's")
    for verdict in evidence.verdicts:
        if not {"challenger", "champion"} <= set(verdict.evidence):
            where = f"verdict on {verdict.bundle[:12]} of {verdict.run}"
            yield Difference("I10", where, "its evidence does not say who was compared")


def missing(evidence: Evidence) -> Iterator[Difference]:
    """Yield what a completed run should have left behind: every step of every generation (I4), every gate decision (I10)."""
    completed = {ending.run for ending in evidence.endings if ending.outcome == "completed"}
    taken = {step.id for step in evidence.steps}
    decided = {(generation.run, generation.number) for generation in evidence.generations}
    for run in evidence.runs:
        if run.id not in completed or run.purpose != rows.WORK:
            continue
        for number in range(1, run.generations + 1):
            if (run.id, number) not in decided:
                yield Difference("I10", f"{run.id}/{number}", "the run completed without a decision on this generation")
            # Its candidates, and the coach after them, if the scenario has one.
            asked = run.candidates + (roles.coach(evidence.scenarios(run.scenario)) is not None)
            for step in (f"{run.id}/{number}/{position}" for position in range(asked)):
                if step not in taken:
                    yield Difference("I4", step, "the run completed without this step")


def judged(evidence: Evidence) -> Iterator[Difference]:
    """Yield what was said of an answer that nobody was given, or in no score (I10)."""
    served = {step.served_call for step in evidence.steps}
    for row in evidence.judgements:
        if row.call not in served:
            yield Difference("I10", f"judgement of {row.call}", "nobody was given the answer of that call")
        if not 0 <= row.score <= 1:
            yield Difference("I10", f"judgement of {row.call}", f"{row.score!r} is no score from 0 to 1")


def unlearned(evidence: Evidence) -> Iterator[Difference]:
    """Yield the lessons that a completed run was taught and that history, then or before, does not know (I10)."""
    completed = {ending.run for ending in evidence.endings if ending.outcome == "completed"}
    scenario_of = {run.id: run.scenario for run in evidence.runs if run.id in completed}
    kept = {(row.scenario, row.playbook, row.hints) for row in evidence.lessons}
    for step in evidence.steps:
        coached = step.role == roles.COACH and step.reply is not None and step.run in scenario_of
        lesson = roles.lesson(step.reply) if coached else None
        if lesson is None or lesson == (Knowledge().playbook, Knowledge().hints):
            continue
        if (scenario_of[step.run], *lesson) not in kept:
            yield Difference("I10", step.id, "its run completed without keeping the lesson that it taught")


def surplus(evidence: Evidence) -> Iterator[Difference]:
    """Yield what a run was not to have: a step (I4) or a decision (I10) beyond its generations and candidates."""
    run_of = {run.id: run for run in evidence.runs}
    for step in evidence.steps:
        run = run_of[step.run]
        most = COMPARED if run.purpose == rows.COMPARISON and step.role == JUDGE else run.generations
        if run.purpose != rows.LIVE and (
            step.generation > most or (step.position > run.candidates and step.role != JUDGE)
        ):
            yield Difference("I4", step.id, f"{run.id} is of {run.generations} times {run.candidates} candidates")
    for row in evidence.generations:
        if row.number > run_of[row.run].generations:
            yield Difference(
                "I10", f"{row.run}/{row.number}", f"{row.run} is of {run_of[row.run].generations} generations"
            )
