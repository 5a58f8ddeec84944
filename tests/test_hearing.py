"""A model says how good held-out answers are: bundles of its task are trained, measured, served and compared all the same."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import fmean

import pytest

from journey import count, steps
from judged import TOML, edit, install, opened, watched, write
from stepdown.acts import configure, switch
from stepdown.acts.ask import judge
from stepdown.acts.datasets import find_dataset
from stepdown.acts.export import export
from stepdown.acts.localize import Trained, evaluate, localize
from stepdown.acts.promote import promote
from stepdown.acts.resume import resume_run
from stepdown.acts.run import play, start
from stepdown.errors import ProviderError, Refused, Unavailable
from stepdown.history import reader, rows
from stepdown.training.plan import Plan
from stepdown.training.promotion import Trial
from stepdown.training.records import Filters
from stepdown.views.audit import differences, examined
from stepdown.views.runs import story
from stepdown.workspace import Workspace

PLAN = Plan.tiny(iterations=60)
TRIAL = Trial(look=8, budget=8, margin=0.5)
ONES: list[dict[str, object]] = [{"input": f"case {number}", "expected": 1} for number in range(120)]


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)


@pytest.fixture
def workspace(tmp_path: Path, weights: Path) -> Iterator[Workspace]:
    """A workspace beside a task that a model judges, and whose right answer is always one."""
    with opened(write(tmp_path / "task", cases=ONES), cache=weights) as workspace:
        yield workspace


def trained(workspace: Workspace) -> Trained:
    """Discover with the labels, and train from that."""
    play(start(workspace, "ours", generations=2, candidates=6, frontier="labels"))
    return localize(workspace, export(workspace, Filters(scenario="ours")).path, plan=PLAN)


def held_out(workspace: Workspace, evaluation: str) -> list[rows.Holdout]:
    with workspace.reading() as connection:
        return reader.all_of(connection, rows.Holdout, evaluation=evaluation)


def last_run(workspace: Workspace) -> tuple[rows.Run, str | None]:
    """Return the newest run, and how it ended."""
    with workspace.reading() as connection:
        run = reader.newest(connection, rows.Run)
        assert run is not None
        ending = reader.newest(connection, rows.Ending, run=run.id)
    return run, ending.outcome if ending else None


def test_a_bundle_is_measured_by_the_verdicts_of_a_model_each_a_call_with_two_witnesses(workspace: Workspace) -> None:
    evaluation = trained(workspace).evaluation

    run, outcome = last_run(workspace)
    replies, judged = held_out(workspace, evaluation.id), steps(workspace, run.id, "judge")
    assert (run.purpose, outcome, evaluation.judged) == ("evaluation", "completed", f"{run.id}/1")
    told = story(workspace, run.id)
    assert ({step.score for step in told.steps}, told.best) == ({None}, None), "nobody judges who judges"
    assert len(judged) == sum(reply.legal for reply in replies) > 8
    assert {reply.score for reply in replies if reply.legal} <= {1.0, 0.25}
    assert evaluation.mean == pytest.approx(fmean(reply.score or 0.0 for reply in replies))
    assert not any(word in step.prompt for step in judged for word in ("bundle", "local", evaluation.bundle))
    differing, unsure = examined(workspace)
    assert differing == []
    assert f"its {12 + len(judged)} verdicts were compared with the calls that gave them" in unsure[0]


def test_a_bundle_that_a_model_measured_serves_by_its_bound(workspace: Workspace) -> None:
    bundle = trained(workspace).bundle
    switch.activate(workspace, bundle.id, forced=True)

    reasons = []
    for least in (0.0, 1.0):
        configure.set_policy(workspace, {"min_score": least, "min_valid": 0.0})
        run = play(start(workspace, "ours", generations=1, candidates=2, frontier="labels"))
        reasons.append({step.reason for step in steps(workspace, run.id)})

    assert reasons[0] == {None}
    assert reasons[1] <= {None, "quality-below-threshold"}
    assert differences(workspace) == []


def test_cases_whose_answer_nobody_knows_are_held_out_too_where_a_model_judges(tmp_path: Path, weights: Path) -> None:
    unlabelled: list[dict[str, object]] = [{"input": f"open {number}"} for number in range(60)]
    with opened(write(tmp_path / "task", cases=[*ONES, *unlabelled]), cache=weights) as workspace:
        evaluation = trained(workspace).evaluation
        run, _ = last_run(workspace)

        assert any("Right: not known" in step.prompt for step in steps(workspace, run.id, "judge"))
        assert evaluation.seeds > 40
        assert differences(workspace) == []


def test_a_few_silent_calls_leave_answers_out_and_many_leave_a_bundle_unmeasured_until_the_judge_is_asked_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(start(workspace, "ours", generations=2, candidates=6, frontier="labels"))
    dataset = export(workspace, Filters(scenario="ours")).path
    monkeypatch.setenv("STRICT_SILENT", "2")
    with pytest.raises(
        ProviderError, match=r"gave a verdict on \d+ of \d+ legal answers, and 90% are needed \(silence ×"
    ):
        localize(workspace, dataset, plan=PLAN)
    run, outcome = last_run(workspace)
    assert (run.purpose, outcome) == ("evaluation", "failed")
    assert (count(workspace, rows.Bundle), count(workspace, rows.Evaluation)) == (1, 0)
    with workspace.reading() as connection:
        (bundle,) = reader.bundles(connection)
    switch.activate(workspace, bundle.id, forced=True)
    asked = play(start(workspace, "ours", generations=1, candidates=1, frontier="labels"))
    assert [step.reason for step in steps(workspace, asked.id)] == ["quality-inconclusive"]

    monkeypatch.setenv("STRICT_SILENT", "7")
    again = localize(workspace, dataset, plan=PLAN)
    replies = held_out(workspace, again.evaluation.id)
    scores = [reply.score for reply in replies if reply.score is not None]

    assert (again.bundle.id, again.reused) == (bundle.id, True)
    assert 0 < len(replies) - len(scores) < 4
    first, second = (steps(workspace, run_id, "judge") for run_id in (run.id, last_run(workspace)[0].id))
    assert {step.position for step in second} == {step.position for step in first if step.outcome != "served"}
    assert again.evaluation.mean == pytest.approx(fmean(scores))
    assert again.evaluation.valid == fmean(reply.legal for reply in replies)
    assert differences(workspace) == []


def test_a_judge_that_cannot_be_asked_is_said_before_anything_is_trained(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(start(workspace, "ours", generations=1, candidates=6, frontier="labels"))
    dataset = export(workspace, Filters(scenario="ours")).path
    configure.set_policy(workspace, {"frontier_never": ["judge"]})
    with pytest.raises(Refused, match="keeps the judge's prompts from the frontier"):
        localize(workspace, dataset, plan=PLAN)
    assert count(workspace, rows.Bundle) == 0

    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    hosted = write(tmp_path / "hosted", toml=TOML.replace('"strict"', '"openai"\nmodel = "judge-large"'), cases=ONES)
    with opened(hosted) as other:
        play(start(other, "ours", generations=1, candidates=6, frontier="labels"))
        for call, score in [(f"run-1/1/{position}/1", 1.0) for position in range(6)]:
            judge(other, call, score, by="zoe")
        with pytest.raises(Unavailable, match="OPENAI_API_KEY"):
            localize(other, export(other, Filters(scenario="ours")).path, plan=PLAN)


def stopped(directory: Path, weights: Path, dataset: str, after: int) -> None:
    """Train or measure from a dataset, and stop when so many calls of the judge have ended."""
    left = [after]

    def reached(passed: str) -> None:
        left[0] -= passed == "step-finished"
        if passed == "step-finished" and left[0] == 0:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), opened(directory, cache=weights, reached=reached) as halted:
        localize(halted, find_dataset(halted, dataset), plan=PLAN)


@pytest.mark.parametrize("times", [[1], [4, 3], [20]])
def test_verdicts_of_an_evaluation_that_was_stopped_are_not_asked_for_again(
    tmp_path: Path, weights: Path, times: list[int]
) -> None:
    directory = write(tmp_path / "task", cases=ONES)
    with opened(directory, cache=weights) as workspace:
        play(start(workspace, "ours", generations=2, candidates=6, frontier="labels"))
        dataset = export(workspace, Filters(scenario="ours")).digest
    for after in times:
        stopped(directory, weights, dataset, after)
    with opened(directory, cache=weights) as workspace:
        assert count(workspace, rows.Evaluation) == 0
        trained = localize(workspace, find_dataset(workspace, dataset), plan=PLAN)
        runs = [f"run-{number}" for number in range(2, 3 + len(times))]
        asked = {run: [step.position for step in steps(workspace, run, "judge")] for run in runs}
        legal = sum(reply.legal for reply in held_out(workspace, trained.evaluation.id))

        assert trained.evaluation.judged == " ".join(f"{run}/1" for run in reversed(runs))
        assert [len(asked[run]) for run in runs] == [*times, legal - sum(times)]
        every = [position for positions in asked.values() for position in positions]
        assert sorted(every) == sorted(set(every))
        assert differences(workspace) == []
        # Whoever asks for another one wants to hear anew.
        anew = evaluate(workspace, trained.bundle.id)
        assert anew.judged == f"run-{3 + len(times)}/1"
        assert len(steps(workspace, f"run-{3 + len(times)}", "judge")) == legal
        assert differences(workspace) == []


BORROWED = {
    "its own place alone": ("judged = 'run-3/1' WHERE id = 'evaluation-1'", "the judge was not asked about its reply"),
    "a place that is none": ("judged = 'run-3/1 run-2/1 run-9/1'", "it takes verdicts from run-9/1"),
    "a place of work": ("judged = 'run-3/1 run-1/1'", "it takes verdicts from run-1/1"),
    "a place twice": ("judged = 'run-3/1 run-2/1 run-2/1'", "2 evaluations count what the judge said in it"),
}


@pytest.fixture(scope="module")
def borrowed(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Path]:
    """A workspace with an evaluation that took verdicts over from one that was stopped, to be copied and forged."""
    root = tmp_path_factory.mktemp("borrowed")
    with pytest.MonkeyPatch.context() as patch:
        install(root, patch)
        directory = write(root / "task", cases=ONES)
        with opened(directory, cache=weights) as workspace:
            play(start(workspace, "ours", generations=2, candidates=6, frontier="labels"))
            dataset = export(workspace, Filters(scenario="ours")).digest
        stopped(directory, weights, dataset, 4)
        with opened(directory, cache=weights) as workspace:
            localize(workspace, find_dataset(workspace, dataset), plan=PLAN)
            assert differences(workspace) == []
        yield directory


@pytest.mark.parametrize("name", BORROWED)
def test_verdicts_that_an_evaluation_does_not_have_from_where_it_says_are_named_by_the_audit(
    borrowed: Path, tmp_path: Path, name: str
) -> None:
    change, sentence = BORROWED[name]
    shutil.copytree(borrowed, tmp_path / "copy")
    with opened(tmp_path / "copy") as workspace:
        edit(workspace, f"UPDATE evaluation SET {change}")

        assert any(sentence in str(difference) for difference in differences(workspace)), [
            *map(str, differences(workspace))
        ]


FORGERIES = {
    "a held-out score": ("UPDATE holdout SET score = 0.5 WHERE seq = 3", "the judging call says"),
    "a score taken away": ("UPDATE holdout SET score = NULL WHERE seq = 3", "the judging call says"),
    "a mean": ("UPDATE evaluation SET mean = 0.99", "its held-out replies says"),
    "where it was judged": (
        "UPDATE evaluation SET judged = NULL",
        "it names no judging steps, and a model judges there",
    ),
    "another place": ("UPDATE evaluation SET judged = 'run-1/1'", "no replies of its bundle were judged in run-1/1"),
    "no such place": (
        "UPDATE evaluation SET judged = 'run-9/1'",
        "judging steps of run-9, which history does not have",
    ),
    "the judge's words": (
        """UPDATE attempt SET text = '{"score":0,"why":""}' WHERE call = 'run-2/1/3/1'""",
        "the trace says",
    ),
    "what it was asked": ("UPDATE step SET prompt = 'Be kind.' WHERE id = 'run-2/1/3'", "about other words than"),
    "what the run was for": (
        "UPDATE run SET purpose = 'live' WHERE id = 'run-2'",
        "no replies of its bundle were judged",
    ),
    "of which version it was": (
        "UPDATE run SET scenario_version = 7 WHERE id = 'run-2'",
        "judged in run-2/1 as version 7 of ours has it",
    ),
    "who was asked": (
        "UPDATE run SET frontier = 'kind' WHERE id = 'run-2'",
        "judged in run-2/1 by kind, who is not the judge of ours",
    ),
    "how it ended": (
        "UPDATE ending SET outcome = 'failed', error = 'x' WHERE run = 'run-2'",
        "it did not complete, and 1",
    ),
    "a reply": ("UPDATE holdout SET reply = '1 ' WHERE seq = 3", "not those that the trace has of its bundle"),
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Path]:
    """A workspace with an evaluation and a comparison that a model judged, to be copied and forged."""
    root = tmp_path_factory.mktemp("judged")
    with pytest.MonkeyPatch.context() as patch:
        install(root, patch)
        with opened(write(root / "task", cases=ONES), cache=weights) as workspace:
            promote(workspace, trained(workspace).bundle.id, trial=TRIAL, frontier="labels")
            assert differences(workspace) == []
        yield root / "task"


@pytest.fixture
def copied(lived: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(lived, tmp_path / "copy")
    with opened(tmp_path / "copy") as workspace:
        yield workspace


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_evaluation_by_a_model_is_named_by_the_audit(copied: Workspace, name: str) -> None:
    statement, sentence = FORGERIES[name]
    edit(copied, statement)

    assert any(sentence in str(difference) for difference in differences(copied)), [*map(str, differences(copied))]


def test_challenger_and_frontier_are_compared_by_the_verdicts_of_one_model(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = trained(workspace).bundle
    shown = watched(monkeypatch)
    verdict = promote(workspace, bundle.id, trial=TRIAL, frontier="labels")

    run, outcome = last_run(workspace)
    judged = steps(workspace, run.id, "judge")
    with workspace.reading() as connection:
        (mine,) = reader.all_of(connection, rows.Evaluation, run=run.id)
    assert (run.purpose, outcome, mine.judged) == ("comparison", "completed", f"{run.id}/3")
    assert {step.generation for step in judged} == {2, 3}
    assert [len(examples) for examples in shown.values()] == [12] * 8, (
        "it is asked with all that the best run has found"
    )
    assert verdict.evidence["seeds"] == 8
    assert verdict.evidence["to_frontier"]["mean"] <= 0
    assert differences(workspace) == []


COMPARED = {
    "a verdict on the frontier": (
        """UPDATE step SET reply = '{"score":0,"why":""}' WHERE id = 'run-3/2/3'""",
        "to_frontier",
    ),
    "what it was asked of the frontier": ("UPDATE step SET prompt = 'Be kind.' WHERE id = 'run-3/2/3'", "seeds"),
    "a challenger's score": (
        "UPDATE holdout SET score = 0.5 WHERE evaluation = 'evaluation-2'",
        "the judging call says",
    ),
    "one for the other": (
        "UPDATE evaluation SET judged = 'run-3/2' WHERE id = 'evaluation-2'",
        "no replies of its bundle",
    ),
}


@pytest.mark.parametrize("name", COMPARED)
def test_a_forged_comparison_by_a_model_is_named_by_the_audit(copied: Workspace, name: str) -> None:
    statement, sentence = COMPARED[name]
    edit(copied, statement)

    assert any(sentence in str(difference) for difference in differences(copied)), [*map(str, differences(copied))]


def test_a_judge_that_is_silent_on_many_answers_lets_no_comparison_come_to_a_verdict(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = trained(workspace).bundle
    monkeypatch.setenv("STRICT_SILENT", "3")

    with pytest.raises(ProviderError, match="90% are needed"):
        promote(workspace, bundle.id, trial=TRIAL, frontier="labels")
    assert count(workspace, rows.Verdict) == 0
    assert last_run(workspace)[1] == "failed"
    assert differences(workspace) == []


@pytest.mark.parametrize("time", [3, 9, 14, 20])
def test_a_comparison_that_was_stopped_while_it_was_judged_goes_on_and_asks_about_no_answer_twice(
    tmp_path: Path, weights: Path, time: int
) -> None:
    directory = write(tmp_path / "task", cases=ONES)
    with opened(directory, cache=weights) as workspace:
        bundle = trained(workspace).bundle
    left = [time]

    def reached(passed: str) -> None:
        left[0] -= passed == "step-finished"
        if passed == "step-finished" and left[0] == 0:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), opened(directory, reached=reached) as halted:
        promote(halted, bundle.id, trial=TRIAL, frontier="labels")
    with opened(directory) as workspace:
        promote(workspace, bundle.id, trial=TRIAL, frontier="labels", resume="run-3")

        judged = [(step.generation, step.position) for step in steps(workspace, "run-3", "judge")]
        assert sorted(judged) == sorted(set(judged))
        assert len(judged) == 16
        assert differences(workspace) == []


def test_the_judging_calls_of_one_generation_are_under_way_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge answers none of three before all are there."""
    monkeypatch.setenv("STRICT_TOGETHER", "3")
    with opened(write(tmp_path / "task", cases=ONES)) as workspace:
        run = play(start(workspace, "ours", generations=1, candidates=3, frontier="labels"))

        assert {step.outcome for step in steps(workspace, run.id, "judge")} == {"served"}
        assert differences(workspace) == []


def test_a_bundle_is_evaluated_anew_by_the_model_and_nobody_goes_on_with_such_a_run(workspace: Workspace) -> None:
    first = trained(workspace)
    second = evaluate(workspace, first.bundle.id)

    assert second.judged != first.evaluation.judged
    with pytest.raises(Refused, match="is for evaluation, and cannot be resumed"):
        resume_run(workspace, "run-2")
    assert differences(workspace) == []
