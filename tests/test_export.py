"""An export is a function of committed rows: these records, these bytes, and nothing of any other row."""

import json
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import FRONTIER, SCENARIO, Hands, active, compete, count, discover, move, steps, tape
from stepdown.acts.datasets import ExportedDataset, opened
from stepdown.acts.export import export
from stepdown.acts.opening import open_workspace
from stepdown.digest import digest
from stepdown.errors import DatasetError, InvalidValue, NotFound, WorkspaceError
from stepdown.history import ledger, reader, rows
from stepdown.training.records import Filters, Split
from stepdown.workspace import Settings, Workspace


def records(dataset: ExportedDataset, *names: str) -> list[dict[str, Any]]:
    """Return the records of a dataset's files."""
    files = [dataset.path / name for name in names or ("train.jsonl", "valid.jsonl")]
    return [json.loads(line) for path in files if path.exists() for line in path.read_bytes().splitlines()]


def text_of(dataset: ExportedDataset) -> str:
    """Return all that a dataset's files say."""
    return "".join(path.read_text("utf-8") for path in sorted(dataset.path.iterdir()))


@pytest.fixture(scope="module")
def runs(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one run whose eight candidates are half illegal, and one run of the search."""
    root = Path(shutil.copytree(empty, tmp_path_factory.mktemp("runs") / "workspace"))
    with open_workspace(root, settings=Settings(clock=Hands().clock)) as opened:
        discover(opened, candidates=8, frontier=f"recorded:{FRONTIER}")
        discover(opened, seed=1, generations=3, candidates=3)
    return root


@pytest.fixture
def mixed(runs: Path, tmp_path: Path, settings: Settings) -> Iterator[Workspace]:
    """A copy of that workspace."""
    shutil.copytree(runs, tmp_path / "mixed")
    with open_workspace(tmp_path / "mixed", settings=settings) as opened:
        yield opened


def test_every_served_legal_strategy_is_one_record_with_its_own_score_and_no_other(mixed: Workspace) -> None:
    found = {record["step"]: record for record in records(export(mixed, Filters(SCENARIO)))}

    wanted = [step for run in ("run-1", "run-2") for step in steps(mixed, run) if step.answer is not None]
    assert found.keys() == {step.id for step in wanted}
    for step in wanted:
        record = found[step.id]
        assert (record["prompt"], record["completion"], record["score"]) == (step.prompt, step.answer, step.score)
        assert record["knowledge"]["version"] == step.knowledge
        assert record["served"]["target"] == "frontier"


def test_no_prompt_contains_its_label_or_any_score(mixed: Workspace) -> None:
    found = records(export(mixed, Filters(SCENARIO)))

    for record in found:
        assert record["completion"] not in record["prompt"]
        for other in found:
            assert str(other["score"]) not in record["prompt"]


def test_nothing_of_a_failed_or_excluded_row_appears_anywhere(mixed: Workspace) -> None:
    dataset = export(mixed, Filters(SCENARIO, min_score=0.8, matches=True))
    kept = {record["step"] for record in records(dataset)}
    said = text_of(dataset)

    left_out = [step for run in ("run-1", "run-2") for step in steps(mixed, run) if step.id not in kept]
    assert any(step.outcome == "failed" for step in left_out)
    assert any(step.score is not None and step.score < 0.8 for step in left_out)
    remaining = {record["completion"] for record in records(dataset)}
    for step in left_out:
        assert f'"{step.id}"' not in said
        assert step.answer is None or step.answer in remaining or step.answer not in said
        assert step.score is None or f'"score":{step.score},' not in said
    for refused in ("push hard", "1.2}", '0.9,\\"defense\\":0.6,'):
        assert refused not in said


def test_the_same_rows_give_the_same_bytes(mixed: Workspace) -> None:
    first = export(mixed, Filters(SCENARIO, matches=True))
    said = {path.name: path.read_bytes() for path in first.path.iterdir()}
    again = export(mixed, Filters(SCENARIO, matches=True))

    assert again == first
    assert {path.name: path.read_bytes() for path in again.path.iterdir()} == said
    assert count(mixed, rows.Dataset) == 1
    assert [path.name for path in (mixed.root / "datasets").iterdir()] == [first.digest]


def test_a_damaged_export_is_written_again(mixed: Workspace) -> None:
    first = export(mixed, Filters(SCENARIO))
    (first.path / "train.jsonl").write_text("{}")
    (first.path / "more").write_text("")

    assert export(mixed, Filters(SCENARIO)) == first
    assert opened(first.path)[0] == first


def test_no_strategy_stands_on_both_sides(mixed: Workspace) -> None:
    dataset = export(mixed, Filters(SCENARIO))
    train, valid = (
        {record["completion"] for record in records(dataset, f"{side}.jsonl")} for side in ("train", "valid")
    )

    assert train
    assert valid
    assert not train & valid
    assert (dataset.train, dataset.valid) == (
        len(records(dataset, "train.jsonl")),
        len(records(dataset, "valid.jsonl")),
    )


@given(st.lists(st.text(min_size=1), min_size=2, unique=True))
def test_two_contents_are_enough_for_two_sides_and_each_has_one(contents: list[str]) -> None:
    keys = sorted(map(digest, contents))
    split = Split(keys[0], keys[-1])
    sides = {key: split.validates(key) for key in keys}

    assert set(sides.values()) == {True, False}
    # The ends of the list decide two places only: with one content more, at most four places change.
    wider = Split(min(keys[0], digest("one more")), max(keys[-1], digest("one more")))
    assert sum(wider.validates(key) is not side for key, side in sides.items()) <= 4


def test_one_strategy_alone_trains(workspace: Workspace, tmp_path: Path) -> None:
    discover(workspace, candidates=3, frontier=f"recorded:{tape(tmp_path / 'tape', [move(0.5, 0.5, 0.5)])}")
    dataset = export(workspace, Filters(SCENARIO))

    assert (dataset.train, dataset.valid) == (3, 0)


def test_a_filter_by_run_takes_that_run_only(mixed: Workspace) -> None:
    dataset = export(mixed, Filters(SCENARIO, run="run-2"))

    assert {record["step"].split("/")[0] for record in records(dataset)} == {"run-2"}
    assert json.loads((dataset.path / "manifest.json").read_bytes())["runs"] == {"run-2": dataset.records}


def test_a_least_score_is_inclusive(mixed: Workspace) -> None:
    scores = sorted({record["score"] for record in records(export(mixed, Filters(SCENARIO)))})
    middle = scores[len(scores) // 2]

    assert min(record["score"] for record in records(export(mixed, Filters(SCENARIO, min_score=middle)))) == middle


def test_kept_only_takes_what_the_gate_kept(mixed: Workspace) -> None:
    found = records(export(mixed, Filters(SCENARIO, kept_only=True)))

    with mixed.reading() as connection:
        advanced = [g for g in reader.all_of(connection, rows.Generation) if g.decision == "advance"]
    assert {record["step"] for record in found} == {generation.best for generation in advanced}
    assert {record["decision"] for record in found} == {"advance"}


def test_replies_of_local_models_are_left_out_unless_asked_for(local: Workspace) -> None:
    step = compete(local, seed=9)
    assert step.served == "local"

    assert step.id not in {record["step"] for record in records(export(local, Filters(SCENARIO)))}
    (record,) = (r for r in records(export(local, Filters(SCENARIO, include_local=True))) if r["step"] == step.id)
    assert record["served"]["target"] == "local"
    assert record["served"]["digest"] == active(local).weights


def test_matches_are_those_of_the_records(mixed: Workspace) -> None:
    dataset = export(mixed, Filters(SCENARIO, min_score=0.8, matches=True))
    matches = records(dataset, "matches.jsonl")

    assert len(matches) == 8 * dataset.records
    assert {match["step"] for match in matches} == {record["step"] for record in records(dataset)}


def test_an_unknown_run_scenario_or_an_empty_result_is_an_error_and_leaves_nothing(mixed: Workspace) -> None:
    for filters, error, kind in (
        (Filters(SCENARIO, run="run-404"), NotFound, "unknown-run"),
        (Filters("chess"), NotFound, "unknown-scenario"),
        (Filters(SCENARIO, min_score=1.0), DatasetError, "no-records"),
    ):
        with pytest.raises(error) as refusal:
            export(mixed, filters)
        assert refusal.value.kind == kind
    assert list((mixed.root / "datasets").iterdir()) == []
    assert count(mixed, rows.Dataset) == 0


def test_a_workspace_without_a_run_has_nothing_to_export(workspace: Workspace) -> None:
    with pytest.raises(DatasetError, match="discover more"):
        export(workspace, Filters(SCENARIO))


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.1, float("inf")])
def test_a_least_score_out_of_range_is_refused(score: float) -> None:
    with pytest.raises(InvalidValue, match="min_score") as refusal:
        Filters(SCENARIO, min_score=score)

    assert refusal.value.kind == "filter-out-of-range"
    assert [Filters(SCENARIO, min_score=end).min_score for end in (0.0, 1.0)] == [0.0, 1.0]


def test_a_directory_that_cannot_be_written_is_a_sentence(mixed: Workspace) -> None:
    (mixed.root / "datasets").rmdir()
    (mixed.root / "datasets").write_text("a file in the way")

    with pytest.raises(WorkspaceError, match="cannot be written"):
        export(mixed, Filters(SCENARIO))


SPOILERS: dict[str, Any] = {
    "missing": lambda path: (path / "train.jsonl").unlink(),
    "extra": lambda path: (path / "notes.txt").write_text("x"),
    "changed": lambda path: (path / "train.jsonl").write_text("{}\n"),
    "no manifest": lambda path: (path / "manifest.json").unlink(),
    "no text": lambda path: (path / "manifest.json").write_bytes(b"\xff\xfe"),
    "a list": lambda path: (path / "manifest.json").write_text("[]"),
    "nothing": lambda path: (path / "manifest.json").write_text("{}"),
    "no counts": lambda path: (path / "manifest.json").write_text('{"files":{"train.jsonl":{}}}'),
}


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_dataset_that_is_not_the_one_it_says_is_refused(mixed: Workspace, spoil: str) -> None:
    dataset = export(mixed, Filters(SCENARIO))
    SPOILERS[spoil](dataset.path)

    with pytest.raises(DatasetError, match="export it again"):
        opened(dataset.path)


LOADER = """
import sys, types
from mlx_lm.tuner.datasets import load_local_dataset
class Tokenizer:
    eos_token_id = 0
    def apply_chat_template(self, messages, **_):
        return list("".join(m["content"] for m in messages).encode())
train, valid, _ = load_local_dataset(__import__("pathlib").Path(sys.argv[1]), Tokenizer(), types.SimpleNamespace())
print(type(train).__name__, len(train), len(valid), len(train.process(train[0])[0]))
"""


def test_mlx_lms_own_loader_reads_it(mixed: Workspace) -> None:
    dataset = export(mixed, Filters(SCENARIO))
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(dataset.path)], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stderr
    kind, train, valid, tokens = done.stdout.split()
    assert (kind, int(train), int(valid)) == ("CompletionsDataset", dataset.train, dataset.valid)
    first = records(dataset, "train.jsonl")[0]
    assert int(tokens) == len((first["prompt"] + first["completion"]).encode())


def multiply(workspace: Workspace, copies: range) -> None:
    """Append copies of the first run, as a long history would have them."""
    with workspace.writing() as connection:
        (run, *_) = reader.all_of(connection, rows.Run)
        found = [step for step in reader.steps(connection, run.id) if step.answer is not None]
        by_step = {attempt.step: attempt for attempt in reader.attempts(connection, run.id)}
        announced = {call.call: call for call in reader.all_of(connection, rows.Announcement)}
        for name in (f"copy-{number}" for number in copies):
            ledger.append(connection, replace(run, id=name))
            for step in found:
                attempt = by_step[step.id]
                here = {"step": f"{name}/{step.id}"}
                call = f"{name}/{attempt.call}"
                ledger.append(connection, replace(announced[attempt.call], call=call, run=name, **here))
                ledger.append(connection, replace(step, id=here["step"], run=name, served_call=call))
                ledger.append(connection, replace(attempt, call=call, **here))


def peak(workspace: Workspace) -> int:
    """Return the most bytes that an export holds at one time."""
    tracemalloc.start()
    export(workspace, Filters(SCENARIO))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_history(workspace: Workspace) -> None:
    discover(workspace, generations=2, candidates=8)
    multiply(workspace, range(18))
    peak(workspace)  # What is imported and compiled once is not of this question.
    some = peak(workspace)
    multiply(workspace, range(18, 60))

    assert peak(workspace) < some + 100_000
