"""A workspace that nobody may write can be reported on, audited and explained, and is as it was afterwards."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import stepdown
from journey import discover
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.workspace import Settings
from test_manners import FORMS, answered

NOBODY = 65534
GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"
READING = (
    "report", "report run-1", "audit", "route", "route --explain", "history", "bundles list", "bundles active",
    "bundles history", "policy show", "harness show", "doctor",
)  # fmt: skip
WRITING = ("run", "export", "policy set min_score=0.5", "harness disable budget", "ask 3", "judge run-1/1/0/1 0.5")
ZYGOTE = """
import contextlib, importlib, json, os, pkgutil, shutil, sys
import stepdown, alembic.command, alembic.autogenerate
from stepdown.cli import main

# Another user may not be able to read this interpreter's library: everything is imported before becoming one.
for module in pkgutil.walk_packages(stepdown.__path__, "stepdown."):
    if not module.name.endswith("__main__") and ".migrations" not in module.name:
        importlib.import_module(module.name)
warm, out, err = sys.argv[1:]
# The frontier serves here: nothing may have been multiplied before the fork.
shutil.rmtree(warm + "/bundles")
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
    for words in ("run", "audit", "report run-1", "route --explain", "bundles list", "history", "doctor", "policy show"):
        main([*words.split(), "-w", warm])
    main(["report"])
print("warm", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        code = main(json.loads(line))
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def _open_to_all(path: Path) -> bool:
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))


pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, and only root may become one"),
    # What is installed is read while stepdown runs: its packages' metadata, its frontiers, its migrations.
    pytest.mark.skipif(
        not all(map(_open_to_all, (Path(sys.prefix), Path(stepdown.__file__).parent))),
        reason="another user may not read this environment, or not this checkout",
    ),
]


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str


Auditor = Callable[..., Said]


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A folder for temporary files that nobody else uses: another test's may come and go in the machine's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.fixture(scope="module")
def auditor(handed_down: Path, tmp_path_factory: pytest.TempPathFactory, scratch: Path) -> Iterator[Auditor]:
    """Run a command as a user who owns nothing."""
    place = tmp_path_factory.mktemp("auditor")
    shutil.copytree(handed_down, place / "warm")
    out, err = place / "out", place / "err"
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": ":".join(sys.path)}
    environment["TMPDIR"] = str(scratch)
    with subprocess.Popen(
        [sys.executable, "-c", ZYGOTE, str(place / "warm"), str(out), str(err)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/", env=environment,
    ) as zygote:  # fmt: skip
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        assert zygote.stdout.readline() == "warm\n"

        def run(*arguments: object) -> Said:
            zygote.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")  # type: ignore[union-attr]
            zygote.stdin.flush()  # type: ignore[union-attr]
            code = int(zygote.stdout.readline())  # type: ignore[union-attr]
            return Said(code, out.read_text("utf-8"), err.read_text("utf-8"))

        yield run
        zygote.stdin.close()


@pytest.fixture
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place that everybody may enter."""
    place = Path(tempfile.mkdtemp(prefix="stepdown-auditor-", dir="/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def handed_over(root: Path, target: Path) -> Path:
    """Copy a workspace so that everybody may read it and only its owner write."""
    shutil.copytree(root, target)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def state(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return every path with its mode, time and bytes."""
    found = {}
    for path in sorted((root, *root.rglob("*"))):
        status = path.stat()
        found[str(path)] = (status.st_mode, status.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


@pytest.fixture
def copy(handed_down: Path, room: Path) -> Path:
    """A workspace of another user."""
    return handed_over(handed_down, room / "workspace")


@pytest.mark.parametrize("command", READING)
def test_whatever_only_reads_works_without_the_permission_to_write(auditor: Auditor, copy: Path, command: str) -> None:
    before = state(copy)
    said = auditor(*command.split(), "-w", copy)

    assert (said.code, "Traceback" in said.err) == (0, False), said
    assert said.out
    assert state(copy) == before


@pytest.mark.parametrize("command", WRITING)
def test_whatever_writes_is_refused_in_a_sentence_without_it(auditor: Auditor, copy: Path, command: str) -> None:
    before = state(copy)
    said = auditor(*command.split(), "-w", copy)

    assert (said.code, said.out) == (7, ""), said
    assert len(said.err.strip().splitlines()) == 1
    assert "writable" in said.err
    assert state(copy) == before


def test_an_auditor_reads_what_its_owner_reads(
    auditor: Auditor, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from stepdown.cli import main

    for command in (["report", "run-1"], ["audit"], ["bundles", "list", "--json"], ["history", "--json"]):
        theirs = auditor(*command, "-w", copy).out
        main([*command, "-w", str(copy)])
        assert theirs == capsys.readouterr().out


def test_an_auditor_sees_what_is_still_in_the_log_of_the_database(
    auditor: Auditor, copy: Path, room: Path, settings: Settings, scratch: Path
) -> None:
    with open_workspace(copy, settings=settings) as workspace:
        configure.set_policy(workspace, {"min_score": 0.5}, why="in the log")
        assert (copy / "stepdown.db-wal").stat().st_size > 0
        shutil.copytree(copy, room / "left", ignore=shutil.ignore_patterns("*-shm"))
        before = state(room / "left")
        assert "in the log" in auditor("history", "-w", room / "left").out
        assert "in the log" in auditor("history", "-w", copy).out
    assert state(room / "left") == before
    assert list(scratch.iterdir()) == []


def test_an_auditor_works_beside_a_living_owner(auditor: Auditor, copy: Path, settings: Settings) -> None:
    with open_workspace(copy, settings=settings) as workspace:
        discover(workspace)
        assert auditor("audit", "-w", copy).code == 0
        discover(workspace)
        assert "run-3" in auditor("report", "run-3", "-w", copy).out


def test_the_doctor_says_that_nothing_is_recovered(auditor: Auditor, copy: Path) -> None:
    assert "only to be read" in auditor("doctor", "-w", copy).out


@pytest.mark.parametrize(
    "path", ["", "workspace.json", "stepdown.db", "trace.jsonl", "bundles", "datasets", "sessions"]
)
def test_what_may_not_even_be_read_is_a_sentence(auditor: Auditor, copy: Path, path: str) -> None:
    (copy / path).chmod(0)
    for command in ("report", "audit", "route --explain", "bundles list", "doctor", "run"):
        said = auditor(*command.split(), "-w", copy)
        assert "Traceback" not in said.err, said
        assert said.code in {0, 1, 4, 7}


def test_a_workspace_in_which_only_the_database_may_not_be_written_is_read(auditor: Auditor, copy: Path) -> None:
    for directory in (path for path in (copy, *copy.rglob("*")) if path.is_dir()):
        directory.chmod(0o777)
    before = (copy / "stepdown.db").read_bytes()
    assert auditor("report", "-w", copy).code == 0
    assert auditor("run", "-w", copy).code == 7
    assert (copy / "stepdown.db").read_bytes() == before


def test_another_users_lock_neither_stops_the_work_nor_is_removed(auditor: Auditor, copy: Path) -> None:
    os.chown(copy, NOBODY, NOBODY)
    for path in copy.rglob("*"):
        os.chown(path, NOBODY, NOBODY)
    lock = copy / "sessions" / "1-00000000.lock"
    lock.touch(mode=0o600)
    (copy / "sessions").chmod(0o777 | stat.S_ISVTX)
    os.chown(copy / "sessions", 0, 0)

    said = auditor("run", "--generations", 1, "--candidates", 1, "-w", copy)
    assert (said.code, "Traceback" in said.err) == (0, False), said
    assert auditor("audit", "-w", copy).code == 0
    assert lock.exists()


@pytest.mark.parametrize("room_name", ["bundles", "datasets", "jobs"])
def test_an_unreadable_room_is_said_by_the_doctor_and_routing_falls_back(
    auditor: Auditor, copy: Path, room_name: str
) -> None:
    for path in (copy, *copy.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    (copy / room_name).chmod(0)

    said = auditor("run", "--generations", 1, "--candidates", 1, "-w", copy)
    assert (said.code, "Traceback" in said.err) == (0, False), said
    said = auditor("doctor", "-w", copy)
    assert said.code == 1
    assert f"{room_name} cannot be read" in said.out
    (copy / room_name).chmod(0o755)
    assert auditor("audit", "-w", copy).code == 0


def test_a_first_command_in_a_place_that_cannot_be_written_is_a_sentence(auditor: Auditor, room: Path) -> None:
    for command in ("run", "demo"):
        said = auditor(command, "-w", room / "w")
        assert said.code == 7
        assert said.err.strip().splitlines()[-1].startswith("stepdown: ")
        assert "Traceback" not in said.err
    assert list(room.iterdir()) == []


def test_a_verified_bundle_is_verified_by_an_auditor_too(auditor: Auditor, copy: Path) -> None:
    with sqlite3.connect(copy / "stepdown.db") as raw:
        ((bundle,),) = raw.execute("SELECT id FROM bundle").fetchall()
    raw.close()
    said = auditor("bundles", "verify", bundle, "-w", copy)
    assert said.code == 0, said
    assert "whole" in said.out


@pytest.mark.parametrize("name", [path.name for path in sorted(GOLDEN.iterdir()) if path.is_dir()])
def test_an_auditor_reads_a_workspace_of_an_earlier_version_and_brings_none_of_it_forward(
    auditor: Auditor, room: Path, name: str
) -> None:
    copy = handed_over(GOLDEN / name, room / "workspace")
    before = state(copy)
    for command in ("audit", "report", "bundles list", "doctor"):
        said = auditor(*command.split(), "-w", copy)
        assert (said.code, "Traceback" in said.err) == (0, False), said
    assert state(copy) == before


@pytest.mark.parametrize("mode", [0o755, 0o500, 0])
@pytest.mark.parametrize("line", FORMS, ids=" ".join)
def test_no_command_minds_that_the_workspace_is_another_users(
    auditor: Auditor, copy: Path, line: list[str], mode: int
) -> None:
    copy.chmod(mode)
    (bundle,) = [path.name for path in (copy / "bundles").iterdir()]
    words = [bundle if word == "0123456789ab" else word for word in line]
    if line[0] == "init":
        words = ["init", str(copy / "task")]
    before = state(copy)

    said = auditor(*words, *([] if line[0] == "init" else ["-w", copy]))

    answered(said.code, said.out, said.err)
    assert line[0] not in ("run", "ask", "train", "promote", "import", "judge", "demo") or said.code not in (0, 1)
    assert state(copy) == before
