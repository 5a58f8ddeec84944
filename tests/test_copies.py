"""A copy of a workspace whose database lies outside is not a second one on it; one that was moved or restored goes on."""

import json
import os
import shutil
from pathlib import Path

import pytest

from journey import count, discover, together
from stepdown.acts.opening import open_workspace
from stepdown.cli import main
from stepdown.errors import WorkspaceError
from stepdown.history import rows
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace
from test_manners import LINES, answered


def contents(root: Path) -> dict[str, bytes]:
    """Return every file below a directory, but for what SQLite makes anew whenever somebody reads."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


@pytest.fixture
def original(tmp_path: Path, settings: Settings) -> Path:
    """A workspace with one run, whose database lies elsewhere."""
    (tmp_path / "store").mkdir()
    url = f"sqlite:///{tmp_path / 'store' / 'runs.db'}"
    with open_workspace(tmp_path / "one", url=url, settings=settings) as one:
        discover(one)
    return tmp_path / "one"


def goes_on(root: Path, settings: Settings) -> None:
    """Claim that a workspace works, and that both its witnesses agree."""
    with open_workspace(root, settings=settings) as workspace:
        discover(workspace)
        assert differences(workspace) == []


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_command_refuses_a_copy_beside_its_original_in_a_sentence(
    line: list[str], original: Path, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if line[0] in ("init", "demo"):
        pytest.skip("They begin something, and read no workspace.")
    copy = shutil.copytree(original, tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.jsonl").write_text('{"prompt": "x", "completion": "y"}')
    before = contents(tmp_path)

    code = main([*line, "-w", str(copy)])
    out, err = capsys.readouterr()

    answered(code, out, err)
    assert code in ((1,) if line == ["doctor"] else (2, 3, 7))
    assert code in (2, 3) or f"is a copy of {original}" in " ".join((out + err).split()) or line == ["doctor"]
    assert contents(tmp_path) == before
    goes_on(original, settings)


def test_the_copy_is_refused_whichever_of_them_is_opened_first(original: Path, settings: Settings) -> None:
    copy = shutil.copytree(original, original.with_name("copy"))

    with pytest.raises(WorkspaceError, match="is a copy of") as refusal:
        open_workspace(copy, settings=settings)
    assert refusal.value.kind == "database-taken"
    goes_on(original, settings)
    with pytest.raises(WorkspaceError, match="is a copy of"):
        open_workspace(copy, settings=settings)


def test_a_copy_of_a_version_that_remembered_no_place_is_refused_once_the_original_was_opened(
    original: Path, settings: Settings
) -> None:
    (original.parent / "store" / "runs.db-sessions" / "workspace.json").unlink()
    copies = [shutil.copytree(original, original.with_name(name)) for name in ("two", "three", "four")]

    opened = together(3, lambda number: goes_on(copies[number], settings))

    assert len([each for each in opened if each is None]) == 1
    assert all("is a copy of" in str(each) for each in opened if each is not None)


@pytest.mark.parametrize("way", ["moved", "moved and back", "restored", "restored to the same place", "link"])
def test_a_workspace_that_was_moved_or_restored_goes_on(original: Path, settings: Settings, way: str) -> None:
    other = original.with_name("other place, 100% 'of' it")
    match way:
        case "moved":
            original.rename(other)
        case "moved and back":
            original.rename(other)
            goes_on(other, settings)
            other.rename(original)
            other = original
        case "restored":
            shutil.copytree(original, other)
            shutil.rmtree(original)
        case "restored to the same place":
            shutil.copytree(original, other)
            shutil.rmtree(original)
            other.rename(original)
            other = original
        case _:
            other.symlink_to(original)
    for _ in range(2):
        goes_on(other, settings)
    assert way != "link" or original.exists()


def test_a_place_that_another_workspace_took_meanwhile_is_no_original(original: Path, settings: Settings) -> None:
    moved = original.rename(original.with_name("moved"))
    goes_on(original, settings)

    goes_on(moved, settings)
    goes_on(original, settings)


def test_a_copy_with_a_copy_of_the_database_is_a_workspace_of_its_own(original: Path, settings: Settings) -> None:
    copy = shutil.copytree(original, original.with_name("copy"))
    store = shutil.copytree(original.parent / "store", original.parent / "store2")
    marker = json.loads((copy / "workspace.json").read_text("utf-8"))
    (copy / "workspace.json").write_text(json.dumps(marker | {"database": f"sqlite:///{store / 'runs.db'}"}))

    goes_on(copy, settings)
    goes_on(original, settings)
    goes_on(copy, settings)


@pytest.mark.parametrize("way", ["symbolic link", "URL of its own file"])
def test_a_database_that_is_only_named_in_the_directory_is_outside_of_the_copy(
    workspace: Workspace, settings: Settings, tmp_path: Path, way: str
) -> None:
    root = workspace.root
    discover(workspace)
    workspace.close()
    database = root / "stepdown.db"
    if way == "symbolic link":
        (tmp_path / "store").mkdir()
        database.rename(tmp_path / "store" / "x.db")
        database.symlink_to(tmp_path / "store" / "x.db")
    else:
        marker = json.loads((root / "workspace.json").read_text("utf-8"))
        (root / "workspace.json").write_text(json.dumps(marker | {"database": f"sqlite:///{database}"}))
    goes_on(root, settings)
    copy = shutil.copytree(root, tmp_path / "copy", symlinks=True)

    with pytest.raises(WorkspaceError, match="is a copy of"):
        open_workspace(copy, settings=settings)
    goes_on(root, settings)
    with open_workspace(root, settings=settings) as again:
        assert count(again, rows.Run) == 3


def test_a_database_with_two_names_is_refused(workspace: Workspace, settings: Settings, tmp_path: Path) -> None:
    workspace.close()
    shutil.copytree(workspace.root, tmp_path / "copy", copy_function=os.link)

    for root in (workspace.root, tmp_path / "copy"):
        with pytest.raises(WorkspaceError, match="2 names"):
            open_workspace(root, settings=settings)


def test_a_copy_that_nobody_may_write_is_read_beside_its_original(
    original: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(original, original.with_name("copy"))
    may = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: not (mode & os.W_OK and str(path) == str(copy)) and may(path, mode)
    )

    with open_workspace(copy, settings=settings) as opened:
        assert opened.read_only
        assert differences(opened) == []


@pytest.mark.parametrize("trouble", ["a damaged marker", "a loop of links"])
def test_where_nobody_can_look_for_the_original_a_sentence_says_so(
    original: Path, settings: Settings, trouble: str
) -> None:
    moved = original.rename(original.with_name("moved"))
    record = original.parent / "store" / "runs.db-sessions" / "workspace.json"
    if trouble == "a damaged marker":
        original.mkdir()
        (original / "workspace.json").write_text("{")
    else:
        original.symlink_to(original)

    with pytest.raises(WorkspaceError, match="cannot be seen") as refusal:
        open_workspace(moved, settings=settings)
    assert str(record) in str(refusal.value)
    record.unlink()
    goes_on(moved, settings)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"workspace": 3}', '{"workspace": "a\\u0000b"}', "[" * 100_000])
def test_a_damaged_record_of_the_place_is_written_anew(original: Path, settings: Settings, text: str) -> None:
    record = original.parent / "store" / "runs.db-sessions" / "workspace.json"
    record.write_text(text)

    goes_on(original, settings)

    assert json.loads(record.read_text("utf-8")) == {"workspace": str(original)}
