"""What history keeps of one call: before its answer, of its answer, and of the breaker it moves."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from stepdown.acts.question import Question
from stepdown.history import rows
from stepdown.providers.protocol import Completion
from stepdown.scenarios import judging
from stepdown.workspace import Workspace
from stepdown.workspace.facts import Scene, breaker_of


def with_breaker(connection: Connection, attempt: rows.Attempt, scene: Scene) -> rows.Attempt:
    """Return the attempt with its bundle's breaker after it; only local's own finished attempts move one."""
    if attempt.bundle is None or attempt.shadow:
        return attempt
    before = breaker_of(connection, attempt.bundle)
    after = before.after(scene.policy, attempt.at, failed=not attempt.accepted)
    return replace(attempt, breaker=after.as_json())


def unanswered(announcement: rows.Announcement, workspace: Workspace) -> rows.Attempt:
    """Return the attempt of an announced call before anything is known of its answer."""
    return rows.Attempt(
        call=announcement.call,
        step=announcement.step,
        target=announcement.target,
        shadow=announcement.shadow,
        requested_provider=announcement.provider,
        requested_model=announcement.model,
        bundle=announcement.bundle,
        provider=None,
        model=None,
        digest=None,
        error_type=None,
        error=None,
        reply=None,
        refusals=[],
        score=None,
        input_tokens=None,
        output_tokens=None,
        cost=None,
        latency=None,
        breaker=None,
        recovered=False,
        at=workspace.now(),
    )


def verdicts(question: Question, step: rows.Step) -> list[rows.GivenScore]:
    """Return what a judging step says of the answer that it was asked about; nothing of any other step."""
    verdict = judging.verdict(step.reply) if question.judges is not None and step.reply is not None else None
    if verdict is None or question.judges is None:
        return []
    score, why = verdict
    return [rows.GivenScore(question.judges, score, f"{judging.BY}{step.served_call}", why, step.at)]


def answered(completion: Completion) -> dict[str, Any]:
    """Return the columns of an attempt that the provider itself filled."""
    return {
        "provider": completion.provider,
        "model": completion.model,
        "digest": completion.digest,
        "reply": completion.reply,
        "input_tokens": completion.input_tokens,
        "output_tokens": completion.output_tokens,
    }
