"""A bundle was measured with the knowledge of then, and whoever reads how good it is reads that prompts have other by now."""

import json
from pathlib import Path

import pytest

from edits import Forger
from journey import active, discover, steps
from stepdown.acts import configure
from stepdown.acts.localize import evaluate
from stepdown.acts.promote import promote
from stepdown.cli import main
from stepdown.history import reader, rows
from stepdown.providers import trace
from stepdown.reports.markdown import render
from stepdown.training.promotion import Trial
from stepdown.views import bundles
from stepdown.views.audit import differences
from stepdown.views.route import explain_route
from stepdown.views.runs import story
from stepdown.workspace import Workspace

OLDER = ("age", "score", "valid", "coverage", "bundle")
"""Facts that are written where nothing is known of them."""


def lessons(workspace: Workspace) -> int:
    with workspace.reading() as connection:
        return reader.count(connection, rows.Lesson)


def outdated(workspace: Workspace) -> set[str]:
    """Return what is said of the active bundle, by everybody who says how good it is."""
    (entry,) = bundles.shelf(workspace)
    return {entry.outdated, explain_route(workspace, "grid_ctf").outdated}


def test_a_bundle_measured_with_other_knowledge_is_named_until_it_is_measured_anew(
    local: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outdated(local) == {""}
    run = discover(local, seed=3, generations=2, candidates=2)
    assert [step.served for step in steps(local, run.id)] == ["local"] * 4
    assert lessons(local) > 1

    (said,) = outdated(local)
    assert "with knowledge 1, and prompts have knowledge" in said
    assert said in render(story(local, run.id))
    assert main(["bundles", "list", "-w", str(local.root)]) == 0
    assert said.partition("` measures")[0] in capsys.readouterr().err

    evaluate(local, active(local).id)
    assert outdated(local) == {""}
    assert differences(local) == []


def test_an_evaluation_lapses_when_more_lessons_lie_between_than_allowed_and_counts_again_when_it_is_made_anew(
    local: Workspace,
) -> None:
    configure.set_policy(local, {"max_lessons": 2})
    run = discover(local, seed=3, generations=5, candidates=2)

    then = steps(local, run.id)
    assert {step.reason for step in then} == {None, "quality-outdated"}
    assert [step.served == "local" for step in then] == [step.knowledge <= 1 + 2 for step in then]
    told = {gate.name: (gate.objection, gate.facts) for gate in explain_route(local, "grid_ctf").gates}
    assert told["lessons"] == (
        "quality-outdated",
        {"evaluated": True, "lessons": lessons(local) - 1, "max_lessons": 2.0},
    )
    assert "quality-outdated" in render(story(local, run.id))

    evaluate(local, active(local).id)
    assert explain_route(local, "grid_ctf").serves == "local"
    assert differences(local) == []


def test_a_promotion_measures_anew_what_would_not_serve_for_its_lessons(local: Workspace) -> None:
    discover(local, seed=3, generations=3, candidates=2)
    configure.set_policy(local, {"max_lessons": 1})
    assert explain_route(local, "grid_ctf").reason == "quality-outdated"

    promote(local, active(local).id, trial=Trial(margin=0.5, budget=16, look=8))

    assert explain_route(local, "grid_ctf").serves == "local"


@pytest.mark.parametrize("limit", [0, "0", "inf", 2.5])
def test_no_lesson_at_all_and_no_limit_can_be_meant(local: Workspace, limit: object) -> None:
    configure.set_policy(local, {"max_lessons": limit})
    assert explain_route(local, "grid_ctf").serves == "local"
    discover(local, seed=3, generations=1, candidates=2)
    assert (explain_route(local, "grid_ctf").reason == "quality-outdated") is (limit in (0, "0"))
    assert differences(local) == []


@pytest.mark.parametrize(
    "forged",
    [
        {"lessons": 0},
        {"lessons": None},
        {"lessons": 3, "evaluated": False, "score": None, "valid": None},
        {"max_lessons": "inf"},
        {"max_lessons": 3.0},
        {"lessons": None, "max_lessons": "inf"},
    ],
)
def test_a_number_of_lessons_that_is_forged_alike_in_step_and_announcement_is_told(
    local: Workspace, forged: dict[str, object]
) -> None:
    discover(local, seed=3, generations=3, candidates=2)
    assert differences(local) == []
    with local.reading() as connection:
        last = [step for step in reader.all_of(connection, rows.Step) if step.role == "competitor"][-1]
    facts = {name: value for name, value in (last.facts | forged).items() if value is not None or name in OLDER}
    if forged.get("lessons", 0) is None and forged.get("max_lessons") == "inf":
        del facts["max_lessons"]  # As an earlier version would have written them.
    seal = Forger(local.root / "stepdown.db")
    numbers = [
        (table, number)
        for table, key in (("step", "id"), ("announcement", "step"))
        for (number,) in seal.rows(f"SELECT seq FROM {table} WHERE {key} = '{last.id}'")
    ]

    with seal.changed(*((table, "facts", number, json.dumps(facts)) for table, number in numbers)):
        assert last.id in {found.where for found in differences(local)}
    seal.close()


def test_every_evaluation_has_one_line_a_batch_in_the_trace(local: Workspace, tmp_path: Path) -> None:
    again = [evaluate(local, active(local).id) for _ in range(2)]

    lines = [line for line in trace.lines(local.trace) if line.event == "batch"]
    assert [line.call for line in lines] == [row.call for row in again[:1]] * len(lines)
    assert len(lines) == 3
    assert {line.size for line in lines} == {again[0].seeds}


def test_an_evaluation_whose_line_is_gone_from_the_trace_is_told(local: Workspace) -> None:
    with local.reading() as connection:
        (first,) = reader.all_of(connection, rows.Evaluation)
    assert first.call is not None
    kept = local.trace.read_text("utf-8")
    local.trace.write_text("".join(line for line in kept.splitlines(keepends=True) if '"batch"' not in line), "utf-8")

    assert [found.where for found in differences(local)] == [first.id]
