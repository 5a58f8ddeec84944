"""Edits behind stepdown's back: every column and every field of every table, in several ways, each taken back after a look."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Float, Integer

from stepdown.history import schema
from stepdown.history.columns import Utc

TABLES = tuple(schema.metadata.tables)

WHOLE = {"policy", "harness", "verdict", "dataset", "bundle", "ending", "act", "judgement"}
"""Tables whose every row says something of its own, so each of them is edited."""

Change = tuple[str, str, int, Any]
"""Table, column, number of the row, and its new value."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One value that becomes another.

    Attributes:
        field: `column`, or `column.key.key` inside of a JSON value.
        change: What is written.
        before: What stood there.
    """

    field: str
    change: Change
    before: Any

    def __str__(self) -> str:
        table, _, seq, value = self.change
        return f"{table} {seq}: {self.field} {str(self.before)[:80]!r} became {str(value)[:80]!r}"


class Forger:
    """Hands at a database without triggers and constraints."""

    def __init__(self, path: Path) -> None:
        self.raw = sqlite3.connect(path, isolation_level=None)
        for (name,) in self.raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            self.raw.execute(f"DROP TRIGGER {name}")
        for (name,) in self.raw.execute(
            "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE UNIQUE INDEX%'"
        ).fetchall():
            self.raw.execute(f"DROP INDEX {name}")
        self.raw.execute("PRAGMA writable_schema = ON")
        self.raw.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
        self.raw.execute("PRAGMA writable_schema = RESET")

    def close(self) -> None:
        """Let go of the database."""
        self.raw.close()

    def rows(self, query: str) -> list[Any]:
        """Return what a query finds."""
        return self.raw.execute(query).fetchall()

    def put(self, table: str, column: str, seq: int, value: Any) -> None:
        """Write one value."""
        self.raw.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE seq = ?', (value, seq))

    @contextmanager
    def changed(self, *changes: Change) -> Iterator[None]:
        """Write some values, and take them back."""
        before = [(t, c, s, self.rows(f'SELECT "{c}" FROM "{t}" WHERE seq = {s}')[0][0]) for t, c, s, _ in changes]
        self.raw.execute("BEGIN")
        for change in changes:
            self.put(change[0], change[1], change[2], change[3])
        self.raw.execute("COMMIT")
        try:
            yield
        finally:
            self.raw.execute("BEGIN")
            for table, column, seq, value in before:
                self.put(table, column, seq, value)
            self.raw.execute("COMMIT")

    def edits(self, table: str) -> Iterator[Edit]:
        """Yield every edit of a table's columns, but for those that change nothing or that a unique column refuses."""
        for column in schema.metadata.tables[table].columns:
            if column.name == "seq":
                continue
            others = [v for (v,) in self.rows(f'SELECT DISTINCT "{column.name}" FROM "{table}" ORDER BY seq')]
            taken = set(others) if column.unique else set()
            for seq, value in self._chosen(table, column.name):
                for field, new in _ways(column, value, others):
                    if (new != value or type(new) is not type(value)) and new not in taken:
                        yield Edit(field, (table, column.name, seq, new), value)

    def _chosen(self, table: str, column: str) -> list[Any]:
        """Return rows: one for each kind of value, present and absent, or each row where that is asked for."""
        every = self.rows(f'SELECT seq, "{column}" FROM "{table}" ORDER BY seq')
        if table in WHOLE:
            return every
        present, absent = [row for row in every if row[1] is not None], [row for row in every if row[1] is None]
        return [*present[:1], *present[-1:], *absent[:1]]


NOISE = b"\xff\xfe"
"""Bytes that are no text."""


def _ways(column: "Column[Any]", value: Any, others: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield other values of the column's own kind, nothing at all, and values of other kinds."""
    kind, name = column.type, column.name
    other = next((each for each in others if each not in (value, None)), None)
    if other is not None and not isinstance(kind, JSON):
        yield name, other
    yield name, None
    yield name, NOISE
    if isinstance(kind, JSON):
        yield from ((name, text) for text in ("{", "7", '"word"', "[]", "{}", '["x"]', '{"x":1}'))
        if value is not None:
            yield from _inside(name, json.loads(value))
    elif isinstance(kind, Boolean):
        yield from ((name, new) for new in (2, "word", 1 - (value or 0)))
    elif isinstance(kind, Integer):
        yield from ((name, new) for new in ((value or 0) + 1, (value or 0) - 1, (value or 0) + 100, "word", 2.5))
    elif isinstance(kind, Float):
        yield from (
            (name, new) for new in ((value or 0.0) + 1e-3, (value or 0.0) - 1e-3, 0.0, 1.0, "word", float("inf"))
        )
    elif isinstance(kind, Utc):
        moment = datetime.fromisoformat(value)
        yield from (
            (name, (moment + timedelta(seconds=by)).isoformat(timespec="microseconds")) for by in (1, -1, 86400)
        )
        yield from ((name, new) for new in ("yesterday", moment.replace(tzinfo=None).isoformat(), 5))
    else:
        yield from ((name, new) for new in ((value or "") + "x", (value or "xx")[:-1], "", "forged"))


def _inside(field: str, stored: Any) -> Iterator[tuple[str, str]]:
    """Yield a JSON text with one inner value changed, nudged, taken out or of another kind."""
    for path, value in _leaves(stored):
        name = ".".join((field, *(str(part) for part in path if not isinstance(part, int))))
        for new in _other_values(value):
            yield name, json.dumps(_with(stored, path, new))
        yield name, json.dumps(_without(stored, path))
    if isinstance(stored, list):
        yield field, json.dumps([*stored, "x"])
    elif isinstance(stored, dict):
        yield field, json.dumps({**stored, "x": 1})


def _other_values(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (not value, 2, None)
    if isinstance(value, int | float):
        return (value + 1, value - 1 if value >= 1 else value + 0.001, None, "word")
    if isinstance(value, str):
        return (value + "x", None, 7)
    return ("x", 0.5)


def _leaves(value: Any, *path: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, *path, key)
    elif isinstance(value, list) and value:
        for place in {0, len(value) - 1}:
            yield from _leaves(value[place], *path, place)
    elif path:
        yield path, value


def _with(stored: Any, path: tuple[Any, ...], new: Any) -> Any:
    found = json.loads(json.dumps(stored))
    place = found
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = new
    return found


def _without(stored: Any, path: tuple[Any, ...]) -> Any:
    found = json.loads(json.dumps(stored))
    place = found
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]
    return found
