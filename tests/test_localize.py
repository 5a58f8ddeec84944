"""Training is a real child; what it leaves is a whole bundle with a true promise, or nothing and a sentence."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from journey import SCENARIO, SMALL, Hands, Scouted, active, compete, count, scouted, steps
from stepdown.acts import configure, switch
from stepdown.acts.datasets import ExportedDataset, find_dataset
from stepdown.acts.datasets import opened as opened_dataset
from stepdown.acts.localize import evaluate, localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.acts.run import play, start
from stepdown.bundles.disk import Condition, look
from stepdown.digest import sha256
from stepdown.errors import DatasetError, InvalidValue, NotFound, Refused, StepdownError, TrainingFailed, WorkspaceError
from stepdown.history import ledger, reader, rows
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.training.decoding import Decoding
from stepdown.training.evaluation import summarize
from stepdown.training.job import Progress
from stepdown.training.plan import Plan
from stepdown.training.promotion import Trial
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace

LONG = Plan.tiny(iterations=1_000_000)


@pytest.fixture
def dataset(workspace: Workspace, handed_down: Path) -> ExportedDataset:
    """The dataset that the handed-down bundle was trained on, in a workspace without a bundle."""
    with open_workspace(handed_down) as opened:
        found = find_dataset(opened, active(opened).dataset)
    made, _ = opened_dataset(Path(shutil.copytree(found, workspace.root / "datasets" / found.name)))
    with workspace.writing() as connection:
        ledger.append(connection, rows.Dataset(made.digest, SCENARIO, {}, made.records, workspace.now()))
    return made


def is_untouched(workspace: Workspace) -> bool:
    """Nothing was kept of a training that failed."""
    rooms = [list((workspace.root / room).iterdir()) for room in ("jobs", "bundles")]
    return rooms == [[], []] and count(workspace, rows.Bundle) == count(workspace, rows.Evaluation) == 0


def test_a_bundle_promises_what_it_was_made_of(workspace: Workspace, dataset: ExportedDataset, hands: Hands) -> None:
    trained = localize(workspace, dataset.path, plan=SMALL)

    directory = workspace.bundle_directory(trained.bundle.id)
    promise = json.loads((directory / "manifest.json").read_bytes())
    assert look(directory, trained.bundle.id).condition is Condition.WHOLE
    assert promise["dataset"] == dataset.digest == trained.bundle.dataset
    assert promise["plan"] == json.loads(SMALL.to_json())
    assert promise["trained_at"] == hands.instant.isoformat()
    assert {"mlx", "blas"} <= promise["backend"].keys()
    assert trained.bundle.weights == sha256((directory / "model.safetensors").read_bytes())
    assert list((workspace.root / "jobs").iterdir()) == []


def test_an_evaluation_keeps_every_held_out_reply(local: Workspace) -> None:
    with local.reading() as connection:
        (evaluation,) = reader.all_of(connection, rows.Evaluation)
        replies = reader.all_of(connection, rows.Holdout)

    assert tuple(reply.seed for reply in replies) == tuple(GridCtf().holdout_seeds())
    assert (evaluation.seeds, evaluation.valid) == (64, 1.0)
    assert summarize([r.score for r in replies], [r.legal for r in replies]).lower == evaluation.lower


def test_an_equal_job_is_not_trained_twice(workspace: Workspace, dataset: ExportedDataset) -> None:
    first = localize(workspace, dataset.path, plan=SMALL)
    again = localize(workspace, dataset.path, plan=replace(SMALL))

    assert (first.reused, again.reused) == (False, True)
    assert again.bundle == first.bundle
    assert count(workspace, rows.Bundle) == 1


def test_a_bundle_is_trained_for_the_role_that_its_dataset_teaches_and_for_no_other(
    local: Workspace, settings: Settings
) -> None:
    path = local.root / "datasets" / active(local).dataset
    before = count(local, rows.Bundle)
    with pytest.raises(Refused, match="roles that are judged: competitor"):
        localize(local, path, plan=SMALL, role="coach")
    with pytest.raises(NotFound, match="no role 'nosuch'; choose one of competitor, coach"):
        localize(local, path, plan=SMALL, role="nosuch")
    two = replace(settings, scenario=lambda _name: Scouted())
    with open_workspace(local.root, settings=two) as workspace, pytest.raises(DatasetError, match="teaches the role"):
        localize(workspace, path, plan=SMALL, role="scout")

    assert count(local, rows.Bundle) == before


def test_a_second_judged_role_is_trained_evaluated_compared_and_served(local: Workspace, settings: Settings) -> None:
    local.close()
    trained = scouted(local.root, settings)
    two = replace(settings, scenario=lambda _name: Scouted())
    with open_workspace(local.root, settings=two) as workspace:
        assert (trained.bundle.role, trained.evaluation.valid) == ("scout", 1.0)
        verdict = promote(workspace, trained.bundle.id, trial=Trial(budget=16, look=8), frontier="search")
        assert verdict.bundle == trained.bundle.id
        configure.set_policy(workspace, {"local_roles": ["scout"], "min_score": 0.5})
        switch.activate(workspace, trained.bundle.id, forced=True)
        run = play(start(workspace, SCENARIO, generations=1, candidates=2, role="scout"))

        assert [(step.role, step.served) for step in steps(workspace, run.id, "scout")] == [("scout", "local")] * 2
        assert differences(workspace) == []


def test_a_damaged_bundle_is_trained_again_and_serves_again(local: Workspace) -> None:
    held = active(local)
    (local.bundle_directory(held.id) / "config.json").unlink()
    assert compete(local).reason == "bundle-integrity"

    again = localize(local, local.root / "datasets" / held.dataset, plan=SMALL)
    assert not again.reused
    assert again.bundle.weights == held.weights
    switch.activate(local, again.bundle.id, forced=True)
    assert compete(local).served == "local"
    assert differences(local) == []


def test_training_afresh_really_trains_and_demands_the_same_weights(local: Workspace) -> None:
    seen: list[Progress] = []
    held = active(local)
    path = local.root / "datasets" / held.dataset
    again = localize(local, path, plan=SMALL, fresh=True, watch=seen.append)

    assert again.bundle == held
    assert seen[-1].iteration == SMALL.iterations
    assert count(local, rows.Bundle) == 1


def test_weights_that_cannot_be_made_again_are_named(
    workspace: Workspace, dataset: ExportedDataset, tmp_path: Path
) -> None:
    cache = tmp_path / "poisoned"
    poisoned = replace(workspace.settings, cache=cache)
    with open_workspace(workspace.root, settings=poisoned) as opened:
        honest = localize(opened, dataset.path, plan=Plan.tiny(seed=1))
        (kept,) = cache.iterdir()
        shutil.copy(next(cache.glob("*/model.safetensors")), tmp_path / "other")
        switch.delete(opened, honest.bundle.id)
        data = bytearray((tmp_path / "other").read_bytes())
        data[-1] ^= 1
        (kept / "model.safetensors").write_bytes(data)
        localize(opened, dataset.path, plan=Plan.tiny(seed=1))
        with pytest.raises(TrainingFailed) as failure:
            localize(opened, dataset.path, plan=Plan.tiny(seed=1), fresh=True)
    assert failure.value.kind == "not-reproducible"


def child(workspace: Workspace) -> int:
    """Return the process id of the training under way."""
    found = subprocess.run(
        ["pgrep", "-f", f"stepdown.local.fit.*{workspace.root}/jobs"], capture_output=True, text=True, check=True
    )
    return int(found.stdout.split()[0])


def test_a_killed_child_is_a_sentence_and_nothing_else(workspace: Workspace, dataset: ExportedDataset) -> None:
    def kill(_progress: Progress) -> None:
        os.kill(child(workspace), signal.SIGKILL)

    with pytest.raises(TrainingFailed, match="killed by SIGKILL"):
        localize(workspace, dataset.path, plan=LONG, watch=kill)
    assert is_untouched(workspace)


def test_a_hanging_child_is_stopped_at_its_time_limit(workspace: Workspace, dataset: ExportedDataset) -> None:
    stopped: list[int] = []

    def hang(_progress: Progress) -> None:
        if not stopped:
            stopped.append(child(workspace))
            os.kill(stopped[0], signal.SIGSTOP)

    with pytest.raises(TrainingFailed, match="took more than 2 s") as failure:
        localize(workspace, dataset.path, plan=LONG, time_limit=2.0, watch=hang)
    assert failure.value.kind == "training-timeout"
    assert is_untouched(workspace)
    with pytest.raises(ProcessLookupError):
        os.kill(stopped[0], 0)


def test_whoever_stops_the_parent_stops_the_child(workspace: Workspace, dataset: ExportedDataset) -> None:
    running: list[int] = []

    def interrupt(_progress: Progress) -> None:
        running.append(child(workspace))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        localize(workspace, dataset.path, plan=LONG, watch=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(running[0], 0)
    assert is_untouched(workspace)


def test_the_childs_last_words_are_in_the_error(workspace: Workspace, dataset: ExportedDataset) -> None:
    with pytest.raises(TrainingFailed, match=r"ended with 5: .*window holds 16; widen") as failure:
        localize(workspace, dataset.path, plan=Plan.tiny(window=16))
    assert "\n" not in str(failure.value)
    assert is_untouched(workspace)


@pytest.mark.parametrize("limit", [float("nan"), -1.0, float("inf")])
def test_a_time_limit_that_is_none_is_refused(workspace: Workspace, dataset: ExportedDataset, limit: float) -> None:
    with pytest.raises(InvalidValue, match="time limit"):
        localize(workspace, dataset.path, time_limit=limit)
    assert is_untouched(workspace)


def rewritten(dataset: ExportedDataset, directory: Path, changes: dict[str, object]) -> Path:
    """Return a copy of a dataset whose manifest says something else, and hashes to what it says."""
    shutil.copytree(dataset.path, directory)
    stored = json.loads((directory / "manifest.json").read_bytes())
    (directory / "manifest.json").write_text(json.dumps({**stored, **changes}))
    return directory


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt_format": 99}, DatasetError),
        ({"scenario": None}, DatasetError),
        ({"scenario": "chess"}, NotFound),
        ({"files": {}}, DatasetError),
        ({"files": []}, DatasetError),
    ],
)
def test_a_foreign_dataset_is_refused_before_any_child_starts(
    workspace: Workspace,
    dataset: ExportedDataset,
    tmp_path: Path,
    changes: dict[str, object],
    error: type[StepdownError],
) -> None:
    with pytest.raises(error):
        localize(workspace, rewritten(dataset, tmp_path / "other", changes), plan=LONG)
    assert is_untouched(workspace)


@pytest.mark.parametrize("line", ["no json\n", "{}\n", '{"prompt":"p"}\n', '{"prompt":"","completion":"c"}\n', "\xff"])
def test_a_malformed_line_is_named_by_the_child(
    workspace: Workspace, dataset: ExportedDataset, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "other"
    shutil.copytree(dataset.path, path)
    with (path / "train.jsonl").open("ab") as file:
        file.write(line.encode("latin-1"))
    stored = json.loads((path / "manifest.json").read_bytes())
    stored["files"]["train.jsonl"]["sha256"] = sha256((path / "train.jsonl").read_bytes())
    (path / "manifest.json").write_text(json.dumps(stored))

    with pytest.raises(TrainingFailed, match=r"train\.jsonl"):
        localize(workspace, path, plan=SMALL)
    assert is_untouched(workspace)


def test_a_dataset_is_found_by_the_beginning_of_its_digest_and_no_other_way(
    workspace: Workspace, dataset: ExportedDataset
) -> None:
    assert find_dataset(workspace, dataset.digest[:8]) == dataset.path
    assert find_dataset(workspace, dataset.path) == dataset.path
    for name in ("ffff", "*", "../datasets", "nothing here"):
        with pytest.raises(NotFound):
            find_dataset(workspace, name)


def test_a_bundle_that_cannot_be_written_is_a_sentence(workspace: Workspace, dataset: ExportedDataset) -> None:
    (workspace.root / "bundles").rmdir()
    (workspace.root / "bundles").write_text("in the way")
    try:
        with pytest.raises(WorkspaceError, match="Nothing was kept"):
            localize(workspace, dataset.path, plan=SMALL)
    finally:
        (workspace.root / "bundles").unlink()
        (workspace.root / "bundles").mkdir()
    assert is_untouched(workspace)


@pytest.fixture
def warmer(local: Workspace, settings: Settings) -> Iterator[Workspace]:
    """The same workspace, decoding otherwise."""
    with open_workspace(local.root, settings=replace(settings, decoding=Decoding(temperature=0.1))) as opened:
        yield opened


def test_an_evaluation_counts_only_for_the_decoding_it_was_made_with(warmer: Workspace) -> None:
    assert compete(warmer).reason == "quality-inconclusive"

    evaluate(warmer, active(warmer).id)
    configure.set_policy(warmer, {"min_score": 0, "min_valid": 0})
    assert compete(warmer).reason in {None, "local-invalid-output"}
    assert differences(warmer) == []


def test_what_is_not_whole_or_not_there_cannot_be_evaluated(local: Workspace) -> None:
    with pytest.raises(NotFound):
        evaluate(local, "0" * 64)
    held = active(local).id
    shutil.rmtree(local.bundle_directory(held))
    with pytest.raises(Refused, match="not whole: its directory is gone"):
        evaluate(local, held)
