"""The engine: one place where a database is opened, a transaction begins, and a driver's error becomes a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from stepdown.errors import InvalidValue, WorkspaceError
from stepdown.history import urls

Durability = Literal["full", "normal"]

BUSY_MILLISECONDS = 10_000
CONNECT_SECONDS = 10
"""How long a server may take to answer at all; a network that swallows packets would be waited for by the minute."""

PATIENT = {"psycopg", "psycopg2", "pymysql", "mysqldb"}
"""Drivers that take a `connect_timeout`."""


def create(url: str | URL, durability: Durability = "full", busy_milliseconds: int = BUSY_MILLISECONDS) -> Engine:
    """Return an engine for any SQLAlchemy URL.

    Args:
        url: For example `sqlite:////data/runs.db` or `postgresql+psycopg://host/runs`; a server's password may be in the
            environment, see `urls.PASSWORD`.
        durability: SQLite only. `full` survives a power cut at any moment; `normal` may lose the last commits in one, but
            never in a crash of the process.
        busy_milliseconds: SQLite only. How long a writer waits for another one.

    Raises:
        InvalidValue: The URL is malformed, or its driver is not installed.
    """
    parsed = urls.parse(url) if isinstance(url, str) else url
    options: dict[str, Any] = {}
    try:
        if parsed.get_dialect().driver in PATIENT and "connect_timeout" not in parsed.query:
            options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
        elif urls.file(parsed) is not None:
            # A file has no limit of connections, and threads of one process may all be reading.
            options["max_overflow"] = -1
        engine = create_engine(urls.with_password(parsed), **options)
    except (ArgumentError, NoSuchModuleError, ImportError, TypeError) as error:
        why = urls.redacted(str(error)).rstrip(".")
        raise InvalidValue(f"The database URL {urls.shown(parsed)!r} cannot be used: {why}.") from error
    if engine.dialect.is_async:
        raise InvalidValue(
            f"The database URL {urls.shown(parsed)!r} cannot be used: its driver is asynchronous; name another one."
        )
    if engine.dialect.name == "sqlite":
        _compile_once(engine)
        _prepare_sqlite(engine, durability, busy_milliseconds)
    return engine


_COMPILED: dict[str, tuple[Dialect, dict[Any, Any]]] = {}


def _compile_once(engine: Engine) -> None:
    """Let all workspaces of this process share their compiled statements, which are the same for every SQLite file.

    SQLAlchemy keeps them by dialect, and makes a dialect for each engine. To compile the statements of a few steps takes longer
    than to take these.
    """
    engine.dialect, statements = _COMPILED.setdefault(engine.dialect.driver, (engine.dialect, {}))
    engine.update_execution_options(compiled_cache=statements)


def _prepare_sqlite(engine: Engine, durability: Durability, busy_milliseconds: int) -> None:
    pragmas = [
        f"PRAGMA busy_timeout = {busy_milliseconds}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA foreign_keys = ON",
        f"PRAGMA synchronous = {durability}",
    ]
    if "immutable" in engine.url.query:
        # Nothing may be made beside a file in a place where nobody may write.
        pragmas.remove("PRAGMA journal_mode = WAL")

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
    with plainly(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Otherwise every statement would see a state of its own.
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open the transaction of the one writer: others wait, and what was read in it stays true until it commits."""
    with plainly(engine), engine.connect() as plain:
        connection = plain.execution_options(stepdown_writing=True)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(7378697629483820646)"))
            yield connection


SENTENCES = {
    "database is locked": "The database {url} is locked by another process; wait for it to finish, or stop it.",
    "readonly": "The database {url} is read-only; make the workspace writable, or choose another with --workspace.",
    "disk is full": "The disk that holds {url} is full; free some space and try again. Nothing was half-written.",
    "disk i/o error": "The disk that holds {url} failed or is full; nothing was half-written. `stepdown doctor` looks at it.",
    "unable to open": "The database {url} cannot be opened; check that the directory exists and is writable.",
    "malformed": "The database {url} is damaged; restore a copy of it.",
    "not a database": "The file {url} is not a database; restore a copy, or choose another workspace.",
}


STATES = {
    "42501": "The database {url} does not let this user do that; grant it the schema, or choose another database.",
    "25006": "The database {url} is read-only; choose its primary server, or another database.",
    "53100": "The disk that holds {url} is full; free some space and try again. Nothing was half-written.",
    "55P03": "The database {url} is locked by another process; wait for it to finish, or stop it.",
}
"""By SQLSTATE, in the words that SQLite's troubles are told in."""


@contextmanager
def plainly(engine: Engine) -> Iterator[None]:
    """Turn what the driver says about the world into a sentence; what it says about our SQL stays as it is."""
    try:
        yield
    except NoFreeConnection as error:
        raise WorkspaceError(
            f"The database {_name(engine)} has no connection free for one more thread; use fewer at once."
        ) from error
    except DBAPIError as error:
        sentence = _sentence(engine, error)
        if sentence is None:
            raise
        raise WorkspaceError(sentence) from error


def _sentence(engine: Engine, error: DBAPIError) -> str | None:
    reason = str(error.orig)
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if state in STATES:
        return STATES[state].format(url=_name(engine))
    if engine.dialect.name == "sqlite":
        sentence = next((sentence for words, sentence in SENTENCES.items() if words in reason.lower()), None)
        return sentence.format(url=_name(engine)) if sentence else None
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        why = next(iter(reason.strip().splitlines()), "no answer").strip().rstrip(".")
        if engine.url.password:
            why = why.replace(engine.url.password, "***")
        return (
            f"The database {_name(engine)} cannot be reached ({why}); check that it runs, its name, user and password."
        )
    return None


def _name(engine: Engine) -> str:
    return str(urls.file(engine.url) or urls.shown(engine.url))


def reach(engine: Engine) -> None:
    """Connect once, so that a database which cannot be used is known before anything is made for it.

    Raises:
        WorkspaceError: It cannot be reached or opened.
        InvalidValue: Its driver does not know what the URL asks for.
    """
    try:
        with plainly(engine), engine.connect():
            pass
    except (TypeError, ValueError, DBAPIError) as error:
        why = next(iter(urls.redacted(str(getattr(error, "orig", error))).splitlines()), "").rstrip(".")
        raise InvalidValue(f"The database URL {urls.shown(engine.url)!r} cannot be used: {why}.") from error
