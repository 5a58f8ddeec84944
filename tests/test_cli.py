"""The command line: what is printed where, and every way to be refused with its code and one sentence."""

import io
import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from journey import active
from stepdown.acts.opening import open_workspace
from stepdown.cli import main
from stepdown.cli.app import app
from stepdown.reports.invariants import MEANINGS


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command in this process, as a shell would in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Said:
        code = main([str(argument) for argument in arguments])
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def root(handed_down: Path, tmp_path: Path) -> Path:
    """A workspace whose competitor was handed down, closed."""
    return Path(shutil.copytree(handed_down, tmp_path / "workspace"))


def tree(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every command of a tree."""
    if not hasattr(group, "commands"):
        yield path
        return
    for name, below in group.commands.items():
        yield from tree(below, (*path, name))


COMMANDS = sorted(tree(typer.main.get_command(app)))


GROUPS = [(), ("bundles",), ("base",), ("policy",), ("harness",)]


@pytest.mark.parametrize(
    ("path", "option"), [*(((*path,), "--help") for path in (*GROUPS, *COMMANDS)), (("report",), "-h")], ids=str
)
def test_every_command_explains_itself(command: Command, path: tuple[str, ...], option: str) -> None:
    said = command(*path, option)

    assert (said.code, said.err) == (0, "")
    assert "Usage:" in said.out
    assert len(said.out.splitlines()) > 5


def test_the_commands_are_those_that_were_promised() -> None:
    promised = {
        "demo", "run", "export", "train", "route", "report", "audit", "doctor", "policy show", "policy set",
        "harness show", "harness enable", "harness disable",
        *(f"bundles {name}" for name in ("list", "show", "verify", "activate", "disable", "enable", "delete")),
    }  # fmt: skip
    assert promised <= {" ".join(path) for path in COMMANDS}


READING = ["bundles list", "policy show", "harness show", "route", "route --explain", "report", "report run-1", "audit",
           "doctor", "bundles show ID", "bundles verify ID"]  # fmt: skip


def strictly(text: str) -> Any:
    """Read JSON, and refuse what only Python calls so."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("line", READING)
def test_every_answer_can_be_had_as_json_and_as_text(command: Command, root: Path, line: str) -> None:
    with sqlite3.connect(root / "stepdown.db") as raw:
        ((bundle,),) = raw.execute("SELECT id FROM bundle").fetchall()
    raw.close()
    arguments = [word.replace("ID", bundle[:10]) for word in line.split()]
    for_programs, for_people = command(*arguments, "--json", "-w", root), command(*arguments, "-w", root)

    assert (for_programs.code, for_programs.err) == (0, "")
    assert isinstance(strictly(for_programs.out), dict | list)
    assert (for_people.code, for_people.err) == (0, "")
    assert for_people.out.strip()


def test_what_is_endless_is_still_json(command: Command, root: Path) -> None:
    command("policy", "set", "max_age=inf", "-w", root)

    assert strictly(command("policy", "show", "--json", "-w", root).out)["max_age"] == "inf"
    assert command("route", "-w", root).out.startswith("local")


REFUSALS = [
    ("demo --scenario chess", 3, "There is no demo of 'chess'"),
    ("run --generations 0", 2, "A run needs"),
    ("run --generations many", 2, ""),
    ("run --seed -1", 2, "A run needs"),
    ("run --scenario chess", 3, "There is no scenario 'chess'"),
    ("run --frontier oracle", 3, "There is no frontier 'oracle'"),
    ("run --frontier recorded:nothing.jsonl", 2, "is not a tape"),
    ("export --run run-404", 3, "There is no run 'run-404'"),
    ("export --scenario chess", 3, "There is no scenario 'chess'"),
    ("export --min-score nan", 2, "min_score must be"),
    ("export --min-score 1", 5, "No step passes"),
    ("train ffff", 3, "There is no dataset 'ffff'"),
    ("train bundles", 5, "is not a dataset of ours"),
    ("train DATASET --plan nowhere.json", 2, "There is no plan"),
    ("train DATASET --time-limit nan", 2, "time limit"),
    ("bundles show ffffff", 3, "There is no bundle 'ffffff'"),
    ("bundles verify ffffff", 3, "There is no bundle 'ffffff'"),
    ("bundles activate ffffff", 3, "There is no bundle 'ffffff'"),
    ("bundles disable ffffff", 3, "There is no bundle 'ffffff'"),
    ("bundles enable ffffff", 3, "There is no bundle 'ffffff'"),
    ("bundles delete ffffff", 3, "There is no bundle 'ffffff'"),
    ("policy set min_score=nan", 2, "min_score must be a number between 0 and 1"),
    ("policy set min_score=1.1", 2, "min_score must be a number between 0 and 1"),
    ("policy set min_score", 2, "is not NAME=VALUE"),
    ("policy set nothing=1", 2, "is not a policy value"),
    ("policy set mode=sometimes", 2, "mode must be one of"),
    ("harness disable nothing", 3, "has no validator 'nothing'"),
    ("harness enable budget --scenario chess", 3, "There is no scenario 'chess'"),
    ("harness show --scenario chess", 3, "There is no scenario 'chess'"),
    ("route --scenario chess", 3, "There is no scenario 'chess'"),
    ("report run-404", 3, "There is no run 'run-404'"),
    ("nonsense", 2, ""),
]


@pytest.mark.parametrize(("line", "code", "sentence"), REFUSALS)
def test_a_refusal_is_one_sentence_on_stderr_with_its_code_and_changes_nothing(
    command: Command, root: Path, monkeypatch: pytest.MonkeyPatch, line: str, code: int, sentence: str
) -> None:
    monkeypatch.chdir(root)
    with sqlite3.connect(root / "stepdown.db") as raw:
        ((dataset,),) = raw.execute("SELECT digest FROM dataset").fetchall()
        before = list(raw.iterdump())
    raw.close()
    workspace = [] if line == "nonsense" else ["-w", root]
    said = command(*line.replace("DATASET", dataset).split(), *workspace)

    assert (said.code, said.out) == (code, "")
    assert sentence in said.err
    assert "Traceback" not in said.err
    if sentence:
        assert len(said.err.strip().splitlines()) == 1
        assert said.err.startswith("stepdown: ")
    with sqlite3.connect(root / "stepdown.db") as raw:
        assert list(raw.iterdump()) == before
    raw.close()
    for room in ("jobs", "sessions"):
        assert list((root / room).iterdir()) == []


BEGINNING = {("demo",), ("init",), ("run",), ("ask",), ("import",), ("doctor",)}


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in BEGINNING], ids=" ".join)
def test_no_command_but_those_that_begin_work_makes_a_workspace(command: Command, path: tuple[str, ...]) -> None:
    needed = {"train": ["x"], "promote": ["x"], "bundles": ["x"], "policy": ["min_score=1"], "harness": ["budget"]}
    needed["base"] = ["smollm2"]
    group = typer.main.get_command(app)
    for name in path:
        group = group.commands[name]  # type: ignore[attr-defined]
    needed["judge"] = ["0.5"]
    wanted = [needed[path[0]][0] for p in group.params if p.param_type_name == "argument" and p.required]
    said = command(*path, *wanted)

    assert (said.code, said.out) == (7, "")
    assert said.err == "stepdown: There is no workspace at .stepdown; `stepdown run` makes one.\n"
    assert not Path(".stepdown").exists()


def test_a_scenario_that_brings_a_frontier_is_asked_of_it(command: Command, tmp_path: Path) -> None:
    said = command("run", "-s", "invoices", "--generations", "1", "--candidates", "2", "-w", tmp_path / "bills")

    assert said.code == 0, said.err
    events = map(json.loads, (tmp_path / "bills" / "trace.jsonl").read_text("utf-8").splitlines())
    assert {event["gen_ai.provider.name"] for event in events if event["event"] == "end"} == {"extract"}


def test_a_workspace_of_a_newer_version_is_refused(command: Command, root: Path) -> None:
    (root / "workspace.json").write_text('{"format":2}')
    said = command("report", "-w", root)

    assert said.code == 7
    assert "upgrade stepdown" in said.err


def test_a_file_in_the_place_of_the_workspace_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    said = command("run", "-w", tmp_path / "file")

    assert (said.code, said.out) == (7, "")
    assert "cannot be used as a workspace" in said.err


def test_a_database_that_cannot_be_used_leaves_no_workspace_behind(command: Command) -> None:
    said = command("run", "--database", "nonsense://x")

    assert said.code == 2
    assert "cannot be used" in said.err
    assert not Path(".stepdown").exists()


def test_a_demo_removes_no_directory_that_is_not_its_own(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("ten years of work")
    said = command("demo", "-w", tmp_path / "mine")

    assert said.code == 4
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "ten years of work"


def test_a_bundle_that_is_not_whole_fails_its_verification(command: Command, root: Path) -> None:
    with open_workspace(root) as opened:
        held = active(opened).id
        (opened.bundle_directory(held) / "config.json").unlink()
    said = command("bundles", "verify", held, "-w", root)

    assert said.code == 1
    assert "broken  config.json is missing" in said.out


def test_the_doctor_names_what_is_wrong_and_says_no(command: Command, root: Path) -> None:
    (root / "stepdown.db").write_bytes(b"rubbish" * 1000)
    said = command("doctor", "-w", root)

    assert said.code == 1
    assert "WRONG" in said.out
    assert "not a database" in said.out


def test_a_lost_trace_is_named_by_the_doctor_and_not_by_the_audit_alone(command: Command, root: Path) -> None:
    assert command("doctor", "-w", root).code == 0
    (root / "trace.jsonl").unlink()
    said = command("doctor", "-w", root, "--json")

    assert said.code == 1
    assert "trace.jsonl is gone, and history has answers that were judged" in said.out


def spoilt(path: Path, how: str) -> None:
    """Take away or damage what was published in a directory."""
    if how == "gone":
        shutil.rmtree(path)
    elif how == "a file in its place":
        shutil.rmtree(path)
        path.write_text("mine")
    elif how == "a file is missing":
        next(file for file in sorted(path.iterdir()) if file.name != "manifest.json").unlink()
    elif how == "a file too many":
        (path / "more.txt").write_text("mine")
    else:
        with next(file for file in sorted(path.iterdir()) if file.name != "manifest.json").open("ab") as file:
            file.write(b" ")


@pytest.mark.parametrize("how", ["gone", "a file in its place", "a file is missing", "a file too many", "a byte more"])
@pytest.mark.parametrize("kind", ["bundles", "datasets"])
def test_the_doctor_names_what_history_knows_and_the_disk_does_not_hold_whole(
    kind: str, how: str, command: Command, root: Path
) -> None:
    (path,) = (root / kind).iterdir()
    spoilt(path, how)

    said = command("doctor", "-w", root, "--json")

    (check,) = [each for each in json.loads(said.out) if each["name"] == kind]
    assert (said.code, check["good"]) == (1, False)
    assert path.name[:12] in check["finding"]
    assert "Put a copy back" in check["finding"]


def test_the_doctor_does_not_miss_a_bundle_that_was_deleted(command: Command, root: Path) -> None:
    (bundle,) = (root / "bundles").iterdir()
    assert command("bundles", "delete", bundle.name, "--yes", "-w", root).code == 0

    assert command("doctor", "-w", root).code == 0


@pytest.mark.parametrize("line", ["audit", "report", "bundles list", "doctor", "policy show"])
def test_a_history_without_its_marker_is_told_apart_from_no_workspace_and_can_be_opened_as_told(
    command: Command, root: Path, line: str
) -> None:
    (root / "workspace.json").unlink()
    said = command(*line.split(), "-w", root, "--json")  # A table would wrap the sentence, where the path is long.

    assert said.code == (1 if line == "doctor" else 7)
    assert "holds a history and no workspace.json; write {} into" in said.out + said.err
    assert not (root / "workspace.json").exists()
    (root / "workspace.json").write_text("{}")
    assert command("audit", "-w", root).code == 0


def test_neither_a_reply_nor_a_lesson_nor_a_reason_formats_the_terminal(
    command: Command, root: Path, tmp_path: Path
) -> None:
    nasty = "[bold red]x[/] [link=http://x]y[/link] \x1b[2J\x07"
    tape = tmp_path / "tape.jsonl"
    lesson = json.dumps({"playbook": nasty, "hints": nasty})
    replies = [{"role": "competitor", "text": nasty}, {"role": "coach", "text": lesson}]
    tape.write_text("".join(json.dumps(line) + "\n" for line in replies))
    command("policy", "set", "mode=frontier-only", "--why", nasty, "-w", root)
    command("run", "--generations", "1", "--candidates", "1", "--frontier", f"recorded:{tape}", "-w", root)

    for line, shown in (("report run-2", 3), ("history", 1), ("policy show", 0), ("route --explain", 0)):
        said = command(*line.split(), "-w", root)
        assert said.code == 0, said.err
        assert not {"\x1b", "\x07"} & set(said.out + said.err), line
        assert said.out.count("[bold red]x[/] [link=http://x]y[/link]") >= shown, line


def test_a_list_of_runs_keeps_work_apart_from_comparisons_and_questions(command: Command, root: Path) -> None:
    (bundle,) = [path.name for path in (root / "bundles").iterdir()]
    command("promote", bundle, "--margin", "0.5", "--budget", "32", "-w", root)
    command("ask", "3", "-w", root)

    said = command("report", "-w", root).out

    parts = [said.index(title) for title in ("runs ", "comparisons for promotions", "live questions")]
    assert parts == sorted(parts)
    assert [said.index(f" {run} ") > part for run, part in zip(("run-1", "run-2", "run-3"), parts, strict=True)] == [
        True
    ] * 3
    told = strictly(command("report", "--json", "-w", root).out)
    assert [each["run"]["purpose"] for each in told] == ["work", "comparison", "live"]


def test_an_audit_says_what_the_numbers_of_its_findings_mean(command: Command, root: Path) -> None:
    with (root / "trace.jsonl").open("r+", encoding="utf-8") as trace:
        lines = trace.readlines()
        trace.seek(0)
        trace.truncate()
        trace.writelines(lines[:-1])
    said = command("audit", "-w", root)

    assert said.code == 1
    assert "\nI4: history equals the trace.\n" in said.out
    assert "I9:" not in said.out
    helped = " ".join(command("audit", "--help").out.split())
    assert all(f"{code} {meaning}" in helped for code, meaning in MEANINGS.items())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_answers_in_json_if_asked(path: tuple[str, ...]) -> None:
    group = typer.main.get_command(app)
    for name in path:
        group = group.commands[name]  # type: ignore[attr-defined]
    assert any("--json" in option.opts for option in group.params)


def test_the_version_is_the_packages(command: Command) -> None:
    from stepdown import __version__

    assert command("--version") == Said(0, f"{__version__}\n", "")


def test_a_workspace_can_be_named_by_the_environment(
    command: Command, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPDOWN_WORKSPACE", str(root))

    assert command("bundles", "list").code == 0


def test_a_bar_says_how_far_work_is_and_how_much_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from stepdown.cli.output import progress

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress("train") as show:
        for done in range(1, 4):
            show(done, 4, "loss 0.1")

    last = shown.getvalue().rpartition("\n")[0].split("\n")[-1]
    assert "3/4" in last
    assert re.search(r"left.*[0-9]:[0-9]{2}:[0-9]{2}", last)
    assert "loss 0.1" in last
