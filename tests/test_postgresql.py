"""A database that is a server: unreachable in a sentence, one workspace's, and the keeper of its sessions' claims.

The claims about a running server need one: set STEPDOWN_TEST_POSTGRESQL to the URL of a server in which databases may be
made, and STEPDOWN_DATABASE_PASSWORD or PGPASSWORD to its password.
"""

import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from journey import SCENARIO, count, discover, together
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import start
from stepdown.cli import main
from stepdown.errors import WorkspaceError
from stepdown.history import rows, urls
from stepdown.views.audit import differences
from stepdown.workspace import Settings

pytest.importorskip("psycopg")

SERVER = os.environ.get("STEPDOWN_TEST_POSTGRESQL")
running = pytest.mark.skipif(SERVER is None, reason="STEPDOWN_TEST_POSTGRESQL names no server")


@pytest.fixture
def url() -> Iterator[str]:
    """A new, empty database."""
    server = create_engine(urls.with_password(make_url(SERVER or "")), isolation_level="AUTOCOMMIT")
    name = f"stepdown_{uuid.uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(SERVER or "").set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nosuch.invalid", "/nowhere"])
def test_a_server_that_cannot_be_reached_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    url = f"postgresql+psycopg://user@{host}/base" if host[0] != "/" else "postgresql+psycopg:///base?host=/nowhere"
    assert main(["run", "-w", str(tmp_path / "w"), "--database", url]) == 7
    said = capsys.readouterr()

    assert len(said.err.strip().splitlines()) == 1
    assert "cannot be reached" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_answers_is_given_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepdown.history.engine.CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"postgresql+psycopg://user@127.0.0.1:{deaf.getsockname()[1]}/base"
        assert main(["run", "-w", str(tmp_path / "w"), "--database", url]) == 7
    assert "cannot be reached" in capsys.readouterr().err


@running
def test_every_command_says_that_the_server_is_gone(
    tmp_path: Path, url: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_workspace(tmp_path / "w", url=url, settings=settings) as workspace:
        discover(workspace)
    marker = tmp_path / "w" / "workspace.json"
    marker.write_text(marker.read_text("utf-8").replace(str(make_url(url).port), "1"), "utf-8")
    for command in ("run", "report", "audit", "route", "bundles list", "history", "policy show", "doctor"):
        code = main([*command.split(), "-w", str(tmp_path / "w")])
        said = capsys.readouterr()
        assert code == (1 if command == "doctor" else 7)
        assert "Traceback" not in said.out + said.err
        assert "cannot be" in said.out + said.err


@running
def test_a_database_that_was_dropped_and_made_again_is_not_begun_anew(
    tmp_path: Path, url: str, settings: Settings
) -> None:
    open_workspace(tmp_path / "w", url=url, settings=settings).close()
    server = create_engine(urls.with_password(make_url(url)), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    server.dispose()
    with pytest.raises(WorkspaceError, match="is gone"):
        open_workspace(tmp_path / "w", settings=settings)


@running
def test_a_run_on_a_server_is_played_audited_and_seen_by_whoever_has_the_database(
    tmp_path: Path, url: str, settings: Settings
) -> None:
    with open_workspace(tmp_path / "one", url=url, settings=settings) as one:
        discover(one)
        under_way = start(one, SCENARIO, generations=1, candidates=1)
        assert one.session.alive(one.session.id)
        with open_workspace(tmp_path / "one", settings=settings) as again:
            assert again.session.alive(one.session.id)
            assert count(again, rows.Ending) == 1
        under_way.advance()
        under_way.end()
        assert differences(one) == []
        dead = one.session.id
    with open_workspace(tmp_path / "one", settings=settings) as again:
        assert not again.session.alive(dead)


@running
def test_a_copy_beside_its_original_is_refused_and_one_that_was_moved_goes_on(
    tmp_path: Path, url: str, settings: Settings
) -> None:
    name = "o'ne 100% :x\udcff"
    with open_workspace(tmp_path / name, url=url, settings=settings) as one:
        discover(one)
    shutil.copytree(tmp_path / name, tmp_path / "copy")
    with pytest.raises(WorkspaceError, match="is a copy of") as refusal:
        open_workspace(tmp_path / "copy", settings=settings)
    assert refusal.value.kind == "database-taken"
    (tmp_path / name).rename(tmp_path / "moved")
    with open_workspace(tmp_path / "moved", settings=settings) as moved:
        assert discover(moved).id == "run-2"
        assert differences(moved) == []
    with pytest.raises(WorkspaceError, match="is a copy of"):
        open_workspace(tmp_path / "copy", settings=settings)


KILLED = """
import os, signal, sys
from stepdown.acts.run import start
from stepdown.workspace import Workspace
from stepdown.acts.opening import open_workspace
workspace = open_workspace(sys.argv[1])
start(workspace, "grid_ctf").advance()
os.kill(os.getpid(), signal.SIGKILL)
"""


@running
def test_a_killed_process_is_dead_to_the_server_and_its_run_is_closed(
    tmp_path: Path, url: str, settings: Settings
) -> None:
    open_workspace(tmp_path / "w", url=url, settings=settings).close()
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "w")], env=environment, check=False)
    with open_workspace(tmp_path / "w", settings=settings) as again:
        assert count(again, rows.Ending) == 1
        assert differences(again) == []


@running
def test_a_forked_child_leaves_its_parents_claim_and_conversation_alone(
    tmp_path: Path, url: str, settings: Settings
) -> None:
    with open_workspace(tmp_path / "w", url=url, settings=settings) as workspace:
        under_way = start(workspace, SCENARIO, generations=2, candidates=1)
        under_way.advance()
        child = os.fork()
        if child == 0:
            try:
                workspace.close()
            except WorkspaceError:
                sys.exit(7)
            finally:
                os._exit(7)
        os.waitpid(child, 0)
        with open_workspace(tmp_path / "w", settings=settings) as other:
            assert count(other, rows.Ending) == 0
        under_way.advance()
        under_way.end()
        assert differences(workspace) == []


@running
def test_two_workspaces_claim_a_server_once(tmp_path: Path, url: str, settings: Settings) -> None:
    def opened(position: int) -> int:
        with open_workspace(tmp_path / str(position), url=url, settings=settings) as workspace:
            return count(workspace, rows.Run)

    results = together(4, opened)
    assert [result for result in results if not isinstance(result, WorkspaceError)] == [0]
    assert len(list(tmp_path.iterdir())) == 1


@running
def test_processes_end_their_connection_in_a_sentence_when_the_server_ends_it(
    tmp_path: Path, url: str, settings: Settings
) -> None:
    workspace = open_workspace(tmp_path / "w", url=url, settings=settings)
    discover(workspace)
    server = create_engine(urls.with_password(make_url(SERVER or "")), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(text(ended), {"name": make_url(url).database})
    server.dispose()
    with pytest.raises(WorkspaceError, match="cannot be reached"):
        discover(workspace)
    assert discover(workspace).id == "run-2"
    workspace.close()
