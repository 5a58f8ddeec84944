"""How far a tuning has come, on disk: another child goes on from there as if nobody had been killed."""

# mypy: allow-untyped-calls

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from stepdown.errors import TrainingFailed, in_one_line
from stepdown.local.tensors import write

STATE = "state.json"
"""What a checkpoint is of; written last, and the first to go."""

WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"


def flat(tree: Any) -> dict[str, mx.array]:
    """Return the tensors of a tree by their names."""
    leaves = cast("list[tuple[str, Any]]", tree_flatten(tree))
    return {name: each for name, each in leaves if isinstance(each, mx.array)}


def keep(model: Any, optimizer: Any, directory: Path, done: int, curve: Sequence[tuple[int, float]]) -> None:
    """Write a checkpoint beside the last one, and put it in its place when it is whole.

    Args:
        model: Its trainable parameters are kept.
        optimizer: Its state is kept.
        directory: The checkpoint's.
        done: Optimizer steps so far.
        curve: Losses so far, each with its number of steps.
    """
    aside = _aside(directory)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    write(aside / WEIGHTS, flat(model.trainable_parameters()), marked=False)
    write(aside / OPTIMIZER, flat(optimizer.state), marked=False)
    (aside / STATE).write_text(json.dumps({"done": done, "curve": curve}), encoding="utf-8")
    # Without its state the last one is none: killed while it goes, another child must not take what is left of it.
    (directory / STATE).unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)
    aside.rename(directory)


def resume(model: Any, optimizer: Any, directory: Path) -> tuple[int, list[tuple[int, float]]]:
    """Put a checkpoint's weights and state in.

    Returns:
        How many optimizer steps they stand for, 0 when there is none, and the losses on the way.

    Raises:
        TrainingFailed: What lies there is no checkpoint of this training.
    """
    # Killed between taking the last one away and putting the new one in its place, the new one is whole.
    places = [folder for folder in (directory, _aside(directory)) if (folder / STATE).exists()]
    if not places:
        return 0, []
    try:
        state_of = json.loads((places[0] / STATE).read_text("utf-8"))
        done, curve = int(state_of["done"]), [(int(count), float(loss)) for count, loss in state_of["curve"]]
        weights, state = (cast("dict[str, mx.array]", mx.load(str(places[0] / name))) for name in (WEIGHTS, OPTIMIZER))
        mx.eval(weights, state)  # Now: the files are replaced at the next checkpoint.
        _check_names(weights, flat(model.trainable_parameters()))
        model.load_weights(list(weights.items()), strict=False)
        optimizer.state = tree_unflatten(list(state.items()))
    except Exception as error:  # Torn by a full disk, or somebody else's: begun again it is right, only later.
        raise TrainingFailed(
            f"The checkpoint cannot be used ({in_one_line(error)}); train without --resume."
        ) from error
    return done, curve


def _aside(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.new")


def _check_names(tensors: dict[str, mx.array], wanted: dict[str, mx.array]) -> None:
    if {name: tensor.shape for name, tensor in tensors.items()} != {name: each.shape for name, each in wanted.items()}:
        raise ValueError("it is of another plan")
