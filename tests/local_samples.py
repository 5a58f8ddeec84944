"""A small dataset and the training child, for the tests of the local room."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from stepdown.local.decode import Loaded, load
from stepdown.training.plan import Plan

ROWS = tuple(
    {
        "prompt": f"grid_ctf v1 competitor\nplaybook: Attack, {'but ' * (n % 3)}keep within 1.4.\nseed={n}\nstrategy:",
        "completion": f'{{"aggression":0.9{n % 10},"defense":0.4,"path_bias":0.9{n % 7}}}',
        "score": 0.8,
    }
    for n in range(12)
)


def write_dataset(directory: Path, train: Iterable[Mapping[str, object]] = ROWS) -> Path:
    """Write rows as a dataset's two files and return the directory."""
    directory.mkdir(exist_ok=True)
    for name, rows in (("train", train), ("valid", ROWS[:2])):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (directory / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return directory


def command(dataset: Path, out: Path, plan: Plan) -> list[str]:
    """Return the command line of the training child; its plan is written beside the output."""
    plan_file = out.with_suffix(".plan.json")
    plan_file.write_text(plan.to_json())
    paths = ["--dataset", str(dataset), "--plan", str(plan_file), "--out", str(out)]
    return [sys.executable, "-m", "stepdown.local.fit", *paths]


def fit(dataset: Path, out: Path, plan: Plan | None = None) -> "subprocess.CompletedProcess[str]":
    """Train in a real child and wait for it."""
    arguments = command(dataset, out, plan or Plan.tiny())
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)


def contents(directory: Path) -> dict[str, bytes]:
    """Return every file of a directory by name."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def loaded(directory: Path) -> Loaded:
    """Open what the child wrote."""
    return load(contents(directory))
