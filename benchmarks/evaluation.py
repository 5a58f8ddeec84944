"""Evaluation of 64 held-out seeds with the default small bundle, and a whole promotion: how long each takes.

    python benchmarks/evaluation.py

Promised: at most 3 s for 64 seeds on 2 cores, weights loaded anew each time. Discovery, export and training are real and not
counted.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stepdown.acts.export import export
from stepdown.acts.localize import evaluate, localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.acts.run import play, start
from stepdown.history import rows
from stepdown.training.records import Filters
from stepdown.workspace import Settings, Workspace

REPEATS = 5


def seconds(act: Callable[[], object]) -> list[float]:
    """Return how long an act took, each time."""
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        act()
        spent.append(time.perf_counter() - began)
    return spent


def bundle(workspace: Workspace) -> rows.Bundle:
    """Discover, export and train as the demo does."""
    play(start(workspace, "grid_ctf", generations=20, candidates=8))
    return localize(workspace, export(workspace, Filters("grid_ctf", min_score=0.86)).path).bundle


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        open_workspace(Path(directory) / "w", settings=Settings(durability="normal")) as workspace,
    ):
        trained = bundle(workspace)
        acts = {
            "evaluation of 64 seeds": lambda: evaluate(workspace, trained.id),
            "promotion": lambda: promote(workspace, trained.id),
        }
        for name, act in acts.items():
            spent = seconds(act)
            print(f"{name:24} median {statistics.median(spent):.2f} s, slowest {max(spent):.2f} s")
        verdict = promote(workspace, trained.id)
        print(f"{verdict.outcome} after {verdict.evidence['seeds']} seeds: {verdict.evidence['to_frontier']}")


if __name__ == "__main__":
    main()
