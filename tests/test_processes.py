"""A workspace is its process's: all threads may use it, a forked child may not, and whoever opens one at once gets it whole."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from journey import SCENARIO, SMALL, active, compete, count, discover, localized, together
from rotation import nightly
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import start
from stepdown.errors import StepdownError, TrainingFailed
from stepdown.history import reader, rows
from stepdown.views.audit import differences
from stepdown.views.doctor import examine
from stepdown.workspace import Settings, Workspace, founding
from stepdown.workspace.sessions import alive


def forked(act: Callable[[], object]) -> str:
    """Do something in a forked child, and return the refusal that it met; empty when there was none."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            act()
            said = ""
        except StepdownError as error:
            said = f"{error.kind}: {error}"
        except BaseException:
            said = traceback.format_exc()
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as words:
        said = words.read()
    assert os.waitpid(child, 0)[1] == 0
    return said


ACTS: dict[str, Callable[[Workspace], object]] = {
    "close": lambda workspace: workspace.close(),
    "leave": lambda workspace: workspace.__exit__(None, None, None),
    "read": lambda workspace: count(workspace, rows.Run),
    "write": lambda workspace: configure.set_policy(workspace, {"min_score": 0.5}),
    "claim": lambda workspace: workspace.session.begin(),
    "give up": lambda workspace: workspace.session.end(),
    "run": discover,
    "audit": differences,
}


@pytest.mark.parametrize("act", ACTS)
def test_a_forked_child_is_refused_and_its_parent_keeps_its_claim_and_its_run(
    workspace: Workspace, settings: Settings, act: str
) -> None:
    under_way = start(workspace, SCENARIO, generations=2, candidates=1)
    under_way.advance()
    said = forked(lambda: ACTS[act](workspace))

    assert said.startswith("workspace-forked: ")
    assert "open it again" in said
    assert alive(workspace.root / "sessions", workspace.session.id)
    with open_workspace(workspace.root, settings=settings) as other:
        assert count(other, rows.Ending) == 0
    under_way.advance()
    under_way.end()
    assert differences(workspace) == []


def test_a_forked_child_that_opens_it_again_works_beside_its_parent(workspace: Workspace, settings: Settings) -> None:
    discover(workspace)

    def work() -> None:
        with open_workspace(workspace.root, settings=settings) as mine:
            discover(mine)

    assert forked(work) == ""
    assert discover(workspace).id == "run-3"
    assert differences(workspace) == []


PARENT = """
import os, sys, time
from stepdown.workspace import Workspace
from stepdown.acts.opening import open_workspace
workspace = open_workspace(sys.argv[1])
print(workspace.session.begin(), flush=True)
if os.fork() == 0:
    print("child", os.getpid(), flush=True)
    time.sleep(60)
time.sleep(60)
"""


def test_a_child_that_outlives_its_killed_parent_does_not_keep_its_claim(workspace: Workspace) -> None:
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(workspace.root)], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        session, child = parent.stdout.readline().strip(), int(parent.stdout.readline().split()[1])
        try:
            assert alive(workspace.root / "sessions", session)
            parent.kill()
            parent.wait()
            assert not alive(workspace.root / "sessions", session)
        finally:
            os.kill(child, signal.SIGKILL)


def test_threads_that_each_open_a_new_workspace_do_not_meddle(tmp_path: Path, settings: Settings) -> None:
    for attempt in range(20 if nightly() else 2):

        def opened(position: int, attempt: int = attempt) -> int:
            with open_workspace(tmp_path / f"{attempt}-{position}", settings=settings) as workspace:
                discover(workspace)
                return count(workspace, rows.Run) + len(differences(workspace))

        assert together(6, opened) == [1] * 6


def test_threads_that_open_the_same_new_workspace_make_it_once(tmp_path: Path, settings: Settings) -> None:
    for attempt in range(5):

        def opened(_position: int, attempt: int = attempt) -> int:
            with open_workspace(tmp_path / str(attempt), settings=settings) as workspace:
                configure.set_policy(workspace, {"min_score": 0.5})
                return count(workspace, rows.PolicyChange)

        assert together(6, opened) == [1] * 6


OPENER = """
import sys
from stepdown.errors import StepdownError
from stepdown.workspace import Workspace
from stepdown.acts.opening import open_workspace
sys.stdin.readline()
with open_workspace(sys.argv[1]) as workspace, workspace.reading():
    print("opened")
"""


def test_processes_that_open_the_same_new_workspace_make_it_once(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", OPENER, str(tmp_path / "w")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, env=environment, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate(timeout=120) for child in children]

    assert said == [("opened\n", "")] * 4
    with open_workspace(tmp_path / "w") as workspace:
        assert differences(workspace) == []


def test_a_thread_that_fails_to_make_a_workspace_takes_nothing_from_one_that_makes_it(
    tmp_path: Path, settings: Settings
) -> None:
    for attempt in range(5):
        root = tmp_path / str(attempt)

        def opened(position: int, root: Path = root) -> object:
            url = None if position % 2 else "sqlite:////nowhere/at/all.db"
            with open_workspace(root, url=url, settings=settings) as workspace:
                return count(workspace, rows.Run)

        results = together(6, opened)
        assert [result for result in results if not isinstance(result, StepdownError)] == [0] * 3
        assert (root / "workspace.json").exists()


class Replaced(type(Path())):  # type: ignore[misc]
    """A directory that somebody moves away and makes anew whenever it is looked at."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        state: os.stat_result = super().stat(follow_symlinks=follow_symlinks)
        os.rename(self, f"{self}.{len(os.listdir(self.parent))}")  # noqa: PTH104, PTH208 - Path's own would look again
        os.mkdir(self)  # noqa: PTH102
        return state


def test_nobody_waits_for_their_own_lock_whoever_replaces_the_directory_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    root, done = Replaced(tmp_path / "w"), threading.Event()

    def lock() -> None:
        with ExitStack() as locks:
            founding._lock(locks, root, root)
        done.set()

    threading.Thread(target=lock, daemon=True).start()
    assert done.wait(30)


def test_of_threads_that_make_and_fail_at_one_place_none_waits_for_ever(tmp_path: Path) -> None:
    root = tmp_path / "w"

    def fail(position: int) -> int:
        for _ in range(300):
            with pytest.raises(KeyError), founding.founding(root, root / "x.db" if position % 2 else None):
                raise KeyError
        return position

    assert together(6, fail) == list(range(6))
    assert not root.exists()


def test_threads_of_one_process_share_a_workspace(local: Workspace) -> None:
    assert together(8, lambda _: discover(local, candidates=1).id) != []
    assert count(local, rows.Run) == 9
    assert len(list((local.root / "sessions").iterdir())) == 1
    assert differences(local) == []


def test_threads_load_a_bundle_once(local: Workspace) -> None:
    bundle = active(local).id
    assert len({id(found) for found in together(8, lambda _: local.local(bundle, local.look(bundle)))}) == 1


def test_many_threads_may_read_at_once(workspace: Workspace) -> None:
    gate = threading.Barrier(40)

    def read(_position: int) -> int:
        with workspace.reading() as connection:
            gate.wait(timeout=60)
            return reader.count(connection, rows.Run)

    assert together(40, read) == [0] * 40


def test_a_session_is_begun_once_however_many_threads_begin_it(workspace: Workspace) -> None:
    assert set(together(16, lambda _: workspace.session.begin())) == {workspace.session.id}
    assert len(list((workspace.root / "sessions").iterdir())) == 1


def test_a_fork_while_another_thread_migrates_leaves_the_child_free_to(tmp_path: Path, settings: Settings) -> None:
    from stepdown.history import migrate

    def make() -> None:
        open_workspace(tmp_path / "w", settings=settings).close()

    with migrate._turn:
        assert forked(make) == ""
    assert (tmp_path / "w" / "workspace.json").exists()


def test_knowledge_is_written_by_threads_at_once(workspace: Workspace) -> None:
    from stepdown.acts.under_way import write_knowledge

    assert together(12, lambda _: write_knowledge(workspace, SCENARIO)) == [None] * 12
    assert {path.name for path in (workspace.root / "knowledge" / SCENARIO).iterdir()} == {"playbook.md", "hints.md"}


def test_a_workspace_that_was_closed_in_one_thread_can_be_opened_in_another(
    workspace: Workspace, settings: Settings
) -> None:
    compete(workspace)
    workspace.close()

    def again(_position: int) -> int:
        with open_workspace(workspace.root, settings=settings) as mine:
            return count(mine, rows.Run)

    assert together(4, again) == [1] * 4


def test_a_training_is_seen_alive_from_another_process(local: Workspace, settings: Settings) -> None:
    session = local.session.begin()
    part = local.root / "jobs" / f"{'0' * 64}.{session}.part"
    part.mkdir()

    assert forked(lambda: open_workspace(local.root, settings=settings).close()) == ""
    assert part.is_dir()
    part.rmdir()
    assert localized(local, plan=SMALL).bundle.id


TRAINER = """
import os, signal, sys, threading
from pathlib import Path
from stepdown.acts.localize import localize
from stepdown.training.plan import Plan
from stepdown.workspace import Workspace
from stepdown.acts.opening import open_workspace
workspace = open_workspace(sys.argv[1])
(dataset,) = (workspace.root / "datasets").iterdir()
popen = __import__("subprocess").Popen.__init__
def begun(self, *arguments, **options):
    popen(self, *arguments, **options)
    if sys.argv[2] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGKILL)).start()
__import__("subprocess").Popen.__init__ = begun
localize(workspace, dataset, plan=Plan.tiny(iterations=1_000_000))
"""


def trainings(root: Path) -> list[int]:
    """Return the processes that have a workspace on their command line, as Linux lists them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                os.fsencode(root) in (process / "cmdline").read_bytes()
                and b"stepdown.local.fit" in (process / "cmdline").read_bytes()
            ):
                found.append(int(process.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("seconds", ["0", "0.05", "0.3", "0.8", "1.5"])
def test_no_training_outlives_its_killed_parent(local: Workspace, settings: Settings, seconds: str) -> None:
    local.close()
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", TRAINER, str(local.root), seconds]
    killed = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    until = time.monotonic() + 30
    while trainings(local.root) and time.monotonic() < until:
        time.sleep(0.1)
    assert trainings(local.root) == []
    open_workspace(local.root, settings=settings).close()
    assert list((local.root / "jobs").iterdir()) == []


def test_a_child_that_may_not_be_started_ends_a_command_in_a_sentence_and_tells_a_doctor_nothing_of_mlx(
    local: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text("not for everybody")
    monkeypatch.setattr(sys, "executable", str(interpreter))
    with pytest.raises(TrainingFailed, match="could not be started: Permission denied"):
        localized(local, replace(SMALL, iterations=SMALL.iterations + 1))
    checks = {check.name: check for check in examine(tmp_path / "none")}
    assert checks["local"].good
    assert "not known: the child that tries mlx could not be started" in checks["local"].finding
