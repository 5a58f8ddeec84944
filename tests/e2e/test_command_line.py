"""The same journey from outside: commands in, and then only files, rows, exit codes and JSON."""

import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from journey import FRONTIER, SMALL, near_the_best
from stepdown.cli import main


@dataclass(frozen=True, slots=True)
class Shell:
    """A workspace directory, and a way to run commands on it.

    Attributes:
        root: The workspace.
        inside: Whether commands are run in this process, through the outermost handler, where another one is not the claim.
    """

    root: Path
    inside: bool = False

    def run(self, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run one command, and demand an exit code."""
        done = self._here(self.command(*arguments)) if self.inside else self._apart(self.command(*arguments))
        assert done.returncode == code, done.stderr
        return done

    def _apart(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def _here(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(command[3:])
        return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())

    def command(self, *arguments: str) -> list[str]:
        """Return a command line on this workspace."""
        return [sys.executable, "-m", "stepdown", *arguments, "--workspace", str(self.root)]

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run one command and read what it prints."""
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database file, with nothing of stepdown in between."""
        with sqlite3.connect(f"file:{self.root / 'stepdown.db'}?mode=ro", uri=True) as connection:
            return connection.execute(query, values).fetchall()

    def trace(self) -> dict[str, dict[str, Any]]:
        """Return the end of every call, by its id, from the trace file."""
        lines = map(json.loads, (self.root / "trace.jsonl").read_text("utf-8").splitlines())
        return {line["stepdown.call"]: line for line in lines if line["event"] == "end"}

    def competed(self, *arguments: str) -> tuple[str, str | None]:
        """Run one competitor's step; return who served it and why not local, where row and trace agree on who."""
        run = self.json("run", "--generations", "1", "--candidates", "1", *arguments)["run"]["id"]
        query = "SELECT served, reason, served_call FROM step WHERE run = ? AND role = 'competitor'"
        ((served, reason, call),) = self.rows(query, run)
        assert self.trace()[call]["stepdown.target"] == served
        return served, reason


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A workspace whose competitor was handed down by commands alone."""
    base = tmp_path_factory.mktemp("shell")
    shell = Shell(base / "workspace")
    tape, plan = near_the_best(base / "tape.jsonl"), base / "plan.json"
    plan.write_text(SMALL.to_json())
    shell.run("run", "--generations", "2", "--candidates", "6", "--frontier", f"recorded:{tape}")
    dataset = shell.json("export", "--matches")
    trained = shell.json("train", dataset["digest"][:12], "--plan", str(plan))
    shell.run("bundles", "activate", trained["bundle"]["id"][:12], "--force", "--why", "it has shown what it can")
    yield shell
    assert "agree" in shell.run("audit").stdout


@pytest.fixture
def within(shell: Shell) -> Shell:
    """The same workspace, whose commands are run in this process."""
    return replace(shell, inside=True)


def bundle(shell: Shell) -> tuple[str, Path]:
    """Return the active bundle's id and directory."""
    ((found,),) = shell.rows("SELECT bundle FROM act WHERE kind = 'activate'")
    return found, shell.root / "bundles" / found


def test_discovery_export_and_training_left_rows_and_files_that_agree(shell: Shell) -> None:
    found, directory = bundle(shell)

    manifest = (directory / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == found
    listed = json.loads(manifest)["files"]
    assert {path.name for path in directory.iterdir()} == {"manifest.json", *listed}
    for name, (digest, size) in listed.items():
        assert (hashlib.sha256((directory / name).read_bytes()).hexdigest(), size) == (
            digest,
            (directory / name).stat().st_size,
        )
    ((dataset, weights),) = shell.rows("SELECT dataset, weights FROM bundle WHERE id = ?", found)
    assert listed["model.safetensors"][0] == weights
    records = (shell.root / "datasets" / dataset / "train.jsonl").read_text("utf-8").splitlines()
    kept = {strategy for (strategy,) in shell.rows("SELECT strategy FROM step WHERE strategy IS NOT NULL")}
    assert {json.loads(record)["completion"] for record in records} <= kept


def test_a_routed_step_is_local_in_row_trace_and_digest(shell: Shell) -> None:
    assert shell.competed("--seed", "1") == ("local", None)

    query = "SELECT call, bundle, digest FROM attempt WHERE target = 'local' ORDER BY seq DESC LIMIT 1"
    ((call, asked, digest),) = shell.rows(query)
    found, directory = bundle(shell)
    assert asked == found
    assert digest == hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    assert shell.trace()[call]["stepdown.weights.digest"] == digest


def test_every_obstacle_falls_back_with_its_reason_and_leaves_no_preference_behind(within: Shell) -> None:
    found, directory = bundle(within)
    directory.rename(within.root / "aside")
    assert within.competed() == ("frontier", "bundle-absent")
    (within.root / "aside").rename(directory)

    within.run("bundles", "disable", found)
    assert within.competed() == ("frontier", "bundle-disabled")
    within.run("bundles", "enable", found)

    within.run("policy", "set", "min_score=1.0", "--why", "to see the fallback")
    assert within.competed() == ("frontier", "quality-below-threshold")
    within.run("policy", "set", "min-score=0.75")

    assert within.json("harness", "disable", "unit-range")["coverage"] < 0.95
    assert within.competed() == ("frontier", "coverage-weak")
    assert within.json("harness", "enable", "unit-range")["coverage"] == 1.0

    assert within.competed() == ("local", None)


def test_route_explains_every_gate_with_its_facts(within: Shell) -> None:
    found = within.json("route", "--explain")

    assert (found["serves"], found["reason"]) == ("local", None)
    assert {gate["objection"] for gate in found["gates"]} == {None}
    assert any(gate["facts"].get("min_score") == 0.75 for gate in found["gates"])


def test_the_report_counts_what_the_rows_count(within: Shell) -> None:
    told = within.json("report", "run-1")

    counted = dict(within.rows("SELECT served, count(*) FROM step WHERE run = 'run-1' GROUP BY served"))
    assert told["served"] == counted
    markdown = within.run("report", "run-1").stdout
    assert markdown.startswith("# run-1: grid_ctf")


def test_a_changed_row_is_named_by_the_audit(shell: Shell, tmp_path: Path) -> None:
    copy = Shell(tmp_path / "copy", inside=True)
    shutil.copytree(shell.root, copy.root)
    with sqlite3.connect(copy.root / "stepdown.db") as connection:
        connection.execute("DROP TRIGGER step_update")
        connection.execute("UPDATE step SET score = score + 0.01 WHERE id = 'run-1/1/0'")
    connection.close()

    printed = copy.run("audit", code=1).stdout
    assert "run-1/1/0: history has score" in printed


def test_ctrl_c_in_a_run_leaves_a_tidy_workspace(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "workspace")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    arguments = shell.command("run", "--generations", "10000", "--frontier", f"recorded:{FRONTIER}")
    # Whoever runs these tests in the background ignores Ctrl-C, and so would the child.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    signal.signal(signal.SIGINT, before)
    trace = shell.root / "trace.jsonl"
    try:
        while not (trace.exists() and trace.stat().st_size > 10_000):
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(timeout=0.05)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=30)
    finally:
        child.kill()

    assert child.returncode == 130
    assert b"run-1 stands with" in said
    assert shell.rows("SELECT outcome FROM ending") == [("interrupted",)]
    assert list((shell.root / "sessions").iterdir()) == []
    shell.run("audit")


def test_a_run_that_nobody_served_exits_with_the_providers_code(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "workspace", inside=True)
    tape = tmp_path / "tape.jsonl"
    tape.write_text('{"role":"competitor","error":"rate-limit"}\n')

    done = shell.run("run", "--generations", "1", "--frontier", f"recorded:{tape}", code=8)
    assert "Not one of 8 answers could be used" in done.stderr
    assert shell.rows("SELECT DISTINCT error FROM step WHERE role = 'competitor'") == [("rate-limit",)]
    shell.run("audit")
