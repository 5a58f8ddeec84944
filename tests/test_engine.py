"""The database keeps what it is given: pragmas on every connection, triggers on every table, sentences for every trouble."""

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DatabaseError, IntegrityError, StatementError

from journey import Hands, compete, discover
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.errors import InvalidValue, WorkspaceError
from stepdown.history import engine, ledger, migrate, reader, rows, schema
from stepdown.history.append_only import triggers
from stepdown.workspace import Settings, Workspace

TABLES = sorted(schema.metadata.tables)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    """A migrated database file."""
    made = engine.create(f"sqlite:///{tmp_path / 'runs.db'}", busy_milliseconds=50)
    with engine.writing(made) as connection:
        migrate.upgrade(connection)
    yield made
    made.dispose()


@pytest.mark.parametrize("durability", [("full", 2), ("normal", 1)])
def test_every_connection_has_the_pragmas(tmp_path: Path, durability: tuple[engine.Durability, int]) -> None:
    made = engine.create(f"sqlite:///{tmp_path / 'runs.db'}", durability[0], 1234)
    with engine.reading(made) as one, engine.reading(made) as another:
        for connection in (one, another):
            said = [
                connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
            ]
            assert said == ["wal", 1, durability[1], 1234]
    made.dispose()


def test_what_was_compiled_for_one_workspace_answers_in_another_with_its_own_rows(
    workspace: Workspace, tmp_path: Path
) -> None:
    discover(workspace, seed=1)
    with open_workspace(tmp_path / "other", settings=workspace.settings) as other:
        discover(other, seed=2)
        with workspace.reading() as here, other.reading() as there:
            statements, shared = (each.get_execution_options()["compiled_cache"] for each in (here, there))
            assert [[run.seed for run in reader.all_of(each, rows.Run)] for each in (here, there)] == [[1], [2]]

    assert statements is shared


@pytest.mark.parametrize("statement", ["UPDATE {} SET seq = seq", "DELETE FROM {}"])
def test_no_row_of_any_table_can_be_changed_or_removed(lived: Path, tmp_path: Path, statement: str) -> None:
    shutil.copytree(lived, tmp_path / "lived")
    filled = []
    for table in TABLES:
        with sqlite3.connect(tmp_path / "lived" / "stepdown.db") as raw:
            if raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:
                filled.append(table)
                with pytest.raises(sqlite3.IntegrityError, match=f"append-only: {table}"):
                    raw.execute(statement.format(table))
        raw.close()

    assert set(TABLES) - set(filled) <= {"resumption"}


def test_every_table_has_both_triggers(database: Engine) -> None:
    with engine.reading(database) as connection:
        found = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars())

    assert {f"{table}_{act}" for table in TABLES for act in ("update", "delete")} <= found


def test_no_other_database_is_used_without_its_own_words_for_append_only() -> None:
    assert len(list(triggers("postgresql", ["run"]))) == 3
    assert len(list(triggers("mysql", ["run"]))) == 2
    with pytest.raises(InvalidValue, match="append-only in oracle"):
        list(triggers("oracle", ["run"]))


def test_a_row_that_refers_to_nothing_is_refused(database: Engine) -> None:
    ending = rows.Ending("run-404", "completed", None, Hands().instant)
    with pytest.raises(IntegrityError), engine.writing(database) as connection:
        ledger.append(connection, ending)


def test_what_is_begun_and_not_ended_leaves_nothing(database: Engine) -> None:
    with suppress(KeyboardInterrupt), engine.writing(database) as connection:
        ledger.append(connection, rows.PolicyChange(1, {}, "test", "", Hands().instant))
        raise KeyboardInterrupt

    with engine.reading(database) as connection:
        assert reader.count(connection, rows.PolicyChange) == 0


def test_a_number_of_a_row_is_never_used_again(database: Engine) -> None:
    with engine.reading(database) as connection:
        sequences = connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'table'")).scalars().all()

    mine = [sql for sql in sequences if any(f'TABLE "{t}"' in sql or f"TABLE {t} " in sql for t in TABLES)]
    assert len(mine) == len(TABLES)
    assert all("AUTOINCREMENT" in sql for sql in mine)


def test_a_naive_instant_is_refused(database: Engine) -> None:
    change = rows.PolicyChange(1, {}, "test", "", Hands().instant.replace(tzinfo=None))
    with pytest.raises(StatementError, match="no time zone"), engine.writing(database) as connection:
        ledger.append(connection, change)


def test_a_locked_database_gives_a_sentence_and_changes_nothing(local: Workspace, settings: Settings) -> None:
    blocker = sqlite3.connect(local.root / "stepdown.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    impatient = open_workspace(local.root, settings=replace(settings, busy_milliseconds=20))
    try:
        with pytest.raises(WorkspaceError, match="locked by another process"):
            configure.set_policy(impatient, {"min_score": 0.1})
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
        impatient.close()
    configure.set_policy(local, {"min_score": 0.2})
    with local.reading() as connection:
        assert local.policy(connection)[0] == 1


def test_readers_see_one_state_while_another_writes(local: Workspace) -> None:
    with local.reading() as connection:
        before = reader.count(connection, rows.Step)
        compete(local)
        assert reader.count(connection, rows.Step) == before
    with local.reading() as connection:
        assert reader.count(connection, rows.Step) == before + 2


def trouble(path: Path) -> str:
    """Return the sentence that opening and writing a database file gives."""
    made = engine.create(f"sqlite:///{path}", busy_milliseconds=20)
    try:
        with pytest.raises(WorkspaceError) as refusal, engine.writing(made) as connection:
            migrate.upgrade(connection)
    finally:
        made.dispose()
    return str(refusal.value)


def test_each_trouble_with_the_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("This is not a database, however long one looks at it. " * 50)
    (tmp_path / "directory.db").mkdir()

    assert "not a database" in trouble(tmp_path / "text.db")
    assert "cannot be opened" in trouble(tmp_path / "directory.db")
    assert "cannot be opened" in trouble(tmp_path / "nowhere" / "runs.db")


def test_a_database_opened_for_reading_only_says_so(database: Engine, tmp_path: Path) -> None:
    (tmp_path / "runs.db").chmod(stat.S_IRUSR)
    url = f"sqlite:///file:{tmp_path / 'runs.db'}?mode=ro&uri=true"
    made = engine.create(url)
    with pytest.raises(WorkspaceError, match="read-only"), engine.writing(made) as connection:
        ledger.append(connection, rows.PolicyChange(1, {}, "test", "", Hands().instant))
    made.dispose()


def test_what_the_database_says_of_our_statements_stays_as_it_is(database: Engine) -> None:
    with pytest.raises(DatabaseError, match="no such table"), engine.reading(database) as connection:
        connection.execute(text("SELECT * FROM nowhere"))


@pytest.mark.parametrize("url", ["", "nonsense", "nonsense://x", "sqlite", "postgresql+nodriver://x/y"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue, match="cannot be used"):
        engine.create(url)


def test_migrating_to_the_newest_version_gives_exactly_the_tables_of_the_code(database: Engine) -> None:
    with engine.reading(database) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_every_index_of_the_code_is_in_the_database(database: Engine) -> None:
    with engine.reading(database) as connection:
        look = inspect(connection)
        for name, table in schema.metadata.tables.items():
            found = {(index["name"], tuple(index["column_names"])) for index in look.get_indexes(name)}
            wanted = {(index.name, tuple(column.name for column in index.columns)) for index in table.indexes}
            assert wanted <= found


def test_the_newest_version_is_the_newest_file() -> None:
    files = sorted(path.name.split("_")[0] for path in (migrate.MIGRATIONS / "versions").glob("[0-9]*.py"))

    assert files[-1] == migrate.HEAD
    assert len(set(files)) == len(files)


def test_migrating_twice_changes_nothing(database: Engine) -> None:
    def dumped() -> list[str]:
        with engine.reading(database) as connection:
            return list(connection.execute(text("SELECT sql FROM sqlite_master ORDER BY name")).scalars())

    before = dumped()
    with engine.writing(database) as connection:
        migrate.upgrade(connection)
    assert dumped() == before


def test_an_interrupted_migration_leaves_an_empty_database(tmp_path: Path) -> None:
    made = engine.create(f"sqlite:///{tmp_path / 'runs.db'}")
    with suppress(KeyboardInterrupt), engine.writing(made) as connection:
        migrate.upgrade(connection)
        raise KeyboardInterrupt
    with engine.reading(made) as connection:
        assert inspect(connection).get_table_names() == []
        assert migrate.version(connection) is None
    made.dispose()


def test_a_database_of_a_newer_version_is_refused_untouched(workspace: Workspace, settings: Settings) -> None:
    discover(workspace, candidates=1)
    root = workspace.root
    workspace.close()
    with sqlite3.connect(root / "stepdown.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    before = (root / "stepdown.db").read_bytes()

    with pytest.raises(WorkspaceError, match="upgrade stepdown") as refusal:
        open_workspace(root, settings=settings)
    assert refusal.value.kind == "workspace-newer"
    assert (root / "stepdown.db").read_bytes() == before
