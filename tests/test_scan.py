"""What history says before anything is trained: how far one answer, the nearest question and a linear choice come."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdown.acts.run import play, start
from stepdown.cli import main
from stepdown.errors import DatasetError, NotFound
from stepdown.training.baselines import BASELINES, Known, constant, linear, nearest
from stepdown.training.records import Filters
from stepdown.views.scan import Scan, scan
from stepdown.workspace import Workspace


def scanned(workspace: Workspace, scenario: str, frontier: str, candidates: int) -> Scan:
    play(start(workspace, scenario, frontier=frontier, generations=1, candidates=candidates))
    return scan(workspace, Filters(scenario))


def mean(found: Scan, name: str) -> float:
    (each,) = [each for each in found.baselines if each.name == name]
    assert each.scores.mean is not None
    return each.scores.mean


def test_where_the_question_decides_its_words_beat_one_answer_for_all(workspace: Workspace) -> None:
    found = scanned(workspace, "tickets", "labels", 80)

    assert found.records == 80
    assert 2 <= found.answers <= 8
    assert mean(found, "linear choice") > mean(found, "one answer for all")
    assert found.baselines[0].gain == max(each.gain for each in found.baselines) > 0
    assert found.cost == 0


def test_where_every_question_has_an_answer_of_its_own_nothing_known_is_right(workspace: Workspace) -> None:
    found = scanned(workspace, "invoices", "extract", 30)

    assert found.answers == found.records
    assert max(mean(found, name) for name in BASELINES) < 0.75, "some currency or date is right by chance, and no more"


def test_in_a_game_one_answer_is_as_good_as_any(workspace: Workspace) -> None:
    found = scanned(workspace, "grid_ctf", "search", 12)

    assert mean(found, "one answer for all") > 0.5
    assert abs(found.baselines[0].gain) < 0.2


def test_nothing_to_look_at_is_a_sentence_and_nothing_is_written(workspace: Workspace) -> None:
    before = sorted(path for path in workspace.root.rglob("*") if path.is_file())
    with pytest.raises(DatasetError, match="No step passes"):
        scan(workspace, Filters("tickets"))
    with pytest.raises(NotFound):
        scan(workspace, Filters("tickets", run="run-9"))
    assert sorted(path for path in workspace.root.rglob("*") if path.is_file()) == before


def test_the_command_prints_it(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    play(start(workspace, "tickets", frontier="labels", generations=1, candidates=10))
    assert main(["scan", "-s", "tickets", "-w", str(workspace.root)]) == 0
    said = capsys.readouterr()
    assert "A promotion asks the frontier 32 to" in said.err
    assert "nearest question" in said.out
    assert main(["scan", "-s", "tickets", "-w", str(workspace.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["held_out"] > 0


TEXTS = st.lists(st.text(max_size=12), min_size=1, max_size=6)


@given(TEXTS, TEXTS, st.data())
def test_every_baseline_answers_every_question_with_something_known(
    prompts: list[str], questions: list[str], data: st.DataObject
) -> None:
    answers = [data.draw(st.sampled_from(["a", "b", "c"])) for _ in prompts]
    known = Known(prompts, answers, [data.draw(st.floats(0, 1)) for _ in prompts])
    for answer in (constant, nearest, linear):
        found = answer(known, questions)
        assert len(found) == len(questions)
        assert set(found) <= set(answers)
        assert found == answer(known, questions), "the same history says the same"


def test_a_question_that_is_known_has_the_answer_that_is_known() -> None:
    known = Known(["where is my parcel", "my invoice is wrong", "the app crashes"], ["p", "i", "t"], [1, 1, 1])
    assert nearest(known, list(known.prompts)) == linear(known, list(known.prompts)) == ["p", "i", "t"]


def test_one_answer_for_all_is_the_one_that_was_right_most() -> None:
    assert constant(Known(["1", "2", "3"], ["a", "a", "b"], [0.1, 0.2, 1.0]), ["?"]) == ["b"]
