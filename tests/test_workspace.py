"""Opening a workspace: made, mended where nothing is lost by it, and refused in a sentence otherwise."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from journey import Hands, compete, count, discover
from stepdown.acts.opening import open_workspace
from stepdown.errors import InvalidValue, StepdownError, WorkspaceError
from stepdown.history import rows
from stepdown.workspace import POINTS, Settings, Workspace
from stepdown.workspace.marker import FOLDERS


def test_a_new_directory_becomes_a_workspace(workspace: Workspace) -> None:
    assert {path.name for path in workspace.root.iterdir() if path.is_dir()} == set(FOLDERS)
    assert json.loads((workspace.root / "workspace.json").read_text("utf-8"))["format"] == 1


def test_opening_again_finds_what_was_there(workspace: Workspace, settings: Settings) -> None:
    step = compete(workspace)
    workspace.close()
    with open_workspace(workspace.root, settings=settings) as again:
        assert count(again, rows.Step) == 2
        assert compete(again).id != step.id


def test_closing_twice_is_fine(workspace: Workspace) -> None:
    workspace.close()
    workspace.close()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_that_was_thrown_away_is_made_again(workspace: Workspace, settings: Settings, folder: str) -> None:
    workspace.close()
    (workspace.root / folder).rmdir()

    with open_workspace(workspace.root, settings=settings) as again:
        assert compete(again).outcome == "served"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_in_the_place_of_a_folder_is_said(workspace: Workspace, settings: Settings, folder: str) -> None:
    workspace.close()
    (workspace.root / folder).rmdir()
    (workspace.root / folder).write_text("in the way")

    with pytest.raises(WorkspaceError, match="cannot be used"):
        open_workspace(workspace.root, settings=settings)


@pytest.mark.parametrize("where", ["", "below"])
def test_a_file_in_the_place_of_the_directory_is_said(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(WorkspaceError, match="cannot be used as a workspace"):
        open_workspace(tmp_path / "file" / where)
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "3", '{"format":"1"}', '{"database":3}', '{"durability":"some"}', '{"durability":null}',
     '{"format":null}', "\x00"],
)  # fmt: skip
def test_a_damaged_marker_is_refused_with_a_way_out(workspace: Workspace, settings: Settings, text: str) -> None:
    workspace.close()
    marker = workspace.root / "workspace.json"
    marker.write_text(text)
    with pytest.raises(WorkspaceError, match="damaged; write"):
        open_workspace(workspace.root, settings=settings)

    marker.write_text("{}")
    open_workspace(workspace.root, settings=settings).close()


def test_a_newer_format_is_refused_untouched(workspace: Workspace, settings: Settings) -> None:
    workspace.close()
    (workspace.root / "workspace.json").write_text('{"format":2}')
    before = {path.name: path.stat().st_mtime_ns for path in workspace.root.iterdir()}

    with pytest.raises(WorkspaceError) as refusal:
        open_workspace(workspace.root, settings=settings)
    assert refusal.value.kind == "workspace-newer"
    assert {path.name: path.stat().st_mtime_ns for path in workspace.root.iterdir()} == before


def test_a_database_that_cannot_be_used_is_not_remembered(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(InvalidValue):
        open_workspace(tmp_path / "workspace", url="nonsense", settings=settings)

    assert not (tmp_path / "workspace").exists()
    open_workspace(tmp_path / "workspace", settings=settings).close()


def test_a_database_elsewhere_is_remembered(tmp_path: Path, settings: Settings) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    with open_workspace(tmp_path / "workspace", url=url, settings=settings) as opened:
        compete(opened)
    with open_workspace(tmp_path / "workspace", settings=settings) as again:
        assert count(again, rows.Run) == 1
    assert not (tmp_path / "workspace" / "stepdown.db").exists()


def test_a_damaged_database_is_said(workspace: Workspace, settings: Settings) -> None:
    discover(workspace)
    workspace.close()
    (workspace.root / "stepdown.db").write_bytes(b"rubbish" * 1000)

    with pytest.raises(WorkspaceError, match="not a database"):
        open_workspace(workspace.root, settings=settings)


def test_a_stranger_in_the_rooms_is_left_alone(workspace: Workspace, settings: Settings) -> None:
    (workspace.root / "bundles" / "notes").mkdir()
    (workspace.root / "datasets" / "mine.csv").write_text("1,2")
    workspace.close()

    open_workspace(workspace.root, settings=settings).close()
    assert (workspace.root / "bundles" / "notes").exists()
    assert (workspace.root / "datasets" / "mine.csv").read_text() == "1,2"


def test_time_in_history_is_the_clock_that_was_given(workspace: Workspace, hands: Hands) -> None:
    hands.forward(86400)
    step = compete(workspace)

    assert step.at == hands.instant
    with sqlite3.connect(workspace.root / "stepdown.db") as raw:
        instants = {instant for (instant,) in raw.execute("SELECT at FROM step UNION SELECT at FROM announcement")}
    assert {instant[:19] for instant in instants} == {"2026-03-02T12:00:00"}


def test_every_point_of_a_step_is_said_in_the_order_of_the_list(tmp_path: Path, settings: Settings) -> None:
    said: list[str] = []
    with open_workspace(tmp_path / "w", settings=replace(settings, reached=said.append)) as opened:
        discover(opened, candidates=1)

    step = ["announced", "answered", "step-finished"]
    assert [point for point in said if point in (*step, "generation-decided", "knowledge-learned")] == [
        *step, "generation-decided", *step, "knowledge-learned",
    ]  # fmt: skip
    assert set(said) <= set(POINTS)


def test_every_error_names_an_exit_code_and_a_kind_of_its_own() -> None:
    def below(kind: type[StepdownError]) -> list[type[StepdownError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    found = below(StepdownError)
    codes = {kind: kind.exit_code for kind in found if kind.__base__ in (StepdownError, Exception)}
    assert len(set(codes.values())) == len(codes)
    assert all(kind.__name__ in str(__import__("stepdown.errors").errors.__doc__) for kind in found)
