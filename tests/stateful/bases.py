"""A small base below tuned bundles: made once, laid into a workspace, and changed behind stepdown's back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from small_base import make_gguf
from stateful.environment import ON_GRID
from stepdown.bases import disk
from stepdown.training.tuning import Tuning

NAME = "small"
HERE = find_spec("mlx_lm") is not None
"""Bases are tuned with mlx-lm; found and not imported, as it would lower this process's limits."""

# Sentences are longer than moves.
ITERATIONS, RATE = (60, 2e-2) if ON_GRID else (120, 1e-2)
PLAN = Tuning(
    NAME,
    layers=-1,
    rank=8,
    iterations=ITERATIONS,
    batch=1,
    learning_rate=RATE,
    warmup=1,
    schedule="constant",
    checkpoint_every=20,
)
"""Enough that a tuned bundle says something legal, held to the schema."""
CHECKPOINTED = "checkpointed"
"""The point in a tuning at which the first checkpoint is written: stepdown's parent does not know of it."""
CONVERT = """
import sys; from pathlib import Path
from stepdown.local.gguf import convert
Path(sys.argv[2]).mkdir()
convert(Path(sys.argv[1]), Path(sys.argv[2]))
"""
FACTS = {"architecture": "llama", "parameters": 78464, "context": 512, "bits": None}
FEW = "STEPDOWN_MACHINE_TUNINGS" in os.environ
"""Whether this process is one of several that tune: then another one tunes other bases and is killed in the middle of it."""
STATES = ("own", "gone", "changed", *(() if FEW else ("another",)))


def settle(place: Path) -> None:
    """Make the base and another one, each as stepdown would keep it; opened they are in every tuning."""
    with tempfile.TemporaryDirectory() as room:
        root = Path(room)
        (root / "made").mkdir()
        gguf = make_gguf(root / "small.gguf", loud=8.0)
        for name in ("own", "another"):
            workspace, part = root / name, root / f"{name}.part"
            workspace.mkdir()
            subprocess.run([sys.executable, "-c", CONVERT, str(gguf), str(part)], check=True)
            if name == "another":
                _change(part)
            disk.publish(part, workspace, NAME, FACTS, gguf.name)
            shutil.move(workspace / disk.FOLDER / NAME, root / "made" / name)
        shutil.copytree(root / "made", place)


def lay(root: Path, made: Path, state: str) -> None:
    """Let this lie where the base of a workspace does."""
    target = root / disk.FOLDER / NAME
    shutil.rmtree(target, ignore_errors=True)
    if state != "gone":
        shutil.copytree(made / ("another" if state == "another" else "own"), target)
    if state == "changed":
        _change(target)


def _change(directory: Path) -> None:
    path = directory / "config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**config, "rms_norm_eps": 2 * config["rms_norm_eps"]}), "utf-8")
