"""A live question is the same step as a run's; what is said of its answer later is a row of its own, and exported."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from journey import Hands, attempts, discover
from labels import Moods, Oracle
from stepdown.acts import configure, switch
from stepdown.acts.ask import judge, live
from stepdown.acts.export import export
from stepdown.acts.opening import open_workspace
from stepdown.cli import main
from stepdown.errors import DatasetError, InvalidValue, NotFound, Refused
from stepdown.history import reader, rows
from stepdown.scenarios import roles
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.views.runs import story
from stepdown.workspace import Settings, Workspace


@pytest.fixture
def moods(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace of the label task, whose frontier takes several calls at once."""
    made = Settings(
        clock=Hands().clock,
        durability="normal",
        scenario=lambda _name: Moods(),
        frontier=lambda _word, _scenario: Oracle(concurrency=4),
    )
    with open_workspace(tmp_path / "moods", settings=made) as workspace:
        yield workspace


CASE = {"message": "we are furious once more"}


def test_a_question_is_routed_recorded_and_told_to_whoever_asked(moods: Workspace) -> None:
    with live(moods, "moods", frontier="oracle") as desk:
        response = desk.ask(CASE)

    assert (response.value, response.reply, response.served, response.reason) == (
        "anger",
        '"anger"',
        "frontier",
        "bundle-absent",
    )
    with moods.reading() as connection:
        step = reader.served(connection, response.call or "")
    assert step is not None
    assert "message=we are furious once more" in step.prompt
    assert (step.score, step.answer) == (None, '"anger"')
    assert differences(moods) == []
    assert story(moods, step.run).served == {"frontier": 1}


def test_one_of_the_scenarios_own_cases_is_asked_by_its_seed(moods: Workspace) -> None:
    with live(moods, "moods", frontier="oracle") as desk:
        assert desk.ask(7).value == Moods().label(7)

    assert differences(moods) == []


def test_a_question_whose_answer_is_known_is_judged_at_once_and_the_audit_derives_it(moods: Workspace) -> None:
    kept = Moods().holdout_seeds()[0]
    with live(moods, "moods", frontier="oracle") as desk:
        by_seed, by_case, foreign = desk.ask(7), desk.ask(dict(Moods().observation(kept))), desk.ask(CASE)

    assert (by_seed.score, by_case.score, foreign.score) == (1.0, 1.0, None)
    assert differences(moods) == []
    with moods.writing() as connection:
        names = [row[0] for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in names:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.exec_driver_sql("UPDATE step SET score = 0.5 WHERE score IS NULL")
    assert any(difference.where == foreign.step for difference in differences(moods))


def test_a_judgement_that_arrives_late_is_exported_like_any_score_and_the_last_word_counts(moods: Workspace) -> None:
    with live(moods, "moods", frontier="oracle") as desk:
        responses = [desk.ask({"message": f"{word} again"}) for word in ("happy", "sad", "wow")]
    with pytest.raises(DatasetError, match="No step passes"):
        export(moods, Filters("moods"))
    judge(moods, responses[0].call or "", 1.0, by="zoe", why="right")
    judge(moods, responses[1].call or "", 1.0, by="zoe")
    judge(moods, responses[1].call or "", 0.0, by="ada", why="no")

    dataset = export(moods, Filters("moods", min_score=0.5))

    records = [json.loads(line) for path in dataset.path.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert [(record["completion"], record["score"]) for record in records] == [('"joy"', 1.0)]
    assert differences(moods) == []


def test_questions_from_several_threads_are_steps_of_one_run(moods: Workspace) -> None:
    with live(moods, "moods", frontier="oracle") as desk, ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda number: desk.ask({"message": f"happy {number}"}), range(24)))

    assert {response.value for response in responses} == {"joy"}
    assert len({response.step for response in responses}) == 24
    assert differences(moods) == []


def test_local_answers_a_live_question_when_it_may(local: Workspace) -> None:
    with live(local, "grid_ctf") as desk:
        response = desk.ask({"enemy_spawn_bias": 0.4, "resource_density": 0.6})

    assert (response.served, response.reason) == ("local", None)
    with local.reading() as connection:
        step = reader.served(connection, response.call or "")
    assert step is not None
    assert attempts(local, step)[0].weights_digest is not None
    assert differences(local) == []


def test_a_case_of_other_names_is_refused_with_those_that_there_are(local: Workspace) -> None:
    for case in ({}, {"enemy_spawn_bias": 0.4}, {"enemy_spawn_bas": 0.4, "resource_density": 0.6}):
        with (
            live(local, "grid_ctf") as desk,
            pytest.raises(InvalidValue, match="has enemy_spawn_bias, resource_density"),
        ):
            desk.ask(case)


@pytest.mark.parametrize(
    "text",
    [
        '{"enemy_spawn_bias": 0.5}',
        '{"a": 1, "a": 2}',
        '{"enemy_spawn_bias": NaN, "resource_density": 1}',
        "[]",
        "9" * 5000,
    ],
)
def test_a_case_that_is_none_makes_no_workspace(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", text, "-w", str(tmp_path / "w")]) == 2
    assert "case" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_judgement_is_refused_and_nothing_is_recorded(moods: Workspace) -> None:
    with live(moods, "moods", frontier="oracle") as desk:
        call = desk.ask(CASE).call or ""
    for score in (-0.1, 1.1, float("nan"), True):
        with pytest.raises(InvalidValue, match="from 0 to 1"):
            judge(moods, call, score)
    with pytest.raises(NotFound, match="No step was served"):
        judge(moods, "run-9/1/0/1", 1.0)
    with pytest.raises(InvalidValue, match="who did it"):
        judge(moods, call, 1.0, by=" ")

    with moods.reading() as connection:
        assert reader.count(connection, rows.GivenScore) == 0


def test_a_case_that_cannot_be_asked_is_refused(moods: Workspace) -> None:
    with live(moods, "moods", frontier="oracle") as desk, pytest.raises(InvalidValue, match="no JSON object"):
        desk.ask({"message": {1, 2}})

    class ByseedOnly(Moods):
        def roles(self) -> list[roles.Role]:
            (first, coach) = roles.roles(Moods()).values()
            return [replace(first, words=None), coach]

    moods.settings = replace(moods.settings, scenario=lambda _name: ByseedOnly())
    with live(moods, "moods", frontier="oracle") as desk, pytest.raises(Refused, match="by seed only"):
        desk.ask(CASE)


def test_a_judgement_of_an_answer_that_nobody_was_given_is_found(moods: Workspace) -> None:
    with live(moods, "moods", frontier="oracle") as desk:
        call = desk.ask(CASE).call or ""
    judge(moods, call, 1.0, by="zoe")
    with moods.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER judgement_update")
        connection.exec_driver_sql("UPDATE judgement SET score = 2")

    assert [found.where for found in differences(moods)] == [f"judgement of {call}"]


def test_a_policy_that_forbids_the_frontier_forbids_it_to_live_questions_too(workspace: Workspace) -> None:
    configure.set_policy(workspace, {"mode": "local-only"})
    with live(workspace, "grid_ctf") as desk:
        response = desk.ask(3)

    assert (response.value, response.served, response.error) == (None, None, "frontier-forbidden")
    discover(workspace)
    assert differences(workspace) == []


def test_a_bundle_switched_off_serves_no_live_question(local: Workspace) -> None:
    with local.reading() as connection:
        bundle = reader.bundles(connection)[0].id
    switch.disable(local, bundle)
    with live(local, "grid_ctf") as desk:
        assert desk.ask(3).reason == "bundle-disabled"
