"""A bundle was measured with the knowledge of then, and whoever reads how good it is reads that prompts have other by now."""

from pathlib import Path

import pytest

from journey import active, discover, steps
from stepdown.acts.localize import evaluate
from stepdown.cli import main
from stepdown.history import reader, rows
from stepdown.providers import trace
from stepdown.reports.markdown import render
from stepdown.views import bundles
from stepdown.views.audit import differences
from stepdown.views.route import explain
from stepdown.views.runs import story
from stepdown.workspace import Workspace


def lessons(workspace: Workspace) -> int:
    with workspace.reading() as connection:
        return reader.count(connection, rows.Lesson)


def outdated(workspace: Workspace) -> set[str]:
    """Return what is said of the active bundle, by everybody who says how good it is."""
    (entry,) = bundles.shelf(workspace)
    return {entry.outdated, explain(workspace, "grid_ctf").outdated}


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
    assert said in capsys.readouterr().err

    evaluate(local, active(local).id)
    assert outdated(local) == {""}
    assert differences(local) == []


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
