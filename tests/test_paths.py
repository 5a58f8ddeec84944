"""A path is a path, whatever characters it holds; a URL is parts; a password in one is stored and shown nowhere."""

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import URL

from journey import compete, count
from stepdown.acts.opening import open_workspace
from stepdown.cli import main
from stepdown.errors import InvalidValue, StepdownError, WorkspaceError
from stepdown.history import engine, rows, urls
from stepdown.views.doctor import examine
from stepdown.workspace import Settings, Workspace
from stepdown.workspace.marker import Marker

NAMES = (
    "a%20b", "what?", "a?mode=memory", "a#b", "a%b", "100%", "a;b", "a&b=c", "a+b", "a:b", "a@b", "file:x", ":memory:",
    "sp ace", "quote'", 'double"', "back\\slash", "ünï", "日本", "\udcff", "new\nline", "-w", "~", "$HOME", "*", "{}",
)  # fmt: skip
SECRET = "hunter2"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_workspace_of_any_name_keeps_everything_inside(tmp_path: Path, settings: Settings, name: str) -> None:
    root = tmp_path / name / name
    with open_workspace(root, settings=settings) as opened:
        compete(opened)
    with open_workspace(root, settings=settings) as again:
        assert count(again, rows.Run) == 1

    assert [os.fsencode(path) for path in tmp_path.iterdir()] == [os.fsencode(tmp_path / name)]
    assert {path.name for path in root.parent.iterdir()} == {name}
    assert (root / "stepdown.db").is_file()


@pytest.mark.parametrize("name", [name for name in NAMES if name.isprintable()], ids=ascii)
def test_a_database_of_any_name_elsewhere_is_found_again(tmp_path: Path, settings: Settings, name: str) -> None:
    url = f"sqlite:///{quote(str(tmp_path / name))}"
    with open_workspace(tmp_path / "workspace", url=url, settings=settings) as opened:
        compete(opened)
    with open_workspace(tmp_path / "workspace", url=url, settings=settings) as again:
        assert count(again, rows.Run) == 1
    assert (tmp_path / name).is_file()


def test_a_relative_database_means_the_same_from_every_directory(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("here? 100%", "there"):
        (tmp_path / place).mkdir()
    monkeypatch.chdir(tmp_path / "here? 100%")
    with open_workspace(tmp_path / "workspace", url="sqlite:///runs.db", settings=settings) as opened:
        compete(opened)
    monkeypatch.chdir(tmp_path / "there")
    with open_workspace(tmp_path / "workspace", settings=settings) as again:
        assert count(again, rows.Run) == 1
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize("root", ["", "\0", "a\0b", "n" * 300])
def test_a_path_that_no_file_system_takes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StepdownError, match=r"needs a directory|cannot be used as a workspace"):
        open_workspace(root)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["run"], ["report"], ["doctor"], ["demo"], ["audit"], ["bundles", "list"]])
@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_workspace_option_is_refused_and_scatters_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], empty: str
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main([*command, "-w", empty]) == 2
    assert "The value after -w is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_no_workspaces(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidValue, match="in memory"):
        open_workspace(tmp_path / "w", url=url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://user:{SECRET}@host/base",
        f"postgresql://user:{SECRET}@host:notaport/base",
        f"postgresql://user:{SECRET}@[host/base",
        f"nonsense://user:{SECRET}@host/base",
        f"postgresql+nodriver://user:{SECRET}@host/base",
        f"postgresql:user:{SECRET}@host/base",
        f"sqlite:///x.db?password={SECRET}",
        f"postgresql://host/base?password={SECRET}",
        f"postgresql://host/base?sslpassword={SECRET}&x=y",
        f"://user:{SECRET}@host",
        f"postgresql://user:{SECRET}/@host/base",
    ],
)
def test_a_password_in_a_url_is_refused_and_shown_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    code = main(["run", "-w", str(tmp_path / "w"), "--database", url])
    said = capsys.readouterr()

    assert code == 2
    assert SECRET not in said.out + said.err
    assert list(tmp_path.iterdir()) == []


def test_a_password_from_the_environment_reaches_the_driver_and_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(urls.PASSWORD, SECRET)
    url = urls.with_password(urls.parse("postgresql://user@host/base"))

    assert url.password == SECRET
    assert SECRET not in urls.shown(url) + repr(url) + str(url)
    assert urls.with_password(urls.sqlite(Path("/x"))).password is None


@pytest.mark.parametrize("stored", [f"sqlite://user:{SECRET}@/{{}}", f"sqlite:///{{}}?timeout=5&api_token={SECRET}"])
def test_what_an_earlier_version_stored_is_refused_in_a_sentence_that_keeps_it(
    workspace: Workspace, stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.close()
    (workspace.root / "workspace.json").write_text(
        json.dumps({"format": 1, "database": stored.format(workspace.root / "stepdown.db"), "durability": "normal"})
    )
    for command in (["report"], ["run", "--database", "sqlite:////other.db"], ["doctor"]):
        main([*command, "-w", str(workspace.root)])
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    assert SECRET not in repr(Marker.read(workspace.root))
    assert SECRET not in str(examine(workspace.root))


@pytest.mark.parametrize(
    "url",
    [
        urls.sqlite(Path("/a?b%20#c")),
        URL.create("postgresql+psycopg", "us@er", None, "host", 5, "ba/se", {"sslmode": "require"}),
        URL.create("sqlite", database="/x", query={"a b": "c&d"}),
    ],
    ids=str,
)
def test_a_url_is_read_as_it_was_remembered(url: URL) -> None:
    assert urls.from_json(json.loads(json.dumps(urls.as_json(url)))) == url


@pytest.mark.parametrize(
    "stored",
    [3, [], {}, {"drivername": 3}, {"drivername": "sqlite", "port": "x"}, {"drivername": "sqlite", "query": 3}],
)
def test_what_names_no_database_is_a_damaged_marker(workspace: Workspace, settings: Settings, stored: object) -> None:
    workspace.close()
    (workspace.root / "workspace.json").write_text(json.dumps({"database": stored}))
    with pytest.raises(WorkspaceError, match="damaged"):
        open_workspace(workspace.root, settings=settings)


@pytest.mark.parametrize("url", ["postgresql+asyncpg://h/b", "sqlite+aiosqlite:///x.db", "sqlite:///x.db?nonsense=1"])
def test_a_database_that_this_program_cannot_drive_leaves_nothing(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidValue, match="cannot be used"):
        open_workspace(tmp_path / "w", url=url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--scenario", "nosuch"],
        ["--frontier", "nosuch"],
        ["--frontier", "recorded:/nowhere"],
        ["--generations", "0"],
        ["--candidates", "-1"],
        ["--seed", "-1"],
        ["--database", "sqlite:////nowhere/at/all.db"],
        ["--database", "sqlite:////"],
        ["--database", "sqlite:////tmp/a%00b.db"],
        ["--database", "nonsense"],
    ],
    ids=" ".join,
)
def test_a_first_command_that_fails_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code = main(["run", "-w", str(tmp_path / "deep" / "w"), *arguments])
    said = capsys.readouterr().err

    assert code in {2, 3, 7}
    assert len(said.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_first_command_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "w" / "datasets").mkdir(parents=True)
    (tmp_path / "w" / "notes.txt").write_text("mine")
    (tmp_path / "w" / "stepdown.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(WorkspaceError, match="not a database"):
        open_workspace(tmp_path / "w")

    assert {path.name for path in (tmp_path / "w").iterdir()} == {"datasets", "notes.txt", "stepdown.db"}


def test_a_database_with_tables_of_something_else_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as raw:
        raw.execute("CREATE TABLE run (x)")
    raw.close()
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(WorkspaceError, match="tables of something else"):
        open_workspace(tmp_path / "w", url=f"sqlite:///{tmp_path / 'other.db'}")

    assert {path.name for path in tmp_path.iterdir()} == {"other.db"}
    assert sqlite3.connect(tmp_path / "other.db").execute("SELECT name FROM sqlite_master").fetchall() == [("run",)]
    assert len(before) > 0


def test_an_engine_takes_parts_and_text_alike(tmp_path: Path, settings: Settings) -> None:
    for url in (urls.sqlite(tmp_path / "a.db"), f"sqlite:///{tmp_path / 'a.db'}"):
        made = engine.create(url)
        engine.reach(made)
        made.dispose()
    assert replace(settings, engine=engine.create) == settings


@pytest.mark.parametrize("command", [["run"], ["report"], ["doctor"], ["ask", "3"], ["bundles", "list"]])
@pytest.mark.parametrize("target", ["nowhere", "link"])
def test_a_link_that_leads_nowhere_is_said_to_be_one_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], target: str
) -> None:
    (tmp_path / "link").symlink_to(target)

    code = main([*command, "-w", str(tmp_path / "link")])

    said = "".join(capsys.readouterr())
    assert code == (1 if command == ["doctor"] else 7)
    assert command == ["doctor"] or "leads nowhere" in said
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no such file system here")
@pytest.mark.parametrize("command", [["run"], ["ask", "3"], ["demo"]])
def test_a_place_in_which_no_directory_can_be_made_is_said_and_not_waited_for(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "-w", "/proc/workspace"]) == 7
    assert "cannot be used as a workspace" in capsys.readouterr().err
