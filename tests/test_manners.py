"""Whatever the world is like, a command ends in a documented exit code and one sentence, and leaves nothing behind.

The commands are read from the application itself, so a new one cannot be forgotten.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import pytest
import typer

import stepdown
from stepdown.cli import main
from stepdown.cli.app import app

DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 74, 130}
FORESEEN = DOCUMENTED - {70}
SECRET = "hunter2"
SOURCE = str(Path(stepdown.__file__).parents[1])

BUNDLE = "0123456789ab"
VALUES = {
    "dataset": [BUNDLE],
    "directory": ["task"],
    "case": ["3"],
    "call": ["run-1/1/0/1"],
    "score": ["0.5"],
    "bundle": [BUNDLE],
    "changes": ["min_score=0.8"],
    "validator": ["budget"],
    "bundles": [],
    "run": [],
    "source": ["model.gguf"],
    "name": ["smollm2"],
    "file": ["old.jsonl"],
}  # A command with another argument must be given a value here.


def tree(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command of a tree, and itself."""
    if not hasattr(group, "commands"):
        yield path, group
        return
    for name, below in group.commands.items():
        yield from tree(below, (*path, name))


COMMANDS = sorted(tree(typer.main.get_command(app)), key=lambda each: each[0])
LINES = [
    [*path, *(word for p in command.params if p.param_type_name == "argument" for word in VALUES[p.name])]
    for path, command in COMMANDS
]
every_command = pytest.mark.parametrize("line", LINES, ids=" ".join)


def answered(code: int, out: str, err: str, allowed: set[int] = FORESEEN) -> None:
    """Claim good manners of what was said."""
    assert "Traceback" not in out + err
    assert code in allowed, (code, out, err)
    assert SECRET not in out + err
    if code not in (0, 1):
        assert sum(part.startswith("stepdown: ") for part in err.splitlines()) == 1, err


def shell(line: list[str], tail: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with its streams as `tail` bends them."""
    words = " ".join(f"'{word}'" for word in line)
    program = "import sys; from stepdown.cli import main; sys.exit(main())"
    script = f"set -o pipefail; '{sys.executable}' -c '{program}' {words} {tail}"
    return subprocess.run(
        ["bash", "-c", script],
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": SOURCE, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


WORLDS = [
    *("absent", "empty", "file", "fifo"),
    *(f"marker is {what}" for what in ("no JSON", "newer", "a folder")),
]


@pytest.mark.parametrize("world", WORLDS)
@every_command
def test_a_bad_workspace_is_one_sentence_and_nothing_is_made(
    line: list[str], world: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "place"
    if world == "file":
        place.write_text("mine")
    elif world == "fifo":
        os.mkfifo(place)
    elif world != "absent":
        place.mkdir()
    if world == "marker is no JSON":
        (place / "workspace.json").write_text("{")
    elif world == "marker is newer":
        (place / "workspace.json").write_text(json.dumps({"format": 999}))
    elif world == "marker is a folder":
        (place / "workspace.json").mkdir()
    if (world in ("absent", "empty") and line[0] in ("demo", "run", "ask")) or (
        world == "fifo" and line[0] in ("demo", "run", "ask")
    ):
        pytest.skip("These begin work, and may make a workspace there.")
    before = sorted(str(path) for path in tmp_path.rglob("*"))

    answered(main([*line, "-w", str(place)]), *capsys.readouterr())

    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


BROKEN = [
    "its database is gone",
    "its database is newer",
    "its database is no database",
    "its server cannot be asked",
]
FORMS = [*LINES, ["run", "--resume", "run-1"], ["promote", BUNDLE, "--resume", "run-1"], ["train", BUNDLE, "--resume"]]


@pytest.mark.parametrize("world", BROKEN)
@pytest.mark.parametrize("line", FORMS, ids=" ".join)
def test_a_workspace_whose_history_cannot_be_read_is_one_sentence_and_stays_as_it_is(
    line: list[str],
    world: str,
    handed_down: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if line[0] in ("init", "demo"):
        pytest.skip("They begin something, and read no workspace.")
    root = shutil.copytree(handed_down, tmp_path / "workspace")
    monkeypatch.chdir(tmp_path)
    if world == "its database is gone":
        (root / "stepdown.db").unlink()
    elif world == "its database is no database":
        (root / "stepdown.db").write_bytes(b"mine" * 4096)
    elif world == "its database is newer":
        with sqlite3.connect(root / "stepdown.db") as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
    else:
        marker = json.loads((root / "workspace.json").read_text("utf-8"))
        parts = {"drivername": "postgresql+psycopg", "host": "127.0.0.1", "port": 1, "username": "ada", "database": "x"}
        (root / "workspace.json").write_text(json.dumps(marker | {"database": parts}))
        monkeypatch.setenv("STEPDOWN_DATABASE_PASSWORD", SECRET)
    before = sorted(str(path) for path in tmp_path.rglob("*"))

    code = main([*line, "-w", str(root)])

    answered(code, *capsys.readouterr())
    assert code in ({0, 1} if line[0] == "doctor" else FORESEEN - {0})
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@every_command
def test_with_json_a_failure_is_an_object_on_stdout(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    place.write_text("mine")

    code = main([*line, "--json", "-w", str(place)])
    out, err = capsys.readouterr()

    answered(code, out, err)
    told = json.loads(out)
    if line[0] != "doctor":
        assert told["error"]["exit_code"] == code
        assert f"stepdown: {told['error']['message']}" in err


@every_command
def test_what_nobody_foresaw_is_one_sentence_and_its_trace_only_on_request(
    line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "workspace.json").mkdir()
    monkeypatch.setattr("stepdown.cli.outermost._commands", lambda: SimpleNamespace(main=lambda **_: 1 / 0))

    assert main([*line, "-w", str(tmp_path)]) == 70
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("stepdown: ")
    assert len(err.splitlines()) == 1

    assert main(["--debug", *line]) == 70
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_being_stopped_says_what_stands_and_exits_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stepdown.cli.outermost._commands", lambda: SimpleNamespace(main=stopped))

    assert main(["run"]) == 130
    assert "stands" in capsys.readouterr().err


@every_command
def test_whatever_is_stopped_says_what_stands(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within the command itself, wherever the parser stands around it."""

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in (
        "cli.options.workspace",
        "demo.journey.Demo.play",
        "acts.init.init",
        "acts.imports.read",
        "views.doctor.examine",
    ):
        monkeypatch.setattr(f"stepdown.{place}", stopped)
    for module in ("bases", "bundles", "life", "live", "proof", "rules", "work"):
        monkeypatch.setattr(f"stepdown.cli.{module}.workspace", stopped, raising=False)

    for option in ([], ["--json"]):
        code = main([*line, *option, "-w", str(tmp_path / "place")] if line[0] != "init" else [*line, *option])
        out, err = capsys.readouterr()

        assert code == 130
        assert "that was recorded stands" in err
        assert ("error" in json.loads(out)) if option else out == ""


def options(command: Any) -> list[str]:
    """Return the long names of the options of a command that take a value, but for the reason, which may be empty."""
    return [
        param.opts[0]
        for param in command.params
        if param.param_type_name == "option" and not param.is_flag and param.name not in ("why", "help")
    ]


EMPTY = [(line, option) for line, (_, command) in zip(LINES, COMMANDS, strict=True) for option in options(command)]


@pytest.mark.parametrize("value", ["", "  "])
@pytest.mark.parametrize(("line", "option"), EMPTY, ids=lambda each: each if isinstance(each, str) else " ".join(each))
def test_an_option_of_no_characters_is_refused_and_not_taken_for_one_that_was_left_out(
    line: list[str],
    option: str,
    value: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    for words in ([option, value], [f"{option}={value}"]):
        assert main([*line, *words]) == 2
        out, err = capsys.readouterr()
        answered(2, out, err)
        assert f"after {option} is empty" in err
    assert list(tmp_path.iterdir()) == []


@every_command
def test_an_argument_of_no_characters_is_refused(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main([*line, ""]) == 2
    assert "is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


STREAMS = {
    "Latin-1": ("", {"PYTHONIOENCODING": "latin-1"}),
    "ASCII": ("", {"PYTHONIOENCODING": "ascii"}),
    "closed": (">&-", {}),
    "full": (">/dev/full", {}),
    "head": ("| head -c 1", {}),
    "no home": ("", {"HOME": "/nonexistent", "TZ": "Nowhere/Odd"}),
}
READING = [
    *(["report"], ["report", "run-1"], ["bundles", "list"], ["route", "--explain"], ["--help"], ["history"], ["scan"]),
    *(["bundles", "history"], ["bundles", "active"], ["policy", "show"], ["harness", "show"], ["base", "list"]),
    *(["route"], ["bundles", "prune"], ["report", "run-1", "--json"], ["history", "--json"]),
]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_that_takes_nothing_or_not_everything_is_no_stack_trace(
    stream: str, handed_down: Path, tmp_path: Path
) -> None:
    """In a process of its own, as a shell bends its streams: the interpreter's own end belongs to it."""
    root = shutil.copytree(handed_down, tmp_path / "workspace")
    tail, environment = STREAMS[stream]
    if stream == "full" and not Path("/dev/full").exists():
        pytest.skip("There is no /dev/full here.")

    said = shell(["report", "run-1"], tail, tmp_path, STEPDOWN_WORKSPACE=str(root), **environment)

    answered(said.returncode, said.stdout, said.stderr)
    assert said.returncode == (74 if stream in ("closed", "full") else 0)


@pytest.mark.parametrize("stream", ["latin-1", "ascii", "full", "pipe"])
@pytest.mark.parametrize("line", READING, ids=" ".join)
def test_no_command_minds_what_its_output_takes(
    line: list[str],
    stream: str,
    handed_down: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = shutil.copytree(handed_down, tmp_path / "workspace")
    monkeypatch.setenv("STEPDOWN_WORKSPACE", str(root))
    if stream == "full" and not Path("/dev/full").exists():
        pytest.skip("There is no /dev/full here.")
    if stream == "pipe":
        nobody, end = os.pipe()
        os.close(nobody)
        taking: TextIO = os.fdopen(end, "w")
    else:
        place = Path("/dev/full") if stream == "full" else tmp_path / "out"
        taking = place.open("w", encoding="utf-8" if stream == "full" else stream)
    monkeypatch.setattr(sys, "stdout", taking)

    code = main(line)
    with suppress(OSError):
        taking.close()

    said = "" if stream in ("full", "pipe") else place.read_text(stream)
    answered(code, said, capsys.readouterr().err)
    assert code == (74 if stream == "full" else 0)
    assert said or stream in ("full", "pipe")


def test_help_names_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert all(f"{code} " in told for code in DOCUMENTED)


@pytest.mark.parametrize("act", ["delete", "retire", "prune"])
def test_what_cannot_be_undone_is_shown_and_asked_for(
    act: str, handed_down: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(handed_down, tmp_path / "workspace")
    (bundle,) = [path.name for path in (root / "bundles").iterdir()]
    line = ["bundles", act, bundle, "-w", str(root)]
    if act == "prune":
        assert main([*line, "--yes"]) == 4  # It is the active bundle, and stays.
        assert "active bundle" in capsys.readouterr().err
    else:
        assert main(line) == 4
        assert "--yes" in capsys.readouterr().err
        assert main([*line, "--dry-run"]) == 0
        assert f"would {act}" in capsys.readouterr().out
    assert (root / "bundles" / bundle).exists()

    assert main(["bundles", act, bundle[:5], "--yes", "-w", str(root)]) == 3
    assert "at least 6" in capsys.readouterr().err
    assert (root / "bundles" / bundle).exists()


@pytest.mark.parametrize(
    "line", ["policy set local_roles=bogus", "policy set frontier_never=coach,bogus", "route --role nosuch"]
)
def test_a_misspelt_role_is_refused_with_those_there_are(
    line: str, handed_down: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(handed_down, tmp_path / "workspace")

    assert main([*line.split(), "-w", str(root)]) == 3
    assert re.search("choose one of (coach, competitor|competitor, coach)", capsys.readouterr().err)


def test_a_budget_beyond_the_scenario_is_refused_beforehand(
    handed_down: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(handed_down, tmp_path / "workspace")
    (bundle,) = [path.name for path in (root / "bundles").iterdir()]

    assert main(["promote", bundle, "--budget", "5000", "-w", str(root)]) == 2
    assert "give a budget of at most" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", [["report", "x" * 50_000], ["run", "--scenario", "😀" * 50_000], ["policy", "set", "y" * 50_000 + "=1"]]
)
def test_a_value_without_end_is_repeated_up_to_an_end(
    line: list[str], handed_down: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(handed_down, tmp_path / "workspace")

    code = main([*line, "-w", str(root)])
    out, err = capsys.readouterr()

    answered(code, out, err)
    assert code in (2, 3)
    assert len(err) < 4000


@pytest.mark.parametrize("line", [["report", "\udcff"], ["judge", "\udcff", "0.5"], ["export", "--run", "\udcff"]])
def test_a_word_that_is_no_utf_8_is_refused_as_one(
    line: list[str], handed_down: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(handed_down, tmp_path / "workspace")

    assert main([*line, "-w", str(root)]) == 2
    assert "is not UTF-8" in capsys.readouterr().err
