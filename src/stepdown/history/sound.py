"""Values as the database holds them, believed only if a ledger could have written them.

A database is more patient than the types of its columns: SQLite keeps a 2, a word or half a byte sequence in any of them, and
what turns values into Python's reads the 2 of a Boolean as True. So whoever proves reads what is stored, and turns it here.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, get_origin

from sqlalchemy import JSON, Boolean, Column, Connection, Float, Integer

from stepdown.history import questions
from stepdown.history.columns import Utc
from stepdown.history.ledger import TABLES
from stepdown.history.rows import Unsound

Row = TypeVar("Row")

Read = Callable[[Any], Any]
"""Turns a stored value into Python's, or raises `ValueError` with what it is not."""


@dataclass(frozen=True, slots=True)
class Content(Generic[Row]):
    """The rows of a table as they are stored.

    Attributes:
        rows: Those whose every value is sound, oldest first.
        numbers: `seq` of every row, sound or not.
        unsound: Every value that is not.
    """

    rows: list[Row]
    numbers: list[Any]
    unsound: list[Unsound]


def stored(connection: Connection, kind: type[Row]) -> Content[Row]:
    """Return all rows of a kind, oldest first, and what in them is not of its column's kind."""
    with _lenient(connection):
        return _believed(
            kind, connection.execute(questions.STORED[TABLES[kind]], execution_options={"yield_per": CHUNK})
        )


def damage(connection: Connection) -> list[Unsound]:
    """Return every value of a database that no ledger wrote."""
    return [value for kind in TABLES for value in stored(connection, kind).unsound]


def under_way(connection: Connection) -> dict[str, str]:
    """Return the calls that were announced and not finished, and the session of each."""
    with _lenient(connection):
        return {row.call: row.session for row in connection.execute(questions.UNDER_WAY)}


@contextmanager
def _lenient(connection: Connection) -> Iterator[None]:
    """Let bytes that are no text through, so that they can be named."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = str


def last_numbers(connection: Connection) -> dict[str, int]:
    """Return, by table, the last number that a row of it ever had; nothing where a database leaves numbers out."""
    if connection.dialect.name != "sqlite":
        return {}
    return {row.name: row.seq for row in connection.execute(questions.LAST_NUMBERS)}


def _believed(kind: type[Row], stored: Iterable[Any]) -> Content[Row]:
    """Turn stored rows, each led by its `seq`, into rows of a kind."""
    columns, table = READS[kind], TABLES[kind].name
    content: Content[Row] = Content([], [], [])
    for seq, *values in stored:
        content.numbers.append(seq)
        row: list[Any] = []
        for (name, read), value in zip(columns, values, strict=True):
            try:
                row.append(read(value))
            except ValueError as error:
                content.unsound.append(Unsound(table, seq, name, str(error)))
        if len(row) == len(columns):
            content.rows.append(kind(*row))
    return content


def _read(column: "Column[Any]", annotation: Any) -> Read:
    kind = column.type
    if isinstance(kind, Utc):
        read: Read = _instant
    elif isinstance(kind, JSON):
        read = _words if get_origin(annotation) is list else _json_object
    elif isinstance(kind, Boolean):
        read = _flag
    elif isinstance(kind, Float):
        read = _number
    elif isinstance(kind, Integer):
        read = _integer
    else:
        read = _text
    return _or_nothing(read) if column.nullable else read


def _or_nothing(read: Read) -> Read:
    return lambda value: None if value is None else read(value)


def _refused(what: str, value: Any) -> ValueError:
    shown = repr(value)
    return ValueError(f"is not {what}: {shown if len(shown) <= SHOWN else shown[:SHOWN] + '…'}")


CHUNK = 256
"""Rows that are under way between the driver and here."""

SHOWN = 60
"""Characters of an unsound value that a sentence shows."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _refused("a text", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _refused("a text", value) from None
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refused("a whole number", value)
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refused("a number", value)
    return float(value)


def _flag(value: Any) -> bool:
    if not (isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))):
        raise _refused("true or false", value)
    return bool(value)


def _instant(value: Any) -> datetime:
    try:
        instant = datetime.fromisoformat(_text(value))
        written = instant.astimezone(UTC).isoformat(timespec="microseconds") if instant.tzinfo is not None else ""
    except (ValueError, OverflowError):
        raise _refused("an instant", value) from None
    if written != value:
        raise _refused("an instant", value)
    return instant


def _json(value: Any) -> Any:
    try:
        return json.loads(_text(value)) if isinstance(value, str | bytes) else value
    except (ValueError, RecursionError):
        raise _refused("JSON", value) from None


def _json_object(value: Any) -> Any:
    decoded = _json(value)
    if not isinstance(decoded, dict):
        raise _refused("a JSON object", value)
    return decoded


def _words(value: Any) -> Any:
    decoded = _json(value)
    if not isinstance(decoded, list) or not all(isinstance(word, str) for word in decoded):
        raise _refused("a JSON list of words", value)
    return decoded


READS = {
    kind: tuple((table.c[field.name].name, _read(table.c[field.name], field.type)) for field in fields(kind))
    for kind, table in TABLES.items()
}
"""How each column of a kind of row is read."""
