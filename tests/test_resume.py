"""A run and a comparison go on after they had ended before they were done: what stands is kept, and the rest is done."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from journey import BEST, SCENARIO, Scripted, active, count, discover, localized, steps
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.acts.resume import resume_run
from stepdown.acts.run import play, start
from stepdown.audit import runs as audited
from stepdown.cli import main
from stepdown.errors import NotFound, Refused
from stepdown.history import endings, reader, rows
from stepdown.reports.markdown import render
from stepdown.training.plan import Plan
from stepdown.training.promotion import Trial
from stepdown.views.audit import compared, differences, evidence
from stepdown.views.runs import runs, story
from stepdown.workspace import Settings, Workspace

GENERATIONS, CANDIDATES = 3, 3


def stopped_at(point: str, time: int) -> Callable[[str], None]:
    """Return what is interrupted when a point is passed for the nth time."""
    left = [time]

    def reached(passed: str) -> None:
        left[0] -= passed == point
        if passed == point and left[0] == 0:
            raise KeyboardInterrupt

    return reached


def stopped(root: Path, settings: Settings, point: str, time: int) -> None:
    """Play a run, and be stopped in it."""
    halted = replace(settings, reached=stopped_at(point, time))
    with suppress(KeyboardInterrupt), open_workspace(root, settings=halted) as workspace:
        discover(workspace, generations=GENERATIONS, candidates=CANDIDATES)


def said(workspace: Workspace, run: str) -> list[tuple[str, str, str | None, float | None]]:
    """Return what every step of a run came to."""
    with workspace.reading() as connection:
        return [(step.id, step.outcome, step.answer, step.score) for step in reader.steps(connection, run)]


POINTS = [
    ("announced", 1), ("announced", 2), ("answered", 4), ("announced", 6), ("step-appended", 5), ("step-finished", 1),
    ("step-finished", 4), ("generation-decided", 1), ("generation-decided", 3), ("knowledge-learned", 1),
    ("knowledge-learned", 2), ("step-finished", 12),
]  # fmt: skip
"""Where a run is stopped, and at which time it comes by: within a step, between two, before and after the coach."""


@pytest.mark.parametrize(("point", "time"), POINTS)
def test_a_run_that_was_stopped_goes_on_to_all_of_its_generations(
    tmp_path: Path, settings: Settings, point: str, time: int
) -> None:
    stopped(tmp_path / "w", settings, point, time)
    with open_workspace(tmp_path / "w", settings=settings) as workspace:
        before = said(workspace, "run-1")
        assert "`stepdown run --resume run-1` does the rest of it." in render(story(workspace, "run-1"))
        play(resume_run(workspace, "run-1"))

        after = said(workspace, "run-1")
        assert after[: len(before)] == before or set(before) <= set(after)
        assert [step for step, *_ in after] == [
            f"run-1/{number}/{place}" for number in range(1, GENERATIONS + 1) for place in range(CANDIDATES + 1)
        ]
        assert differences(workspace) == []
        with workspace.reading() as connection:
            assert [row.number for row in reader.generations(connection, "run-1")] == [1, 2, 3]
            assert [row.outcome for row in reader.all_of(connection, rows.Ending)] == ["interrupted", "completed"]
            (row,) = endings.resumptions(connection, "run-1")
            assert row.session == workspace.session.id
        assert "was resumed at" in render(story(workspace, "run-1"))


@pytest.mark.parametrize(("point", "time"), [("step-finished", 1), ("generation-decided", 2), ("knowledge-learned", 2)])
def test_a_run_that_was_stopped_between_two_steps_finds_what_it_would_have_found(
    tmp_path: Path, settings: Settings, point: str, time: int
) -> None:
    stopped(tmp_path / "stopped", settings, point, time)
    with open_workspace(tmp_path / "stopped", settings=settings) as workspace:
        play(resume_run(workspace, "run-1"))
        found = said(workspace, "run-1")
    with open_workspace(tmp_path / "whole", settings=settings) as workspace:
        discover(workspace, generations=GENERATIONS, candidates=CANDIDATES)

        assert found == said(workspace, "run-1")


def test_a_run_can_be_stopped_and_resumed_again_and_again(tmp_path: Path, settings: Settings) -> None:
    stopped(tmp_path / "w", settings, "step-finished", 2)
    for time in (3, 2):
        halted = replace(settings, reached=stopped_at("step-finished", time))
        with suppress(KeyboardInterrupt), open_workspace(tmp_path / "w", settings=halted) as workspace:
            play(resume_run(workspace, "run-1"))
    with open_workspace(tmp_path / "w", settings=settings) as workspace:
        play(resume_run(workspace, "run-1"))

        assert differences(workspace) == []
        with workspace.reading() as connection:
            assert len(endings.resumptions(connection, "run-1")) == 3


def test_what_is_done_under_way_or_another_kind_of_run_is_not_resumed(workspace: Workspace, settings: Settings) -> None:
    discover(workspace)
    under_way = start(workspace, SCENARIO, generations=2, candidates=1)
    for run, error, words in (
        ("run-1", Refused, "is done"),
        (under_way.run.id, Refused, "under way in a living process"),
        ("run-9", NotFound, "no run"),
    ):
        with pytest.raises(error, match=words):
            resume_run(workspace, run)
    with open_workspace(workspace.root, settings=settings) as other, pytest.raises(Refused, match="living process"):
        resume_run(other, under_way.run.id)
    play(under_way)
    assert differences(workspace) == []


def test_a_run_that_goes_on_is_under_way_for_everybody(tmp_path: Path, settings: Settings) -> None:
    stopped(tmp_path / "w", settings, "step-finished", 2)
    with (
        open_workspace(tmp_path / "w", settings=settings) as one,
        open_workspace(tmp_path / "w", settings=settings) as two,
    ):
        going_on = resume_run(one, "run-1")

        assert [(run.id, ending) for run, ending in runs(two)] == [("run-1", None)]
        with pytest.raises(Refused, match="living process"):
            resume_run(two, "run-1")
        assert differences(two) == []
        play(going_on)
    with open_workspace(tmp_path / "w", settings=settings) as again:
        assert differences(again) == []


FORGED: dict[str, Callable[[rows.Resumption, rows.Ending], tuple[list[rows.Resumption], list[rows.Ending]]]] = {
    "it never went on": lambda _, _end: ([], []),
    "it went on twice": lambda again, _: ([again, again], []),
    "in another session": lambda again, _: ([replace(again, session="0" * 16)], []),
    "after it was done": lambda again, end: ([again, again], [replace(end, outcome="completed", error=None)]),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_resumption_is_told(tmp_path: Path, settings: Settings, name: str) -> None:
    stopped(tmp_path / "w", settings, "step-finished", 2)
    with open_workspace(tmp_path / "w", settings=settings) as workspace:
        play(resume_run(workspace, "run-1"))
        told = evidence(workspace)
    resumptions, endings = FORGED[name](told.resumptions[0], told.endings[0])

    assert list(compared(replace(told, resumptions=resumptions, endings=[*told.endings, *endings], numbers={})))
    assert list(audited.runs(told)) == list(audited.endings(told)) == []


TRIAL = Trial(margin=0.3, budget=64, look=16)


@pytest.mark.parametrize(("answered", "weak"), [(1, True), (7, True), (16, False), (20, False), (33, False)])
def test_a_comparison_that_was_stopped_asks_the_frontier_only_for_the_rest(
    local: Workspace, settings: Settings, answered: int, *, weak: bool
) -> None:
    root = local.root
    bundle = localized(local, Plan.tiny(iterations=1, seed=1)).bundle.id if weak else active(local).id
    local.close()
    frontier = Scripted([BEST])
    asked = replace(settings, frontier=lambda _word, _scenario: frontier)
    halted = replace(asked, reached=stopped_at("step-finished", answered))
    with suppress(KeyboardInterrupt), open_workspace(root, settings=halted) as workspace:
        promote(workspace, bundle, trial=replace(TRIAL, margin=0.0))
    calls = len(frontier.asked)
    assert calls == answered
    with open_workspace(root, settings=asked) as workspace:
        run = runs(workspace)[-1][0].id
        with pytest.raises(Refused, match="budget of 64 seeds"):
            promote(workspace, bundle, trial=replace(TRIAL, budget=32), resume=run)
        verdict = promote(workspace, bundle, trial=replace(TRIAL, margin=0.0), resume=run)

        assert verdict.run == run
        assert len({request.call for request in frontier.asked}) == len(frontier.asked) == len(steps(workspace, run))
        assert differences(workspace) == []
        with pytest.raises(Refused, match="is done"):
            promote(workspace, bundle, trial=TRIAL, resume=run)


def test_ctrl_c_says_what_stands_and_how_the_rest_is_done(tmp_path: Path) -> None:
    root = tmp_path / "w"
    line = [sys.executable, "-m", "stepdown"]
    with subprocess.Popen(
        [*line, "run", "--generations", "9999", "--candidates", "4", "-w", str(root)], stderr=subprocess.PIPE, text=True
    ) as running:
        while not (root / "trace.jsonl").exists() or len((root / "trace.jsonl").read_bytes()) < 5000:
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        words = running.stderr.read()
    assert running.returncode == 130
    assert words.startswith("stepdown: Stopped. run-1 stands with ")
    assert re.search(r"`stepdown run --resume run-1 -w [^`]+` does the rest\.\n$", words)
    told = subprocess.run([*line, "audit", "--json", "-w", str(root)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout
    assert json.loads(told.stdout) == []


def test_what_cannot_be_resumed_is_a_sentence_and_makes_nothing(
    local: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, place = active(local).id, str(local.root)
    for line, code in (
        (["run", "--resume", "run-1", "-w", str(tmp_path / "nowhere")], 7),
        (["run", "--resume", "run-99", "-w", place], 3),
        (["run", "--resume", "run-1", "-w", place], 4),
        (["promote", bundle, "--resume", "run-99", "-w", place], 3),
        (["promote", bundle, "--resume", "run-1", "-w", place], 4),
    ):
        assert main(line) == code
        assert capsys.readouterr().err.count("stepdown: ") == 1
    assert not (tmp_path / "nowhere").exists()
    assert count(local, rows.Resumption) == 0
    assert differences(local) == []


def test_a_run_that_its_budget_stopped_goes_on_once_it_may_spend_more(workspace: Workspace) -> None:
    frontier = Scripted([BEST])
    workspace.settings = replace(workspace.settings, frontier=lambda _word, _scenario: frontier)
    configure.set_policy(workspace, {"run_tokens": 30})
    run = discover(workspace, generations=3, candidates=2)
    configure.set_policy(workspace, {"run_tokens": "inf"})
    play(resume_run(workspace, run.id))

    with workspace.reading() as connection:
        assert [row.outcome for row in reader.all_of(connection, rows.Ending)] == ["stopped", "completed"]
        assert len(reader.generations(connection, run.id)) == 3
    assert differences(workspace) == []
