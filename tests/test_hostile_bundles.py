"""A bundle and a dataset are data of an enemy until they are proven: whatever they hold ends in a value or a sentence."""

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest

from local_samples import ROWS, write_dataset
from stepdown.bundles.disk import Condition, listing, look
from stepdown.bundles.manifest import NAME, Manifest
from stepdown.clock import Clock
from stepdown.digest import digest, sha256
from stepdown.errors import LocalError, TrainingFailed
from stepdown.local.provider import BundleProvider
from stepdown.providers.protocol import Request
from stepdown.training.decoding import Decoding
from stepdown.training.job import Job, backend, train
from stepdown.training.plan import Plan

Forge = Callable[[Path], None]


@pytest.fixture
def bundle(handed_down: Path, tmp_path: Path) -> Path:
    """A bundle's directory, to be spoilt."""
    (found,) = (handed_down / "bundles").iterdir()
    return shutil.copytree(found, tmp_path / "bundle")


def manifest(directory: Path) -> Manifest:
    """Return a manifest that promises what lies in a directory now: an enemy can write one too."""
    stored = Manifest.parse((directory / NAME).read_bytes())
    files = {path: entry for path, entry in listing(directory).items() if path != NAME}
    return replace(stored, files=files)


def provider(directory: Path) -> BundleProvider:
    return BundleProvider(directory, manifest(directory), Decoding(), Clock())


def question(number: int = 0) -> Request:
    return Request(f"call-{number}", "competitor", f"grid_ctf v1 competitor {number}", {}, number, 30.0)


def edit_config(directory: Path, **changes: object) -> None:
    config = json.loads((directory / "config.json").read_text("utf-8"))
    (directory / "config.json").write_text(json.dumps({**config, **changes}))


def retype(directory: Path, dtype: mx.Dtype) -> None:
    tensors = mx.load(str(directory / "model.safetensors"))
    assert isinstance(tensors, dict)
    mx.save_safetensors(
        str(directory / "new.safetensors"), {name: each.astype(dtype) for name, each in tensors.items()}
    )
    (directory / "new.safetensors").replace(directory / "model.safetensors")


FORGERIES: dict[str, Forge] = {
    "300,000 layers": lambda d: edit_config(d, num_hidden_layers=300_000),
    "2,000 layers": lambda d: edit_config(d, num_hidden_layers=2_000),
    "endless sizes": lambda d: edit_config(d, hidden_size=1e999),
    "a configuration that is a list": lambda d: (d / "config.json").write_text("[]") and None,
    "a deep configuration": lambda d: (d / "config.json").write_text("[" * 100_000) and None,
    "a deep tokenizer": lambda d: (d / "tokenizer.json").write_text('{"a":' * 100_000) and None,
    "whole numbers as weights": lambda d: retype(d, mx.int32),
    "truth values as weights": lambda d: retype(d, mx.bool_),
    "complex weights": lambda d: retype(d, mx.complex64),
    "a header without an end": lambda d: (d / "model.safetensors").write_bytes(b"\xff" * 64) and None,
    "a header of nothing": lambda d: (d / "model.safetensors").write_bytes(b"") and None,
    "a header that is a list": lambda d: (d / "model.safetensors").write_bytes(b"\2" + b"\0" * 7 + b"[]") and None,
}


def refusal(use: Callable[[], object]) -> str:
    """Return what a local model says when it cannot; empty when it can."""
    try:
        use()
    except LocalError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", FORGERIES)
def test_whatever_a_forged_bundle_holds_is_an_outcome(bundle: Path, name: str) -> None:
    FORGERIES[name](bundle)
    asked = provider(bundle)

    said = [refusal(use) for use in (lambda: asked.complete(question()), lambda: asked.answer(["a"], [0]), asked.load)]
    assert any(said)
    assert all("\n" not in sentence and asked.model[:12] in sentence for sentence in said if sentence)
    if "layers" in name:
        # Refused by the file's header, before a net of that depth is built.
        assert all("layers, and model.safetensors has 1" in sentence for sentence in said)


def test_what_cannot_answer_is_a_local_error_and_no_other(bundle: Path) -> None:
    retype(bundle, mx.int32)
    with pytest.raises(LocalError):
        provider(bundle).complete(question())


def test_many_callers_of_one_bundle_are_answered_as_if_each_were_alone(bundle: Path) -> None:
    asked = provider(bundle)
    alone = [asked.complete(question(number)).reply for number in range(6)]
    shared = provider(bundle)
    with ThreadPoolExecutor(6) as callers:
        together = list(callers.map(lambda number: shared.complete(question(number)).reply, range(6)))
    assert together == alone


@pytest.mark.parametrize("depth", [9, 600])
def test_folders_without_end_are_a_broken_bundle(bundle: Path, depth: int) -> None:
    promised = manifest(bundle).id
    deepest = bundle / "/".join("d" * depth)
    deepest.mkdir(parents=True)
    found = look(bundle, promised)
    assert (found.condition, found.manifest) == (Condition.BROKEN, None)
    assert "folders" in found.problem


def test_files_that_come_and_go_during_a_look_are_never_more_than_a_broken_bundle(bundle: Path) -> None:
    stored = Manifest.parse((bundle / NAME).read_bytes())
    aside, over = bundle.parent / "aside", threading.Event()
    aside.mkdir()

    def restless() -> None:
        while not over.is_set():
            for path in list(bundle.iterdir()):
                path.rename(aside / path.name)
            for path in list(aside.iterdir()):
                path.rename(bundle / path.name)

    enemy = threading.Thread(target=restless)
    enemy.start()
    try:
        seen = {look(bundle, stored.id).condition for _ in range(1500)}
    finally:
        over.set()
        enemy.join()
    assert Condition.BROKEN in seen
    assert seen <= {Condition.BROKEN, Condition.WHOLE}
    assert look(bundle, stored.id).condition is Condition.WHOLE


def test_a_dataset_that_is_replaced_while_a_child_starts_trains_nothing(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    files = {path.name: sha256(path.read_bytes()) for path in dataset.iterdir()}
    job = Job(digest(files), "grid_ctf", "competitor", Plan.tiny(), backend(Plan.tiny()))
    train(job, dataset, tmp_path / "honest.part", time_limit=60)
    write_dataset(dataset, train=ROWS[:5])

    with pytest.raises(TrainingFailed, match="changed after they were checked"):
        train(job, dataset, tmp_path / "replaced.part", time_limit=60)
    assert not (tmp_path / "replaced.part").exists()
