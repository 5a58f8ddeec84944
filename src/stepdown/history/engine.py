"""The engine: one place where a database is opened, a transaction begins, and a driver's error becomes a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from stepdown.errors import InvalidValue, WorkspaceError

Durability = Literal["full", "normal"]

BUSY_MILLISECONDS = 10_000


def create(url: str, durability: Durability = "full", busy_milliseconds: int = BUSY_MILLISECONDS) -> Engine:
    """Return an engine for any SQLAlchemy URL.

    Args:
        url: For example `sqlite:////data/runs.db` or `postgresql+psycopg://host/runs`.
        durability: SQLite only. `full` survives a power cut at any moment; `normal` may lose the last commits in one, but
            never in a crash of the process.
        busy_milliseconds: SQLite only. How long a writer waits for another one.

    Raises:
        InvalidValue: The URL is malformed, or its driver is not installed.
    """
    try:
        engine = create_engine(make_url(url))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidValue(f"The database URL {url!r} cannot be used: {error}.") from error
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, durability, busy_milliseconds)
    return engine


def _prepare_sqlite(engine: Engine, durability: Durability, busy_milliseconds: int) -> None:
    pragmas = (
        f"PRAGMA busy_timeout = {busy_milliseconds}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA foreign_keys = ON",
        f"PRAGMA synchronous = {durability}",
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions of its own: it would begin them deferred.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred writer that read first fails with "locked" at its first write, however long it would wait.
        writing_now = connection.get_execution_options().get("stepdown_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing_now else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees one state of the database throughout."""
    with _plainly(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Otherwise every statement would see a state of its own.
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open the transaction of the one writer: others wait, and what was read in it stays true until it commits."""
    with _plainly(engine), engine.connect() as plain:
        connection = plain.execution_options(stepdown_writing=True)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(7378697629483820646)"))
            yield connection


SENTENCES = {
    "database is locked": "The database {url} is locked by another process; wait for it to finish, or stop it.",
    "readonly": "The database {url} is read-only; make the workspace writable, or choose another with --workspace.",
    "disk is full": "The disk that holds {url} is full; free some space and try again. Nothing was half-written.",
    "disk i/o error": "The disk that holds {url} failed; nothing was half-written. Check it with `stepdown doctor`.",
    "unable to open": "The database {url} cannot be opened; check that the directory exists and is writable.",
    "malformed": "The database {url} is damaged; restore a copy of it.",
    "not a database": "The file {url} is not a database; restore a copy, or choose another workspace.",
}


@contextmanager
def _plainly(engine: Engine) -> Iterator[None]:
    """Turn what the driver says about the world into a sentence; what it says about our SQL stays as it is."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig).lower()
        sentence = next((sentence for words, sentence in SENTENCES.items() if words in said), None)
        if sentence is None:
            raise
        where = engine.url.database or engine.url.render_as_string(hide_password=True)
        raise WorkspaceError(sentence.format(url=where)) from error
