"""The training child, always as a real process."""

import gc
import json
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from local_samples import ROWS, command, contents, fit, loaded, write_dataset
from stepdown.errors import DatasetError, InvalidValue, TrainingFailed
from stepdown.training import child
from stepdown.training.plan import Plan

LONG = Plan.tiny(iterations=1_000_000)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset")


def test_two_children_write_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert fit(dataset, tmp_path / name).returncode == 0

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_another_seed_writes_other_weights(dataset: Path, tmp_path: Path) -> None:
    fit(dataset, tmp_path / "one", Plan.tiny(seed=1))
    fit(dataset, tmp_path / "two", Plan.tiny(seed=2))

    assert loaded(tmp_path / "one").weights_digest != loaded(tmp_path / "two").weights_digest


def test_the_child_reports_progress_and_then_what_it_made(dataset: Path, tmp_path: Path) -> None:
    plan = Plan.tiny(iterations=250, width=8, ffn=8)
    child = fit(dataset, tmp_path / "out", plan)

    *progress, done = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(progress) <= 102
    assert progress[-1]["iteration"] == progress[-1]["iterations"] == plan.iterations
    assert progress[-1]["loss"] < progress[0]["loss"]
    assert {"event", "train_loss", "valid_loss", "curve", "parameters", "blas", "mlx"} == done.keys()
    assert done["curve"] == [[line["iteration"], line["loss"]] for line in progress]
    assert child.stderr == ""


def test_the_directory_holds_exactly_what_a_loader_needs(dataset: Path, tmp_path: Path) -> None:
    fit(dataset, tmp_path / "out")

    assert contents(tmp_path / "out").keys() == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("", "train.jsonl is empty"),
        ("{}\nnot json\n", "train.jsonl line 1 needs a prompt and a completion"),
        ('{"prompt":"a","completion":"b"}\n{"prompt":', "train.jsonl line 2 is not JSON"),
        ('{"prompt":"a","completion":""}\n', "train.jsonl line 1 needs a prompt and a completion"),
        ('{"prompt":"a","completion":7}\n', "train.jsonl line 1 needs a prompt and a completion"),
        ('["a","b"]\n', "train.jsonl line 1 needs a prompt and a completion"),
        ('{"prompt":"\\ud800","completion":"b"}\n', "train.jsonl line 1 holds half a surrogate pair"),
    ],
)
def test_a_malformed_dataset_is_one_sentence_and_no_files(
    lines: str, sentence: str, dataset: Path, tmp_path: Path
) -> None:
    (dataset / "train.jsonl").write_text(lines, encoding="utf-8")

    child = fit(dataset, tmp_path / "out")

    assert child.returncode == DatasetError.exit_code
    assert child.stderr.startswith(sentence)
    assert child.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_file_of_the_dataset_is_named(dataset: Path, tmp_path: Path) -> None:
    (dataset / "train.jsonl").unlink()

    child = fit(dataset, tmp_path / "out")

    assert (child.returncode, child.stderr[:11]) == (DatasetError.exit_code, "train.jsonl")


def test_an_export_of_one_strategy_has_nothing_to_validate_on_and_trains(dataset: Path, tmp_path: Path) -> None:
    (dataset / "valid.jsonl").unlink()

    child = fit(dataset, tmp_path / "out")

    assert child.returncode == 0
    assert json.loads(child.stdout.splitlines()[-1])["valid_loss"] is None


def test_a_line_separator_inside_a_text_does_not_end_the_record(dataset: Path, tmp_path: Path) -> None:
    row = json.dumps({"prompt": "a\u2028b", "completion": "c"}, ensure_ascii=False)
    (dataset / "train.jsonl").write_text(row + "\n", encoding="utf-8")

    assert fit(dataset, tmp_path / "out").returncode == 0


def test_a_record_longer_than_the_window_is_refused_by_name_and_numbers(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset", [*ROWS, {"prompt": "7" * 300, "completion": "y"}])

    child = fit(dataset, tmp_path / "out", Plan.tiny(window=128))

    assert child.returncode == DatasetError.exit_code
    assert child.stderr.startswith("train.jsonl line 13 has 302 tokens")
    assert "the window holds 128" in child.stderr


def test_an_empty_validation_file_gives_no_validation_loss(dataset: Path, tmp_path: Path) -> None:
    (dataset / "valid.jsonl").write_text("")

    child = fit(dataset, tmp_path / "out")

    assert json.loads(child.stdout.splitlines()[-1])["valid_loss"] is None


def test_a_directory_in_use_is_left_alone(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")

    assert fit(dataset, out).returncode == TrainingFailed.exit_code
    assert contents(out) == {"mine.txt": b"mine"}


def test_a_plan_that_cannot_be_is_refused(dataset: Path, tmp_path: Path) -> None:
    arguments = command(dataset, tmp_path / "out", Plan.tiny())
    (tmp_path / "out.plan.json").write_text('{"width":33}')

    child = subprocess.run(arguments, capture_output=True, text=True, check=False)

    assert child.returncode == InvalidValue.exit_code
    assert "width 33" in child.stderr


def test_a_loss_that_is_no_number_writes_no_weights(dataset: Path, tmp_path: Path) -> None:
    child = fit(dataset, tmp_path / "out", Plan.tiny(learning_rate=1.0, weight_decay=10.0, iterations=80))

    assert child.returncode == TrainingFailed.exit_code
    assert contents(tmp_path / "out") == {}


@pytest.mark.parametrize("deadly", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_child_leaves_no_weights(deadly: signal.Signals, dataset: Path, tmp_path: Path) -> None:
    child = subprocess.Popen(command(dataset, tmp_path / "out", LONG), stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(deadly)

    assert child.returncode == -deadly
    assert "model.safetensors" not in contents(tmp_path / "out")


def test_the_child_dies_with_its_parent(dataset: Path, tmp_path: Path) -> None:
    code = "import subprocess, sys; c = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE); c.stdout.readline()"
    code += "; print(flush=True); c.wait()"
    arguments = [sys.executable, "-c", code, *command(dataset, tmp_path / "out", LONG)]
    parent = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        parent.stdout.readline()
        parent.kill()
        # The child inherited this pipe: it ends when nobody is left to write to it.
        parent.stderr.read()

    assert "model.safetensors" not in contents(tmp_path / "out")


@pytest.mark.parametrize("limit", [60.0, 0.0])
def test_a_child_leaves_nothing_open_in_its_parent_however_it_ends(limit: float) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        ending = child.run("stepdown.no_such_module", [], limit, lambda _: None)
        gc.collect()

    assert ending.done is None
    assert [str(warning.message) for warning in seen] == []
