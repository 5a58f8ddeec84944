"""A long history made quickly: copies of a run that really was, each under another name. Its trace is not copied."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from stepdown.history import endings, ledger, reader, rows
from stepdown.workspace import Workspace

KINDS = (rows.Announcement, rows.Step, rows.Attempt, rows.PlayedMatch, rows.Generation)
BLOCK = 100
"""Copies that are kept in memory."""


def grow(workspace: Workspace, run: rows.Run, copies: int) -> None:
    """Append so many copies of an ended run's rows, and of what it taught."""
    with workspace.reading() as connection:
        ending = endings.last(connection, run.id)
        taught = reader.lessons_of(connection, run.id)
        mine = {kind: [row for row in reader.all_of(connection, kind) if _of(row, run.id)] for kind in KINDS}
        began = reader.count(connection, rows.Run)
        known = reader.count(connection, rows.Lesson)
    assert ending is not None
    for first in range(0, copies, BLOCK):
        names = [f"run-{began + 1 + number}" for number in range(first, min(first + BLOCK, copies))]
        with workspace.writing() as connection:
            ledger.append_all(connection, (replace(run, id=name) for name in names))
            ledger.append_all(connection, (replace(ending, run=name) for name in names))
            for kind in KINDS:
                ledger.append_all(connection, (_renamed(row, run.id, name) for name in names for row in mine[kind]))
            copied = [_renamed(lesson, run.id, name) for name in names for lesson in taught]
            numbers = count(known + 1 + first * len(taught))
            ledger.append_all(connection, (replace(each, version=next(numbers)) for each in copied))


def _of(row: Any, run: str) -> bool:
    return bool(getattr(row, "run", getattr(row, "step", "").partition("/")[0]) == run)


def _renamed(row: Any, run: str, name: str) -> Any:
    """Return a row whose ids begin with another run's name."""
    changed = {}
    for field in ("id", "run", "call", "step", "best", "champion", "served_call"):
        value = getattr(row, field, None)
        if isinstance(value, str) and (value == run or value.startswith(f"{run}/")):
            changed[field] = name + value.removeprefix(run)
    return replace(row, **changed)
