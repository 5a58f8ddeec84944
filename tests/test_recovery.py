"""A real process is killed between any two durable writes; whoever opens the workspace next finds it true and tidy."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from journey import active, compete, count, discover
from stepdown.acts.opening import open_workspace
from stepdown.acts.recover import recover
from stepdown.bundles.disk import Condition, look
from stepdown.history import ledger, reader, rows, unfinished
from stepdown.views.audit import differences
from stepdown.workspace import POINTS, Settings, Workspace

ELSEWHERE = {"comparison-played", "rollback-checked"}
"""Points of promotion and rollback, which have journeys of their own."""

JOB = "0" * 64

DRIVER = """
import os, signal, sys
import numpy, scipy.special, tokenizers, cmaes
from pathlib import Path
from journey import SCENARIO, SMALL, Hands, discover
from stepdown.acts import configure, switch
from stepdown.acts.localize import localize
from stepdown.acts.export import export
from stepdown.training.records import Filters
from stepdown.workspace import Settings, Workspace
from stepdown.acts.opening import open_workspace

def journey(root, cache, point):
    def reached(name):
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)
    settings = Settings(clock=Hands().clock, durability="normal", cache=cache, reached=reached)
    with open_workspace(root, settings=settings) as workspace:
        discover(workspace, seed=7, candidates=2, frontier=sys.argv[3])
        configure.set_policy(workspace, {"min_score": 0.5})
        dataset = export(workspace, Filters(SCENARIO, include_local=True, matches=True))
        trained = localize(workspace, dataset.path, plan=SMALL)
        switch.activate(workspace, trained.bundle.id, forced=True)
        switch.delete(workspace, trained.bundle.id)

base, cache = Path(sys.argv[1]), Path(sys.argv[2])
for point in sys.argv[4:]:
    # Forked from a process that never imported a matrix library: it costs nothing and is a process of its own.
    child = os.fork()
    if child == 0:
        journey(base / point, cache, point)
        os._exit(0)
    print(point, os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def killed(handed_down: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One workspace for each point, left by a process that died there."""
    base = tmp_path_factory.mktemp("killed")
    points = [*(point for point in POINTS if point not in ELSEWHERE), "nowhere"]
    for point in points:
        shutil.copytree(handed_down, base / point)
    tape = handed_down.parent / "tape.jsonl"
    command = [sys.executable, "-c", DRIVER, str(base), str(weights), f"recorded:{tape}", *points]
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=path, timeout=240)
    ends = dict(line.split() for line in done.stdout.splitlines())
    assert ends.pop("nowhere") == "0", done.stderr
    assert set(ends.values()) == {str(int(signal.SIGKILL))}, (ends, done.stderr)
    return {point: base / point for point in points}


@pytest.mark.parametrize("point", [point for point in POINTS if point not in ELSEWHERE])
def test_a_kill_at_any_point_leaves_a_history_that_is_true_and_rooms_that_are_tidy(
    killed: Mapping[str, Path], point: str, settings: Settings
) -> None:
    root = killed[point]
    with open_workspace(root, settings=settings) as workspace:
        assert differences(workspace) == []
        with workspace.reading() as connection:
            assert unfinished.calls(connection) == []
            assert unfinished.runs(connection) == []
            recovered = [attempt for attempt in reader.all_of(connection, rows.Attempt) if attempt.recovered]
            bundles = {bundle.id for bundle in reader.bundles(connection)}
            datasets = {dataset.digest for dataset in reader.all_of(connection, rows.Dataset)}
        assert len(recovered) == (point in {"announced", "answered", "step-appended"})
        assert [attempt.reply is None for attempt in recovered] == [point == "announced"] * len(recovered)
        for room in ("jobs", "sessions"):
            assert list((root / room).iterdir()) == []
        assert {path.name for path in (root / "datasets").iterdir()} == datasets
        assert {path.name for path in (root / "bundles").iterdir()} <= bundles
        for path in (root / "bundles").iterdir():
            assert look(path, path.name).condition is Condition.WHOLE
        assert compete(workspace).outcome == "served"
        assert differences(workspace) == []


def test_the_answer_that_a_dead_process_had_is_kept_and_never_used(
    killed: Mapping[str, Path], settings: Settings
) -> None:
    with open_workspace(killed["answered"], settings=settings) as workspace, workspace.reading() as connection:
        (attempt,) = [attempt for attempt in reader.all_of(connection, rows.Attempt) if attempt.recovered]
        (step,) = [step for step in reader.all_of(connection, rows.Step) if step.recovered]
    assert attempt.reply is not None
    assert (attempt.provider, attempt.target) == ("stepdown-local", "local")
    assert (step.outcome, step.served, step.reply, step.score) == ("interrupted", None, None, None)


def test_a_living_process_keeps_what_is_its_own(local: Workspace, settings: Settings) -> None:
    from journey import SCENARIO
    from stepdown.acts.run import start

    under_way = start(local, SCENARIO, generations=1, candidates=1)
    with open_workspace(local.root, settings=settings) as other:
        assert recover(other) == 0
        assert differences(other) == []
    under_way.advance()
    under_way.end()
    assert differences(local) == []


def test_a_run_that_was_left_is_interrupted_when_its_session_ends(workspace: Workspace, settings: Settings) -> None:
    from journey import SCENARIO
    from stepdown.acts.run import start

    start(workspace, SCENARIO).advance()
    workspace.close()
    with open_workspace(workspace.root, settings=settings) as again, again.reading() as connection:
        (ending,) = reader.all_of(connection, rows.Ending)
    assert (ending.outcome, ending.error) == ("interrupted", "Its process ended.")


def test_recovering_twice_changes_nothing(killed: Mapping[str, Path], settings: Settings) -> None:
    with open_workspace(killed["announced"], settings=settings) as workspace:
        before = count(workspace, rows.Step)
        assert recover(workspace) == 0
        assert count(workspace, rows.Step) == before


def test_the_parts_and_plans_of_dead_trainings_are_cleared_and_those_of_living_ones_are_not(
    local: Workspace, settings: Settings
) -> None:
    mine, jobs = local.session.begin(), local.root / "jobs"
    for session in (mine, "1-00000000"):
        (jobs / f"{JOB}.{session}.part").mkdir()
        (jobs / f"{JOB}.{session}.plan").write_text("{}")
    open_workspace(local.root, settings=settings).close()

    assert {path.name for path in jobs.iterdir()} == {f"{JOB}.{mine}.part", f"{JOB}.{mine}.plan"}


def test_an_interrupted_local_call_says_nothing_of_its_bundles_health(
    killed: Mapping[str, Path], settings: Settings
) -> None:
    with open_workspace(killed["announced"], settings=settings) as workspace, workspace.reading() as connection:
        found = [attempt for attempt in reader.all_of(connection, rows.Attempt) if attempt.recovered]
    assert [attempt.breaker for attempt in found] == [None] * len(found)


def test_what_nobody_finished_is_not_exported(killed: Mapping[str, Path], settings: Settings) -> None:
    from journey import SCENARIO
    from stepdown.acts.export import export
    from stepdown.training.records import Filters

    with open_workspace(killed["answered"], settings=settings) as workspace:
        dataset = export(workspace, Filters(SCENARIO, include_local=True))
        text = "".join(path.read_text("utf-8") for path in dataset.path.iterdir())
    assert "run-2/" not in text


def test_the_ledger_takes_a_run_whose_dead_session_nobody_claims(workspace: Workspace, settings: Settings) -> None:
    known = discover(workspace)
    run = replace(known, id="run-2", session="1-00000000")
    with workspace.writing() as connection:
        ledger.append(connection, run)
    with open_workspace(workspace.root, settings=settings) as other:
        assert differences(other) == []
        with other.reading() as connection:
            assert unfinished.runs(connection) == []
        assert discover(other).id == "run-3"


def test_the_handed_down_bundle_survives_every_crash(killed: Mapping[str, Path], settings: Settings) -> None:
    for point in ("act-appended", "act-recorded", "bundle-renamed"):
        with open_workspace(killed[point], settings=settings) as workspace:
            held = active(workspace)
            assert look(workspace.bundle_directory(held.id), held.id).condition is Condition.WHOLE
