"""Lies about what is persisted, each told in a copy: one thing altered behind stepdown's back, which the audit must notice.

Every column and every trace field that follows from something else is altered in three ways: a little more, a little less,
and gone. What is written down twice is also altered in both places at once, so that only deriving it again finds it. Rows and
lines are lost, doubled and put in another order; and acts are added that could not have been done.

Nothing is said here of what no second source knows: instants, a latency made longer, who gave which reason, and the names
of sessions, jobs and frontiers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from sqlalchemy import Boolean

from stepdown.history import schema

Lie = Callable[["Copy"], bool]
"""Alters something, and tells whether it found what to alter."""


@dataclass(slots=True)
class Copy:
    """A copy of both witnesses, without triggers.

    Attributes:
        database: Open for writing.
        lines: The trace.
        version: Of the machine's scenario now; the neighbours' is always 1. What another version gave is not played again.
        prompts: Digest of the text that its competitor is asked with now, as facts name it. A prompt of another one is not made
            again.
    """

    database: sqlite3.Connection
    lines: list[dict[str, Any]]
    version: int
    prompts: str

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Return what a query finds; `{steps}` in it stands for the ids of steps that can be derived again."""
        found = query.format(runs=RUNS, steps=f"SELECT id FROM step WHERE run IN ({RUNS})")
        return self.database.execute(found, {"version": self.version, "prompts": self.prompts, **values}).fetchall()

    def put(self, table: str, seq: int, column: str, value: Any) -> None:
        """Replace one value."""
        self.database.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE seq = ?', (value, seq))

    def line(self, call: str, event: str) -> dict[str, Any]:
        """Return a line of the trace."""
        return next(line for line in self.lines if (line["stepdown.call"], line["event"]) == (call, event))


RUNS = "SELECT id FROM run WHERE scenario_version = CASE scenario WHEN 'grid_ctf' THEN :version ELSE 1 END"
EVALUATED = (
    "SELECT evaluation.id FROM evaluation JOIN bundle ON bundle.id = evaluation.bundle "
    "WHERE json_extract(terms, '$.scenario_version') = CASE scenario WHEN 'grid_ctf' THEN :version ELSE 1 END"
)
WORDED = (
    "coalesce(json_extract(facts, '$.prompts'), '') = CASE (SELECT scenario FROM run WHERE run.id = step.run) "
    "WHEN 'grid_ctf' THEN :prompts ELSE '' END"
)
"""Steps whose prompt can be made again."""
COMPLETED = "SELECT run FROM ending WHERE outcome = 'completed'"

WHERE = {
    "run": f"id IN ({{runs}}) AND purpose = 'work' AND id IN ({COMPLETED})",
    "announcement": "run IN ({runs}) AND call IN (SELECT call FROM attempt)",
    "step": "run IN ({runs})",
    "attempt": "step IN ({steps})",
    # What is told of a call whose end nobody knows is a sentence for people.
    "attempt.error": "step IN ({steps}) AND error_type IS NOT 'interrupted'",
    "match": "step IN ({steps})",
    "generation": f"run IN ({COMPLETED})",
    "knowledge": "version > 1",
    "bundle": "id IN (SELECT bundle FROM act) AND id IN (SELECT bundle FROM attempt WHERE text IS NOT NULL)",
    "evaluation": f"id IN ({EVALUATED})",
    "holdout": f"legal AND evaluation IN ({EVALUATED})",
    "verdict": "run IN ({runs})",
}
"""Rows that a lie can be told about, by table or by column; of other tables, every row."""

COLUMNS = {
    "run": "id seed generations candidates",
    "announcement": "call step run generation position role seed knowledge policy validators prompt facts objections target "
    "shadow provider model bundle",
    "step": "id run generation position role seed knowledge policy validators prompt facts objections requested reason "
    "outcome error served served_call reply strategy score recovered",
    "attempt": "call step target shadow requested_provider requested_model bundle provider model digest error_type error "
    "text refusals score input_tokens output_tokens cost breaker recovered",
    "match": "step seed score won parts",
    "generation": "run number decision best score champion champion_score",
    "knowledge": "scenario version playbook hints step",
    "bundle": "id role weights",
    "evaluation": "id bundle run terms terms_digest seeds mean lower valid",
    "holdout": "evaluation seed score legal reply",
    "act": "kind scenario role bundle",
    "policy": "number settings",
    "verdict": "bundle run terms_digest outcome evidence policy validators",
}
"""Columns that something else is compared with, or derived from."""

WHILE_WHOLE = {
    "log": "id scenario role lines",
    "exchange": "log input seed prompt reply strategy score",
    "run": "scenario_version purpose session",
    "ending": "run outcome",
    "announcement": "session",
    "dataset": "digest scenario filters records",
    "bundle": "job dataset trained_at",
    "evaluation": "knowledge call",
    "act": "forced",
    "harness": "enabled",
    "judgement": "call",
    "spending": "run scenario role number share",
    "loss": "bundle iteration loss",
}
"""Columns of which the same holds while nobody was killed, no file is damaged or gone, and everything is of this version."""

_BY_MODEL = "run IN (SELECT id FROM run WHERE scenario = 'jury')"
_SITTING = "id IN (SELECT run FROM step WHERE role = 'judge') AND purpose = 'evaluation'"
JUDGED = {
    "run": (_SITTING, "id scenario_version purpose seed generations candidates frontier"),
    "ending": (f"run IN (SELECT id FROM run WHERE {_SITTING})", "run outcome"),
    "announcement": ("role = 'judge'", COLUMNS["announcement"].replace(" bundle", "")),
    "step": ("role = 'judge'", COLUMNS["step"].replace(" strategy score", "")),
    "attempt": (
        "step IN (SELECT id FROM step WHERE role = 'judge')",
        "call step target shadow requested_provider requested_model provider model error_type error text refusals "
        "input_tokens output_tokens recovered",
    ),
    "judgement": ("by LIKE 'judge:%'", "call score by why"),
    "generation": (_BY_MODEL, COLUMNS["generation"]),
    "evaluation": ("judged IS NOT NULL", f"{COLUMNS['evaluation']} judged"),
    "holdout": ("evaluation IN (SELECT id FROM evaluation WHERE judged IS NOT NULL)", COLUMNS["holdout"]),
    "verdict": (_BY_MODEL, COLUMNS["verdict"]),
}
"""Where a model judged: which rows, and the columns of which the same holds. A judge is no bundle, and nothing scores it."""
JUDGED_ELSEWHERE = {
    "step": "run generation position seed prompt reply served_call",
    "attempt": "call step text",
    "judgement": "call score by",
    "generation": "number decision best score champion champion_score",
    "evaluation": "bundle run judged mean lower",
    "holdout": "evaluation seed score reply",
    "verdict": "run outcome evidence",
}
"""Columns that may not say what another such row says."""

NAMING = {"knowledge", "policy", "number"}
"""Numbers that name something else; the next one may be there as well."""

KINDS = ("more", "less", "gone")


def kinds(table: str, column: str) -> tuple[str, ...]:
    """Return in which ways a column can be altered."""
    found = next(each for each in schema.metadata.tables[table].columns if each.name == column)
    if isinstance(found.type, Boolean):
        return ("more",)
    # A setting that is not there is at its default, as an older stepdown wrote it.
    shorter = ("less",) if (table, column) != ("policy", "settings") else ()
    return ("more", *shorter, *(("gone",) if found.nullable else ()))


def altered(value: Any, kind: str, column: str = "") -> Any:
    """Return a value a little more, a little less, or there where it was not and not where it was."""
    if kind == "gone" or value is None:
        return 1 if value is None and kind == "gone" else None
    if column in FLAGS:
        return 1 - value
    if column in INSTANTS:
        away = timedelta(seconds=1 if kind == "more" else -1)
        return (datetime.fromisoformat(value) + away).isoformat(timespec="microseconds")
    if isinstance(value, int | float):
        step = 100 if column in NAMING else 1
        return value + (step if kind == "more" else -step)
    if value[:1] in "[{":
        return json.dumps(_resized(json.loads(value), kind))
    return value + "x" if kind == "more" else value[:-1]


INSTANTS = {"trained_at"}
FLAGS = {"shadow", "recovered", "won", "legal"}


def _resized(value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return [*value, "x"] if kind == "more" else value[:-1]
    return {**value, "x": 1} if kind == "more" else dict(list(value.items())[:-1])


def one_value(table: str, column: str, kind: str, copy: Copy, where: str = "") -> bool:
    """Alter one value of the newest row where that makes it another."""
    where = where or WHERE.get(f"{table}.{column}") or WHERE.get(table, "TRUE")
    for seq, value in copy.rows(f'SELECT seq, "{column}" FROM "{table}" WHERE {where} ORDER BY seq DESC'):
        other = altered(value, kind, column)
        if other != value:
            copy.put(table, seq, column, other)
            return True
    return False


ALIKE = {
    "bundle.role", "bundle.trained_at", "holdout.legal", "log.lines", "log.role", "run.purpose", "run.scenario_version",
    "spending.role", "verdict.validators",
}  # fmt: skip
"""Columns in which all those rows say the same."""
UNTOLD = {"act.forced", "judgement.call"}
"""A verdict that promoted allows an activation by nobody's force; and of which answer a person spoke nobody else knows."""
BORROWED = tuple(
    (table, column)
    for columns in (COLUMNS, WHILE_WHOLE)
    for table, names in columns.items()
    for column in names.split()
    if f"{table}.{column}" not in ALIKE | UNTOLD
)
"""Columns that may not say what another row says: a value that is there is no less a lie than one that is nowhere."""


def borrowed_value(table: str, column: str, copy: Copy, where: str = "") -> bool:
    """Let the newest row say what the newest that says otherwise does."""
    where = where or WHERE.get(f"{table}.{column}") or WHERE.get(table, "TRUE")
    found = copy.rows(f'SELECT seq, "{column}" FROM "{table}" WHERE {where} ORDER BY seq DESC')
    said = [(seq, value) for seq, value in found if value is not None]
    for (seq, value), (_, other) in product(said, said):
        if other != value:
            copy.put(table, seq, column, other)
            return True
    return False
