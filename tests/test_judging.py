"""A model that judges: its call is a step of its own, its words a verdict or none, and history cannot say it said others."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from journey import attempts, steps
from judged import TOML, edit, install, opened, watched, write
from scripted_server import Play, hangs_up, says, serving
from stepdown.acts.ask import judge, live
from stepdown.acts.export import export
from stepdown.acts.resume import resume_run
from stepdown.acts.run import play, start
from stepdown.cli import main
from stepdown.errors import InvalidValue
from stepdown.history import reader
from stepdown.scenarios.judging import verdict
from stepdown.training.records import Filters
from stepdown.views.audit import differences, examined
from stepdown.views.doctor import examine as doctor
from stepdown.views.runs import story
from stepdown.views.scan import scan
from stepdown.workspace import Workspace
from stepdown.workspace.task import read as read_task


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace beside a task that the judge of one's own judges."""
    with opened(write(tmp_path / "task")) as workspace:
        yield workspace


def run_one(workspace: Workspace, **changes: Any) -> str:
    """Play two generations of three, answered by the labels."""
    under_way = start(workspace, "ours", **{"generations": 2, "candidates": 3, "frontier": "labels", **changes})
    return play(under_way).id


def test_a_run_is_judged_by_a_model_exported_and_its_audit_is_clean(workspace: Workspace) -> None:
    run = run_one(workspace)

    answers = steps(workspace, run)
    judges = steps(workspace, run, "judge")
    with workspace.reading() as connection:
        verdicts = [reader.judgement(connection, step.served_call or "") for step in answers]
        tokens, _ = reader.spent(connection, run)
        generations = reader.generations(connection, run)
    assert [step.score for step in answers] == [None] * 6
    assert [(row.score, row.why, row.by) for row in verdicts if row] == [
        (1.0, "It compared.", f"judge:{step.served_call}") for step in judges
    ]
    assert tokens == 6 * 14
    assert [row.score for row in generations] == [1.0, 1.0]
    assert export(workspace, Filters(scenario="ours", run=run)).records > 0
    told, unsure = examined(workspace)
    assert told == []
    assert "a model judges the answers of ours, so its 6 verdicts were compared" in unsure[0]


def test_a_judge_is_told_of_the_case_and_never_of_who_served(workspace: Workspace) -> None:
    run = run_one(workspace, generations=1)

    prompts = [step.prompt for step in steps(workspace, run, "judge")]
    assert all(prompt.startswith("Do: Count.\nCase: text=case ") for prompt in prompts)
    assert not any(word in prompt for prompt in prompts for word in ("labels", "frontier", "local", "run-"))


def test_who_asks_live_gets_the_score_that_the_model_gave(workspace: Workspace) -> None:
    with live(workspace, "ours", frontier="labels") as desk:
        first, second = desk.ask({"text": "case 4"}), desk.ask(7)

    assert (first.score, second.score, first.unjudged) == (1.0, 1.0, None)
    assert differences(workspace) == []


def test_a_verdict_of_less_than_nothing_by_its_sign_alone_is_nothing() -> None:
    assert repr(verdict('{"score":-0.0,"why":""}')) == repr((0.0, ""))


FORGERIES = {
    "a score": ("UPDATE judgement SET score = 0.5 WHERE seq = 2", "the judging call says 1.0"),
    "a reason": ("UPDATE judgement SET why = 'Fine.' WHERE seq = 2", "the judging call says 'It compared.'"),
    "a name": ("UPDATE judgement SET by = 'zoe' WHERE seq = 2", "disagree on whether there is a verdict"),
    "another call": ("UPDATE judgement SET call = 'run-1/1/0/1' WHERE seq = 2", "history has call"),
    "the judge's own words": (
        """UPDATE attempt SET text = '{"score":0,"why":""}' WHERE call = 'run-1/1/4/1'""",
        "the trace says",
    ),
    "a score at once": ("UPDATE step SET score = 0.5 WHERE id = 'run-1/1/1'", "history has score 0.5"),
    "what was judged": ("UPDATE step SET prompt = 'Be kind.' WHERE id = 'run-1/1/4'", "the answer it judges"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_verdict_is_named_by_the_audit(workspace: Workspace, name: str) -> None:
    statement, sentence = FORGERIES[name]
    run_one(workspace, generations=1)
    edit(workspace, statement)

    assert any(sentence in str(difference) for difference in differences(workspace))


def completion(content: str, **choice: Any) -> Play:
    """What the hosted judge answers."""
    message = {"role": "assistant", "content": content, **choice}
    body = {
        "id": "c-1", "object": "chat.completion", "created": 1, "model": "judge-large",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }  # fmt: skip
    return says(200, body)


FAILURES: dict[str, Play] = {
    "down": hangs_up,
    "no JSON": completion("Very good!"),
    "a score beyond all": completion('{"score": 7, "why": "great"}'),
    "true for a score": completion('{"score": true, "why": "great"}'),
    "no reason": completion('{"score": 1}'),
    "a refusal": completion("", refusal="I do not judge."),
    "a server in trouble": says(400, {"error": {"message": "no"}}),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_judge_that_fails_leaves_the_answer_unjudged_with_a_sentence_and_never_with_a_guess(
    tmp_path: Path, name: str
) -> None:
    with serving(*[FAILURES[name]] * 8) as server:
        toml = TOML.replace('"strict"', f'"openai"\nmodel = "judge-large@{server.url}"')
        with opened(write(tmp_path / "task", toml=toml)) as workspace:
            with live(workspace, "ours", frontier="labels") as desk:
                response = desk.ask(7)
            call = attempts(workspace, steps(workspace, "run-1", "judge")[0])[0]
            with workspace.reading() as connection:
                assert reader.judgements(connection, response.call or "") == []
            assert differences(workspace) == []

    assert response.score is None
    assert call.error_type is not None
    assert response.unjudged == f"The answer stays unjudged: the judge's call ended with {call.error_type}."


def test_a_hosted_judge_is_asked_over_http_and_its_tokens_count(tmp_path: Path) -> None:
    with serving(*[completion('{"score": 0.75, "why": "Nearly."}')] * 3) as server:
        toml = TOML.replace('"strict"', f'"openai"\nmodel = "judge-large@{server.url}"')
        with opened(write(tmp_path / "task", toml=toml)) as workspace:
            run = run_one(workspace, generations=1)
            with workspace.reading() as connection:
                assert reader.spent(connection, run)[0] == 3 * 25
            assert differences(workspace) == []

    asked = json.dumps([each.body for each in server.requests])
    assert "case " in asked
    assert "labels" not in asked


def test_a_judge_without_a_key_leaves_everything_unjudged_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    toml = TOML.replace('"strict"', '"openai"\nmodel = "judge-large"')
    with opened(write(tmp_path / "task", toml=toml)) as workspace:
        run = run_one(workspace, generations=1)

        assert {step.error for step in steps(workspace, run, "judge")} == {"frontier-unavailable"}
        assert differences(workspace) == []


def test_nobody_signs_as_the_judge(workspace: Workspace) -> None:
    run_one(workspace)

    with pytest.raises(InvalidValue, match="Only a judging call is named judge:"):
        judge(workspace, "run-1/1/0/1", 1.0, by="judge:run-1/1/4/1")


WRONG = {
    "an unknown provider": (
        {"toml": TOML.replace("strict", "nobody")},
        r"line 3: judge: there is no provider 'nobody'",
    ),
    "no provider": ({"toml": TOML.replace('provider = "strict"\n', "")}, "line 3: judge: .* needs provider"),
    "a setting too many": ({"toml": TOML + "mood = 1\n"}, "line 3: judge: model has no setting 'mood'"),
    "a number as model": ({"toml": TOML + "model = 1\n"}, "line 3: judge: model must be a text"),
    "no prompt's file": ({"prompt": None}, "judge.txt is missing"),
    "an unknown blank": ({"prompt": "$answer\n$who\n"}, r"judge.txt line 2 has the blank \$who"),
    "a lone sign": ({"prompt": "$answer\n5 $ or less"}, r"judge.txt line 2 has a \$ that begins no blank"),
    "no answer": ({"prompt": "Judge $case."}, r"judge.txt has no \$answer"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_judge_that_is_badly_named_is_a_sentence_with_file_and_line(tmp_path: Path, name: str) -> None:
    changes, sentence = WRONG[name]

    with pytest.raises(InvalidValue, match=sentence):
        read_task(write(tmp_path / "task", **changes))


@pytest.mark.parametrize(("point", "time"), [("step-finished", 4), ("announced", 5), ("step-appended", 6)])
def test_a_run_that_was_stopped_while_it_was_judged_goes_on_and_asks_about_no_answer_twice(
    tmp_path: Path, point: str, time: int
) -> None:
    """Three answers come first: the fourth step is the first that judges."""
    left = [time]

    def reached(passed: str) -> None:
        left[0] -= passed == point
        if passed == point and left[0] == 0:
            raise KeyboardInterrupt

    directory = write(tmp_path / "task")
    with suppress(KeyboardInterrupt), opened(directory, reached=reached) as halted:
        run_one(halted)
    with opened(directory) as workspace:
        play(resume_run(workspace, "run-1"))

        judges = [(step.generation, step.position) for step in steps(workspace, "run-1", "judge")]
        assert sorted(judges) == [(generation, place) for generation in (1, 2) for place in (4, 5, 6)]
        assert differences(workspace) == []


def test_a_scan_says_that_a_model_judges_and_how_often_it_would_be_asked(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_one(workspace)

    outlook = scan(workspace, Filters("ours"))
    held_out = len(workspace.scenario("ours").holdout_seeds())
    assert (outlook.baselines, outlook.judge, outlook.verdicts) == ((), "strict", (held_out, 0))
    monkeypatch.chdir(workspace.root.parent)
    assert main(["scan"]) == 0
    said = capsys.readouterr()
    assert said.out == "A model judges (strict): what is reached without training is not known before it is asked.\n"
    assert "A promotion needs 32 cases for comparisons, and there are 15; add cases." in said.err
    assert f"The judge is asked {held_out} times at most for an evaluation." in said.err


def test_a_run_and_its_report_count_the_answers_that_the_judge_was_silent_on_and_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(write(tmp_path / "task"))
    monkeypatch.setenv("STRICT_SILENT", "2")

    assert main(["run", "--generations", "2", "--candidates", "3", "--frontier", "labels"]) == 0
    assert "3 answers stay unjudged: the judge's calls ended with silence ×3." in capsys.readouterr().err
    assert main(["report", "run-1"]) == 0
    assert "3 answers stay unjudged: the judge's calls ended with silence ×3." in capsys.readouterr().out


def test_a_report_shows_the_scores_that_a_model_gave(workspace: Workspace) -> None:
    told = story(workspace, run_one(workspace))

    scores = {step.id: step.score for step in told.steps if step.answer is not None and step.role != "judge"}
    assert set(scores.values()) == {1.0}
    assert told.best == 1.0
    assert all(scores[each.best] == each.score for each in told.generations if each.best is not None)


def test_who_goes_on_with_a_judged_run_shows_the_frontier_what_the_run_has_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = watched(monkeypatch)
    with opened(write(tmp_path / "whole")) as whole:
        run_one(whole)
    undisturbed = dict(shown)
    shown.clear()

    def reached(passed: str) -> None:
        if passed == "generation-decided":
            raise KeyboardInterrupt

    directory = write(tmp_path / "task")
    with suppress(KeyboardInterrupt), opened(directory, reached=reached) as halted:
        run_one(halted)
    with opened(directory) as workspace:
        play(resume_run(workspace, "run-1"))

    assert len(undisturbed["run-1/2/0/1"]) == 3
    assert shown == undisturbed


def test_the_doctor_says_whether_the_judge_could_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = write(tmp_path / "mine")
    hosted = write(tmp_path / "hosted", toml=TOML.replace('"strict"', '"openai"\nmodel = "judge-large"'))
    wrong = write(tmp_path / "wrong", prompt="Good?")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    checks = [{check.name: check for check in doctor(task / ".stepdown")} for task in (mine, hosted, wrong)]
    assert (checks[0]["judge"].good, checks[0]["judge"].finding) == (True, "strict can be asked")
    assert not checks[1]["judge"].good
    assert "OPENAI_API_KEY" in checks[1]["judge"].finding
    assert (checks[2]["task"].good, "judge" in checks[2]) == (False, False)
    assert "has no $answer" in checks[2]["task"].finding
