"""Nothing is removed that stepdown did not make; what no row knows is set aside, named and kept."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from journey import SCENARIO, active, compete, count, discover, together
from stepdown.acts import switch
from stepdown.acts.clear import OWN, clear, mark
from stepdown.acts.export import export
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import start
from stepdown.bundles.disk import Condition, look
from stepdown.cli import main
from stepdown.errors import Refused, WorkspaceError
from stepdown.history import rows
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.views.doctor import examine
from stepdown.workspace import Settings, Workspace
from stepdown.workspace.sessions import alive, forget
from stepdown.workspace.unknown import unknown


def contents(root: Path) -> dict[str, bytes | None]:
    """Return every path below a directory, with the bytes of files; the database's own companions aside."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
        if not path.name.startswith("stepdown.db-")
    }


def test_a_database_older_than_its_folders_loses_nothing(
    local: Workspace, empty: Path, settings: Settings, tmp_path: Path
) -> None:
    held = active(local).id
    local.close()
    root = local.root
    (dataset,) = (root / "datasets").iterdir()
    shutil.copy(root / "stepdown.db", tmp_path / "newer.db")
    shutil.copy(empty / "stepdown.db", root / "stepdown.db")

    with open_workspace(root, settings=settings):
        assert {path.name for path in unknown(root)} == {held, dataset.name}
        assert look(root / "unknown" / "bundles" / held, held).condition is Condition.WHOLE
    assert any(check.name == "unknown" and held[:12] in check.finding for check in examine(root))

    shutil.copy(tmp_path / "newer.db", root / "stepdown.db")
    with open_workspace(root, settings=settings) as again:
        assert unknown(root) == []
        assert look(again.bundle_directory(held), held).condition is Condition.WHOLE
        assert dataset.is_dir()
        assert differences(again) == []
        assert compete(again).served == "local"


def test_what_was_set_aside_is_never_overwritten(workspace: Workspace, settings: Settings) -> None:
    for text in ("one", "two", "three"):
        (workspace.root / "bundles" / ("a" * 64)).mkdir()
        (workspace.root / "bundles" / ("a" * 64) / "notes").write_text(text)
        open_workspace(workspace.root, settings=settings).close()

    assert sorted((path / "notes").read_text() for path in unknown(workspace.root)) == ["one", "three", "two"]


def test_a_dataset_that_somebody_changed_is_kept_beside_the_one_that_is_exported_again(local: Workspace) -> None:
    (dataset,) = (local.root / "datasets").iterdir()
    for text in ("mine", "mine too"):
        (dataset / "train.jsonl").write_text(text)
        assert export(local, Filters(SCENARIO)).path == dataset
        assert (dataset / "train.jsonl").read_text() != text

    kept = {path.name.partition(".")[2]: (path / "train.jsonl").read_text() for path in unknown(local.root)}
    assert kept == {"changed": "mine", "changed.2": "mine too"}


def test_a_half_removed_directory_goes_only_if_a_row_says_that_it_was_deleted(
    local: Workspace, settings: Settings
) -> None:
    held, bundles = active(local).id, local.root / "bundles"
    (bundles / f".{'b' * 64}.removed").mkdir()
    shutil.copytree(bundles / held, bundles / f".{held}.removed")
    open_workspace(local.root, settings=settings).close()
    assert {path.name for path in unknown(local.root)} == {f".{'b' * 64}.removed", f".{held}.removed"}

    switch.delete(local, held)
    (bundles / f".{held}.removed").mkdir()
    (bundles / held).mkdir()
    open_workspace(local.root, settings=settings).close()
    assert list(bundles.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "datasets/thesis.part", "datasets/mine.1-00000000.part", "jobs/thesis.part", "jobs/thesis.plan",
        "jobs/job.1-00000000.part", "sessions/my.lock", "sessions/notes.txt", "bundles/notes", "bundles/.x.removed",
        "thesis.txt", "unknown/bundles/mine", "knowledge/mine.md",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_opening_removes_nothing_that_stepdown_would_not_have_called_so(
    workspace: Workspace, settings: Settings, tmp_path: Path, name: str, kind: str
) -> None:
    path = workspace.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("mine")
    match kind:
        case "file":
            path.write_text("mine")
        case "folder":
            path.mkdir()
            (path / "kept").write_text("mine")
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
    before = contents(workspace.root)
    open_workspace(workspace.root, settings=settings).close()

    assert contents(workspace.root) == before
    assert (tmp_path / "elsewhere" / "kept").read_text() == "mine"


@pytest.mark.parametrize("session", ["../../thesis", "", "a/b", "1-0000000g", "*"])
def test_a_session_of_a_strange_name_is_dead_and_removes_nothing(tmp_path: Path, session: str) -> None:
    (tmp_path / "thesis.lock").write_text("mine")
    (tmp_path / "a" / "b").mkdir(parents=True)

    assert not alive(tmp_path / "a" / "b", session)
    forget(tmp_path / "a" / "b", session)
    assert (tmp_path / "thesis.lock").read_text() == "mine"


@pytest.mark.parametrize("command", [["report"], ["audit"], ["route"], ["bundles", "list"], ["run"], ["history"]])
@pytest.mark.parametrize("loss", ["removed", "emptied", "replaced"])
def test_a_workspace_whose_database_is_gone_is_refused_and_keeps_everything(
    local: Workspace, capsys: pytest.CaptureFixture[str], command: list[str], loss: str
) -> None:
    local.close()
    database = local.root / "stepdown.db"
    database.unlink()
    if loss == "emptied":
        database.touch()
    if loss == "replaced":
        with sqlite3.connect(database) as raw:
            raw.execute("CREATE TABLE other (x)")
        raw.close()
    before = contents(local.root)

    assert main([*command, "-w", str(local.root)]) == 7
    said = capsys.readouterr().err
    assert "is gone" in said
    assert "Restore a copy" in said
    assert {name: data for name, data in contents(local.root).items() if name != "stepdown.db"} == {
        name: data for name, data in before.items() if name != "stepdown.db"
    }
    assert database.exists() is (loss != "removed")


def test_a_trace_without_a_history_is_not_begun_anew(local: Workspace, settings: Settings) -> None:
    local.close()
    for name in ("stepdown.db", "workspace.json"):
        (local.root / name).unlink()
    before = contents(local.root)

    with pytest.raises(WorkspaceError, match="no history beside it"):
        open_workspace(local.root, settings=settings)
    assert contents(local.root) == before


def test_a_lost_marker_is_written_again_for_the_database_that_is_there(local: Workspace, settings: Settings) -> None:
    local.close()
    number = json.loads((local.root / "workspace.json").read_text())["id"]
    (local.root / "workspace.json").unlink()

    with open_workspace(local.root, settings=settings) as again:
        assert differences(again) == []
    assert json.loads((local.root / "workspace.json").read_text())["id"] == number


def test_two_workspaces_on_one_database_are_refused(tmp_path: Path, settings: Settings) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with open_workspace(tmp_path / "one", url=url, settings=settings) as one:
        discover(one)
        with pytest.raises(WorkspaceError, match="belongs to another workspace") as refusal:
            open_workspace(tmp_path / "two", url=url, settings=settings)
        assert refusal.value.kind == "database-taken"
        assert not (tmp_path / "two").exists()
        assert differences(one) == []


def test_a_database_that_two_new_workspaces_claim_at_once_goes_to_one(tmp_path: Path, settings: Settings) -> None:
    for attempt in range(5):
        url = f"sqlite:///{tmp_path / f'{attempt}.db'}"

        def opened(position: int, attempt: int = attempt, url: str = url) -> int:
            with open_workspace(tmp_path / f"{attempt}-{position}", url=url, settings=settings) as workspace:
                return count(workspace, rows.Run)

        results = together(4, opened)
        assert [result for result in results if not isinstance(result, WorkspaceError)] == [0]
        assert len(list(tmp_path.glob(f"{attempt}-*"))) == 1


def test_a_workspace_that_was_moved_while_it_is_used_takes_no_living_process_for_dead(
    tmp_path: Path, settings: Settings
) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with open_workspace(tmp_path / "one", url=url, settings=settings) as one:
        under_way = start(one, SCENARIO, generations=1, candidates=1)
        (tmp_path / "one").rename(tmp_path / "two")
        with open_workspace(tmp_path / "two", settings=settings) as two:
            assert count(two, rows.Ending) == 0
        (tmp_path / "two").rename(tmp_path / "one")
        under_way.advance()
        under_way.end()
        assert differences(one) == []


def test_a_workspace_of_a_version_that_wrote_no_number_is_claimed_once(tmp_path: Path, settings: Settings) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    open_workspace(tmp_path / "one", url=url, settings=settings).close()
    with sqlite3.connect(tmp_path / "runs.db") as raw:
        raw.execute("PRAGMA user_version = 0")
    raw.close()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for name in ("one", "two"):
        (tmp_path / name / "workspace.json").write_text(json.dumps({"format": 1, "database": url}))

    open_workspace(tmp_path / "one", settings=settings).close()
    open_workspace(tmp_path / "one", settings=settings).close()
    with pytest.raises(WorkspaceError, match="belongs to another workspace"):
        open_workspace(tmp_path / "two", settings=settings)


def demo_like(root: Path, settings: Settings) -> None:
    """Make what an earlier demo leaves: a workspace of its own, with a run and its mark."""
    with open_workspace(root, settings=settings) as workspace:
        discover(workspace)
        mark(workspace, finished=True)


def test_a_demo_clears_what_a_demo_made(tmp_path: Path, settings: Settings) -> None:
    demo_like(tmp_path / "demo", settings)
    clear(tmp_path / "demo")
    assert list((tmp_path / "demo").iterdir()) == []
    clear(tmp_path / "demo")
    clear(tmp_path / "new")


def test_a_demo_clears_what_a_demo_that_tunes_a_base_made(tmp_path: Path, settings: Settings) -> None:
    demo_like(tmp_path / "demo", settings)
    digest = "a" * 64
    for name in (
        "bases/smollm2/base.json", "bases/smollm2/model.safetensors", "knowledge/invoices/hints.md",
        f"jobs/{digest}.checkpoint/optimizer.safetensors", f"jobs/{digest}.checkpoint.new/state.json",
    ):  # fmt: skip
        (tmp_path / "demo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "demo" / name).write_text("")
    clear(tmp_path / "demo")
    assert list((tmp_path / "demo").iterdir()) == []
    assert all(OWN.fullmatch(f"bundles/{digest}/{name}") for name in ("adapters.safetensors", "adapter_config.json"))


@pytest.mark.parametrize(
    "name",
    ["thesis.txt", "bundles/thesis.txt", "bases/smollm2/notes.md", "bases/ours/config.json", "reports/notes.md",
     f"bundles/{'a' * 64}/thesis.txt", "demo.txt", "sub/x", "knowledge/grid_ctf/mine.md", "jobs/x",
     f"datasets/{'a' * 64}/mine.csv", "stepdown.db.bak", ".git/config"],
)  # fmt: skip
def test_a_demo_removes_nothing_where_anything_is_somebodys(tmp_path: Path, settings: Settings, name: str) -> None:
    root = tmp_path / "demo"
    demo_like(root, settings)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("ten years of work")
    before = contents(root)

    with pytest.raises(Refused, match="which no demo made"):
        clear(root)
    assert contents(root) == before


@pytest.mark.parametrize("text", ["", "{}", "yes", '{"stepdown-demo":1,"runs":0,"finished":true}', "[]", "\x00"])
def test_a_file_that_happens_to_be_called_demo_gives_nothing_away(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    workspace.close()
    (workspace.root / "demo").write_text(text)
    before = contents(workspace.root)

    assert main(["demo", "-w", str(workspace.root)]) == 4
    assert "not a demo's workspace" in capsys.readouterr().err
    assert contents(workspace.root) == before


def test_a_demo_removes_no_run_that_a_person_made_in_it(tmp_path: Path, settings: Settings) -> None:
    demo_like(tmp_path / "demo", settings)
    with open_workspace(tmp_path / "demo", settings=settings) as workspace:
        discover(workspace)
    with pytest.raises(Refused, match="runs that no demo made"):
        clear(tmp_path / "demo")
    with open_workspace(tmp_path / "demo", settings=settings) as workspace:
        assert count(workspace, rows.Run) == 2


def test_a_demo_follows_no_link(tmp_path: Path, settings: Settings) -> None:
    demo_like(tmp_path / "demo", settings)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run-1.md").write_text("ten years of work")
    (tmp_path / "demo" / "reports").symlink_to(tmp_path / "mine")

    with pytest.raises(Refused, match="which no demo made"):
        clear(tmp_path / "demo")
    assert (tmp_path / "mine" / "run-1.md").exists()


def test_a_demo_in_the_place_of_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WorkspaceError, match="cannot be used"):
        clear(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["workspace.json", "stepdown.db", "trace.jsonl"])
def test_a_pipe_in_the_place_of_a_file_is_said_and_never_waited_for(
    workspace: Workspace, settings: Settings, name: str
) -> None:
    workspace.close()
    (workspace.root / name).unlink(missing_ok=True)
    os.mkfifo(workspace.root / name)

    with pytest.raises(WorkspaceError, match=r"is not a file|damaged"):
        open_workspace(workspace.root, settings=settings)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/nowhere")])
def test_anything_in_the_place_of_a_lock_is_no_living_process(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "1-00000000.lock")

    assert not alive(tmp_path, "1-00000000")
    forget(tmp_path, "1-00000000")


@pytest.mark.parametrize("name", ["train.jsonl", "manifest.json"])
def test_a_pipe_in_a_dataset_is_said_and_never_waited_for(
    local: Workspace, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (dataset,) = (local.root / "datasets").iterdir()
    (dataset / name).unlink()
    os.mkfifo(dataset / name)

    assert main(["train", dataset.name, "-w", str(local.root)]) == 5
    assert "export it again" in capsys.readouterr().err
    assert main(["export", "-w", str(local.root)]) in {0, 5}
