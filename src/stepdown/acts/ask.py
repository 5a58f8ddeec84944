"""One question after another, as they come: the same step as a run's, and a judgement that may follow later.

::

    with live(workspace, "invoices", frontier="openai:gpt-5") as desk:
        response = desk.ask({"text": "Invoice INV-7 of 4 March 2025: 12.50 EUR."})
        print(response.value, response.served, response.reason, response.call)
    judge(workspace, response.call, 1.0, by="zoe", why="read it")
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from stepdown.acts.judging import unjudged
from stepdown.acts.question import Assignment, Question, rendering, shown
from stepdown.acts.run import fail, start
from stepdown.acts.step import take
from stepdown.acts.switch import OPERATOR, check_name
from stepdown.acts.under_way import RunUnderWay
from stepdown.errors import InvalidValue, NotFound, Refused, StepdownError
from stepdown.history import ledger, reader, rows
from stepdown.scenarios import cases, judging, roles
from stepdown.scenarios.guard import guarded
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import live_seeds
from stepdown.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Response:
    """What came back.

    Attributes:
        value: The answer, a JSON value; None when nobody's reply could be used.
        reply: The text that came, untouched; None likewise.
        served: `local` or `frontier`; None when nobody served.
        reason: Why local did not serve; None when it did.
        score: How good it is, 0..1, where somebody knows at once; None otherwise, until somebody judges it.
        error: Why nobody served.
        call: Id of the call that served, to judge it by later.
        step: Id of the step.
        unjudged: Why a model that was to judge the answer gave no score.
    """

    value: Any
    reply: str | None
    served: str | None
    reason: str | None
    score: float | None
    error: str | None
    call: str | None
    step: str
    unjudged: str | None = None


@dataclass(slots=True)
class Desk:
    """Where questions are asked. Threads may share it.

    Attributes:
        under_way: The run that the questions are steps of.
    """

    under_way: RunUnderWay
    _asked: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ask(self, case: Mapping[str, Any] | int) -> Response:
        """Ask one question.

        Args:
            case: What is to be seen, by name, as the scenario's `observation` returns it; or the seed of one of its cases.

        Raises:
            InvalidValue: The scenario cannot put such a case into words, or the case is no JSON value.
            WorkspaceError: History or trace cannot be written.
        """
        question = self._question(case)
        with self._turn:
            position, self._asked = self._asked, self._asked + 1
        run = self.under_way
        step = take(run.workspace, Assignment(run.run.id, 1, position, question, run.frontier))
        return replace(_response(step), **self._judged(step))

    def _judged(self, step: rows.Step) -> dict[str, Any]:
        """Let a model judge an answer that was served, where one judges, and return what it said."""
        run = self.under_way
        if run.bench is None:
            return {}
        with run.workspace.reading() as connection:
            lesson = reader.knowledge(connection, run.scenario.name, step.knowledge) or Knowledge()
        knowledge = Knowledge(step.knowledge, lesson.playbook, lesson.hints)
        judged = [take(run.workspace, each) for each in run.bench.assignments([step], knowledge)]
        scored = run.bench.scored([step], judged)[0]
        return {"score": scored.score, "unjudged": unjudged(judged[0]) if judged else None}

    def _question(self, case: Mapping[str, Any] | int) -> Question:
        scenario, role = self.under_way.scenario, self.under_way.role
        workspace = self.under_way.workspace
        with workspace.reading() as connection:
            knowledge = workspace.knowledge(connection, scenario.name)
        if isinstance(case, int):
            rendered = rendering(scenario, role, knowledge, case)
            return _question_of(scenario, role, case, knowledge, rendered, shown(scenario, case))
        words = role.words
        if words is None:
            raise Refused(f"The role {role.name} of {scenario.name} is asked by seed only.", kind="case-not-asked")
        cases.check(scenario, case)
        seed, _ = cases.seed_of(scenario, case)
        rendered = guarded(scenario, "rendering a case", lambda: words(knowledge, case))
        return _question_of(scenario, role, seed, knowledge, rendered, case)


def _question_of(
    scenario: Scenario, role: roles.Role, seed: int, knowledge: Knowledge, prompt: str, case: Mapping[str, Any]
) -> Question:
    judged_on = live_seeds(scenario, role, seed, knowledge, prompt)
    return Question(scenario, role, seed, knowledge.version, prompt, judged_on=judged_on, case=case)


@contextmanager
def live(
    workspace: Workspace, scenario_name: str, *, role: str | None = None, frontier: str = "search"
) -> Iterator[Desk]:
    """Begin to take questions; leaving ends it.

    Raises:
        NotFound: No such scenario, role or frontier.
        Refused: No answers of that role are judged, or the frontier cannot propose any.
    """
    under_way = start(
        workspace, scenario_name, generations=1, candidates=1, frontier=frontier, purpose=rows.LIVE, role=role
    )
    try:
        yield Desk(under_way)
    except StepdownError as error:
        fail(under_way, error)
        raise
    under_way.end()


def judge(workspace: Workspace, call: str, score: float, *, by: str = OPERATOR, why: str = "") -> rows.GivenScore:
    """Say how good an answer was that somebody was given; the last word counts, and is exported like any score.

    Args:
        workspace: Where it was asked.
        call: Id of the call that served it, see `Response.call`.
        score: 0..1.
        by: Who says so.
        why: The reason.

    Raises:
        NotFound: No step was served by such a call.
        InvalidValue: The score is none, or nobody says so.
    """
    check_name(by)
    if by.startswith(judging.BY):
        raise InvalidValue(f"Only a judging call is named {judging.BY}…; say your own name, not {by!r}.")
    if isinstance(score, bool) or not 0 <= score <= 1:
        raise InvalidValue(f"A score is a number from 0 to 1, not {score!r}.", kind="score-out-of-range")
    with workspace.writing() as connection:
        if reader.served(connection, call) is None:
            raise NotFound(f"No step was served by a call {call!r}; a response names its own.", kind="unknown-call")
        row = rows.GivenScore(call, float(score), by, why, workspace.now())
        ledger.append(connection, row)
    workspace.reached("act-recorded")
    return row


def _response(step: rows.Step) -> Response:
    value = json.loads(step.answer) if step.answer is not None else None
    return Response(value, step.reply, step.served, step.reason, step.score, step.error, step.served_call, step.id)
