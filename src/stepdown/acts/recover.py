"""After a crash: close what was announced and not finished, from the trace where it knows, else as interrupted.

Everything closed here is marked as recovered. A process that still lives keeps what is its own.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from stepdown.acts.attempt import answered, unanswered
from stepdown.bundles.disk import remove
from stepdown.history import ledger, reader, rows
from stepdown.providers import trace
from stepdown.providers.protocol import Completion
from stepdown.routing.reasons import local_failure
from stepdown.workspace import Workspace
from stepdown.workspace.sessions import alive, forget

INTERRUPTED = "interrupted"

DIGEST = re.compile("[0-9a-f]{64}")
ASIDE = re.compile(r"\.[0-9a-f]{64}\.removed")


def recover(workspace: Workspace) -> int:
    """Close the unfinished calls and runs of dead processes, and clear what they left on disk.

    Returns:
        How many calls were closed.
    """
    with workspace.reading() as connection:
        runs = [run for run in reader.unended(connection) if not _alive(workspace, run.session)]
    closed = 0
    if runs:
        with workspace.writing() as connection:
            closed = _close(workspace, connection)
    _clear(workspace)
    return closed


def _close(workspace: Workspace, connection: Connection) -> int:
    """Close everything again looked up inside the one writer's transaction: another process may have been quicker."""
    dead = [call for call in reader.unfinished(connection) if not _alive(workspace, call.session)]
    ends = _ends(workspace, {call.call for call in dead})
    # Not by neighbours: steps that were taken side by side have their calls announced between each other's.
    steps: dict[str, list[rows.Announcement]] = {}
    for call in dead:
        steps.setdefault(call.step, []).append(call)
    for calls in steps.values():
        ledger.append(connection, *_interrupted(workspace, calls, ends))
    for run in reader.unended(connection):
        if not _alive(workspace, run.session):
            ledger.append(connection, rows.Ending(run.id, INTERRUPTED, "Its process ended.", workspace.now()))
            forget(workspace.root / "sessions", run.session)
    return len(dead)


def _ends(workspace: Workspace, calls: set[str]) -> dict[str, trace.Line]:
    if not calls:
        return {}
    return {line.call: line for line in trace.lines(workspace.trace) if line.event == "end" and line.call in calls}


def _interrupted(
    workspace: Workspace, calls: Sequence[rows.Announcement], ends: dict[str, trace.Line]
) -> list[rows.Step | rows.Attempt]:
    """Return the step that the announced calls belong to, and their attempts."""
    first = calls[0]
    attempts = [_attempt(workspace, call, ends.get(call.call)) for call in calls]
    step = rows.Step(
        id=first.step,
        run=first.run,
        generation=first.generation,
        position=first.position,
        role=first.role,
        seed=first.seed,
        knowledge=first.knowledge,
        policy=first.policy,
        validators=first.validators,
        prompt=first.prompt,
        facts=first.facts,
        objections=first.objections,
        requested=first.target,
        reason=_reason(first, attempts),
        outcome=INTERRUPTED,
        error=INTERRUPTED,
        served=None,
        served_call=None,
        reply=None,
        strategy=None,
        score=None,
        recovered=True,
        at=workspace.now(),
    )
    return [step, *attempts]


def _reason(first: rows.Announcement, attempts: Sequence[rows.Attempt]) -> str | None:
    """Return why local did not serve, as far as anyone can know: a gate, or a second call after a failed first one."""
    if first.objections:
        return first.objections[0]
    return local_failure(attempts[0].error_type or "invalid-output") if len(attempts) > 1 else None


def _attempt(workspace: Workspace, call: rows.Announcement, end: trace.Line | None) -> rows.Attempt:
    """Return the attempt as the trace knows it, or as interrupted. It says nothing about anyone's health."""
    attempt = replace(unanswered(call, workspace), recovered=True)
    if end is None:
        return replace(attempt, error_type=INTERRUPTED, error="The process ended before the answer was known.")
    known = replace(attempt, latency=end.duration, error_type=end.error_type, error=end.error)
    if end.text is None or end.provider is None or end.model is None:
        return known
    answer = Completion(end.text, end.provider, end.model, end.digest, end.input_tokens, end.output_tokens)
    return replace(known, **answered(answer))


def _clear(workspace: Workspace) -> None:
    """Remove what dead processes left half-made: `….<session>.part`, plans, locks, and directories no row came to name."""
    for room in ("jobs", "datasets"):
        for part in (*(workspace.root / room).glob("*.part"), *(workspace.root / room).glob("*.plan")):
            if not _alive(workspace, part.stem.rpartition(".")[2]):
                shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
    for lock in (workspace.root / "sessions").glob("*.lock"):
        if not _alive(workspace, lock.stem):
            forget(lock.parent, lock.stem)
    with workspace.reading() as connection:
        strays = _strays(workspace, connection)
    if strays:
        # A publisher renames inside its own transaction: looked up again as the one writer, a stray is really one.
        with workspace.writing() as connection:
            for path in _strays(workspace, connection):
                remove(path)


def _strays(workspace: Workspace, connection: Connection) -> list[Path]:
    """Return what a crash left in the rooms of bundles and datasets; only names that stepdown makes are looked at."""
    found = {path.name: path for room in ("bundles", "datasets") for path in (workspace.root / room).glob("*")}
    known = reader.known_content(connection, [name for name in found if DIGEST.fullmatch(name)])
    strays = [path for name, path in found.items() if DIGEST.fullmatch(name) and name not in known]
    return [*strays, *(path for name, path in found.items() if ASIDE.fullmatch(name))]


def _alive(workspace: Workspace, session: str) -> bool:
    return alive(workspace.root / "sessions", session)
