"""After a crash: close what was announced and not finished, from the trace where it knows, else as interrupted.

Everything closed here is marked as recovered. A process that still lives keeps what is its own.
"""

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from stepdown.acts.attempt import answered, unanswered
from stepdown.bundles.disk import remove
from stepdown.errors import StepdownError
from stepdown.history import ledger, reader, rows, sound, unfinished
from stepdown.providers import trace
from stepdown.providers.protocol import Completion
from stepdown.routing.reasons import local_failure
from stepdown.workspace import Workspace
from stepdown.workspace.sessions import NAME
from stepdown.workspace.unknown import FOLDER, ROOMS, entries, free

INTERRUPTED = "interrupted"

DIGEST = "[0-9a-f]{64}"
STRAY = re.compile(rf"({DIGEST})|\.({DIGEST})\.removed")
PARTS = {
    "jobs": re.compile(rf"{DIGEST}\.({NAME.pattern})\.(?:part|plan)"),
    "datasets": re.compile(rf"\.({NAME.pattern})\.part"),
}
"""What work under way is called in each room, with the session whose it is: only such names are ever cleared."""


def recover(workspace: Workspace) -> int:
    """Close the unfinished calls and runs of dead processes, and clear what they left on disk.

    A row that nobody could have written keeps no workspace from opening: nothing is closed then, and the audit names it.

    Returns:
        How many calls were closed.
    """
    try:
        return _recover(workspace)
    except (StepdownError, OSError):
        raise
    except Exception:
        with workspace.reading() as connection:
            if not sound.damage(connection):
                raise
        return 0


def _recover(workspace: Workspace) -> int:
    with workspace.reading() as connection:
        runs = [run for run in unfinished.runs(connection) if not _alive(workspace, run.session)]
    closed = 0
    if runs:
        with workspace.writing() as connection:
            closed = _close(workspace, connection)
    _clear(workspace)
    return closed


def _close(workspace: Workspace, connection: Connection) -> int:
    """Close everything again looked up inside the one writer's transaction: another process may have been quicker."""
    dead = [call for call in unfinished.calls(connection) if not _alive(workspace, call.session)]
    ends = _ends(workspace, {call.call for call in dead})
    # Not by neighbours: steps that were taken side by side have their calls announced between each other's.
    steps: dict[str, list[rows.Announcement]] = {}
    for call in dead:
        steps.setdefault(call.step, []).append(call)
    for calls in steps.values():
        ledger.append(connection, *_interrupted(workspace, calls, ends))
    for run in unfinished.runs(connection):
        if not _alive(workspace, run.session):
            ledger.append(connection, rows.Ending(run.id, INTERRUPTED, "Its process ended.", workspace.now()))
            workspace.session.forget(run.session)
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
        answer=None,
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
    recovered = replace(attempt, latency=end.duration, error_type=end.error_type, error=end.error)
    if end.reply is None or end.provider is None or end.model is None:
        return recovered
    completion = Completion(end.reply, end.provider, end.model, end.weights_digest, end.input_tokens, end.output_tokens)
    return replace(recovered, **answered(completion))


def _clear(workspace: Workspace) -> None:
    """Remove what dead processes left half-made: `….<session>.part`, plans and locks, by names that only stepdown makes."""
    for room, form in PARTS.items():
        for path in entries(workspace.root / room):
            part = form.fullmatch(path.name)
            if part is not None and not _alive(workspace, part[1]):
                _discard(path)
    for lock in entries(workspace.session.directory):
        if lock.suffix == ".lock" and not _alive(workspace, lock.stem):
            workspace.session.forget(lock.stem)
    with workspace.reading() as connection:
        moves = _moves(workspace, connection)
    if moves:
        # A publisher renames inside its own transaction: looked up again as the one writer, a stray is really one.
        with workspace.writing() as connection:
            for path, target in _moves(workspace, connection):
                _move(path, target)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _moves(workspace: Workspace, connection: Connection) -> list[tuple[Path, Path | None]]:
    """Return what lies where it does not belong, and where it does; None for what a row says was deleted.

    What no row knows may be all that is left of a newer database: it is set aside and never removed.
    """
    rooms = [workspace.root / room for room in ROOMS]
    asides = [workspace.root / FOLDER / room.name for room in rooms]
    digests = {path: name for room in (*rooms, *asides) for path in entries(room) if (name := _digest(path))}
    recorded = reader.registered_content(connection, sorted(set(digests.values()))) if digests else set()
    moves: list[tuple[Path, Path | None]] = []
    for path, digest in digests.items():
        if path.parent in asides:
            home = workspace.root / path.parent.name / digest
            if digest in recorded and path.name == digest and not os.path.lexists(home):
                moves.append((path, home))
        elif digest not in recorded and reader.last_act(connection, digest, "delete") is not None:
            moves.append((path, None))
        elif digest not in recorded or path.name != digest:
            moves.append((path, free(workspace.root, path.parent.name, path.name)))
    return moves


def _digest(path: Path) -> str | None:
    stray = STRAY.fullmatch(path.name)
    return (stray[1] or stray[2]) if stray else None


def _move(path: Path, target: Path | None) -> None:
    """Move something to where it belongs, as far as that may be done: a workspace opens all the same."""
    with suppress(OSError):
        if target is None:
            remove(path)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)


def _alive(workspace: Workspace, session: str) -> bool:
    return workspace.session.alive(session)
