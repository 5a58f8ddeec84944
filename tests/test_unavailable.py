"""A frontier that cannot be had now is a fact of the step and a word of the closed list, wherever a bundle could serve."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from journey import attempts, steps
from stepdown.acts import configure
from stepdown.acts.ask import live
from stepdown.acts.init import init
from stepdown.acts.opening import open_workspace
from stepdown.acts.resume import resume_run
from stepdown.acts.run import play, start
from stepdown.cli import main
from stepdown.errors import Unavailable
from stepdown.history import endings, reader, rows
from stepdown.providers.installed import frontier_named
from stepdown.providers.missing import Missing
from stepdown.reports.markdown import render
from stepdown.routing.facts import Facts
from stepdown.views.audit import differences
from stepdown.views.runs import story
from stepdown.workspace import Settings, Workspace

KEYLESS = "openai:large"


@pytest.fixture(autouse=True)
def _without_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def alone(local: Workspace, settings: Settings) -> Iterator[Workspace]:
    """A workspace with a bundle in its slot, whose frontiers are found by their real names."""
    local.close()
    with open_workspace(local.root, settings=replace(settings, frontier=frontier_named)) as opened:
        yield opened
        assert differences(opened) == []


def taken(workspace: Workspace, *, candidates: int = 2) -> tuple[rows.Run, list[rows.Step]]:
    run = play(start(workspace, "grid_ctf", generations=1, candidates=candidates, frontier=KEYLESS))
    return run, steps(workspace, run.id)


def test_a_fit_bundle_serves_while_the_frontier_has_no_key(alone: Workspace) -> None:
    run, recorded = taken(alone)

    (lesson,) = steps(alone, run.id, role="coach")
    assert [(step.served, step.error) for step in recorded] == [("local", None)] * 2
    assert (lesson.served, lesson.error, attempts(alone, lesson)) == (None, "frontier-unavailable", [])
    assert all(Facts.from_json(step.facts).unavailable for step in [*recorded, lesson])
    assert "frontier-unavailable" in render(story(alone, run.id))


def test_a_bundle_that_is_not_fit_has_nobody_behind_it_and_the_run_says_what_to_do(alone: Workspace) -> None:
    configure.set_policy(alone, {"min_score": 1.0})
    run, recorded = taken(alone)

    assert {(step.outcome, step.error) for step in recorded} == {("failed", "frontier-unavailable")}
    assert recorded[0].reason == "quality-below-threshold"
    with alone.reading() as connection:
        ending = endings.last(connection, run.id)
    assert ending is not None
    assert ending.outcome == "failed"
    assert "OPENAI_API_KEY" in (ending.error or "")


def test_a_shadow_is_not_asked_where_nobody_serves(alone: Workspace) -> None:
    configure.set_policy(alone, {"shadow": True})
    _, recorded = taken(alone)

    assert recorded[0].reason == "shadow-only"
    assert attempts(alone, recorded[0]) == []


def test_a_live_question_is_told_that_nobody_could_be_had(alone: Workspace) -> None:
    configure.set_policy(alone, {"min_score": 1.0})
    with live(alone, "grid_ctf", frontier=KEYLESS) as desk:
        response = desk.ask(3)

    assert (response.served, response.error) == (None, "frontier-unavailable")


def test_without_a_bundle_nothing_is_begun(workspace: Workspace, settings: Settings) -> None:
    with (
        open_workspace(workspace.root, settings=replace(settings, frontier=frontier_named)) as opened,
        pytest.raises(Unavailable, match="OPENAI_API_KEY"),
    ):
        start(opened, "grid_ctf", frontier=KEYLESS)
    with workspace.reading() as connection:
        assert reader.count(connection, rows.Run) == 0


def test_a_refused_run_adopts_no_policy_of_its_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init(tmp_path / "task", "tickets")
    monkeypatch.chdir(tmp_path / "task")
    assert main(["run", "--generations", "1", "--candidates", "1", "--frontier", "nosuch"]) == 3
    assert not Path(".stepdown").exists()
    assert main(["bundles", "list"]) == 7
    with open_workspace(Path(".stepdown")):
        pass

    assert main(["run", "--frontier", KEYLESS]) == 2
    with open_workspace(Path(".stepdown")) as opened, opened.reading() as connection:
        assert reader.count(connection, rows.PolicyChange) == 0
    assert main(["run", "--generations", "1", "--candidates", "1"]) == 0
    with open_workspace(Path(".stepdown")) as opened, opened.reading() as connection:
        assert opened.policy(connection)[1].min_score == 0.8


def test_a_step_whose_frontier_can_be_had_says_nothing_of_it(local: Workspace) -> None:
    run = play(start(local, "grid_ctf", generations=1, candidates=1))

    assert all("unavailable" not in step.facts for step in steps(local, run.id))


@pytest.mark.parametrize("edit", ["json_set({}, '$.unavailable', json('true'))", "json_remove({}, '$.unavailable')"])
def test_an_audit_sees_a_step_that_says_otherwise_than_its_run(local: Workspace, settings: Settings, edit: str) -> None:
    word = KEYLESS if "remove" in edit else "search"
    local.close()
    with open_workspace(local.root, settings=replace(settings, frontier=frontier_named)) as opened:
        run = play(start(opened, "grid_ctf", generations=1, candidates=2, frontier=word))
        first = steps(opened, run.id)[0]
        with opened.engine.begin() as connection:
            for table, key in (("step", "id"), ("announcement", "step")):
                connection.exec_driver_sql(f"DROP TRIGGER {table}_update")
                connection.exec_driver_sql(
                    f"UPDATE {table} SET facts = {edit.format('facts')} WHERE {key} = ?", (first.id,)
                )
        assert any("unavailable" in str(difference) for difference in differences(opened))


def test_facts_of_an_earlier_version_say_nothing_of_it(local: Workspace) -> None:
    run = play(start(local, "grid_ctf", generations=1, candidates=1))
    stored = json.loads(json.dumps(steps(local, run.id)[0].facts))

    assert not Facts.from_json(stored).unavailable


def test_a_run_goes_on_when_its_frontier_can_be_had_again(alone: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    configure.set_policy(alone, {"min_score": 1.0})
    run, _ = taken(alone)
    under_way = resume_run(alone, run.id)

    assert isinstance(under_way.frontier, Missing)
    under_way.end("failed", "Nobody could be had again.")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    assert not isinstance(resume_run(alone, run.id).frontier, Missing)
