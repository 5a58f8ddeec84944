"""A routed step served by a tiny bundle, whole: facts, decision, announcement, reply, judgement, record. At most 60 ms warm.

What stepdown itself takes beside the bundle's answer and the disk is shown apart: at most 5 ms.

``python benchmarks/routed_step.py [--durability full] [--steps 60]``
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from stepdown.acts import switch
from stepdown.acts.export import export
from stepdown.acts.localize import localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.history import rows
from stepdown.local.provider import BundleProvider
from stepdown.training.plan import Plan
from stepdown.training.records import Filters
from stepdown.workspace import Settings, Workspace

SCENARIO, LIMIT, REST, WARM = "grid_ctf", 60.0, 5.0, 5
MOVES = ((1.0, 0.4, 1.0), (0.9, 0.5, 1.0), (0.95, 0.45, 1.0))
PLAN = Plan.tiny(iterations=120, learning_rate=1e-2, rehearsals=1)


def handed_down(workspace: Workspace, tape: Path) -> None:
    """Discover three good moves, learn them by heart, and hand the competitor down."""
    strategies = [json.dumps(dict(zip(("aggression", "defense", "path_bias"), m, strict=True))) for m in MOVES]
    lines = [{"role": "competitor", "text": text} for text in strategies]
    lines.append({"role": "coach", "text": '{"playbook":"Attack.","hints":"Press on."}'})
    tape.write_text("".join(json.dumps(line) + "\n" for line in lines))
    play(start(workspace, SCENARIO, generations=2, candidates=6, frontier=f"recorded:{tape}"))
    dataset = export(workspace, Filters(SCENARIO))
    switch.activate(workspace, localize(workspace, dataset.path, plan=PLAN).bundle.id, forced=True)


class Spent:
    """The seconds that some functions take, added up until they are asked for; one within another counts once."""

    def __init__(self) -> None:
        self.seconds, self.depth = 0.0, 0

    def watched(self, owner: Any, name: str) -> None:
        """Count the time of a function from now on."""
        plain = getattr(owner, name)

        def timed(*values: Any, **named: Any) -> Any:
            began = time.perf_counter()
            self.depth += 1
            try:
                return plain(*values, **named)
            finally:
                self.depth -= 1
                self.seconds += (time.perf_counter() - began) * (not self.depth)

        setattr(owner, name, timed)

    def milliseconds(self) -> float:
        """Return what was counted since this was asked last."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds * 1e3


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one step: in all, of the bundle's own answer, and of waiting for the disk."""

    whole: float
    model: float
    disk: float

    @property
    def rest(self) -> float:
        """What stepdown itself takes."""
        return self.whole - self.model - self.disk


def measure(workspace: Workspace, steps: int) -> list[Cost]:
    """Return the cost of each local step after the first few."""
    costs, began, model, disk = [], time.perf_counter(), Spent(), Spent()
    model.watched(BundleProvider, "complete")
    disk.watched(os, "fsync")
    disk.watched(workspace.engine.dialect, "do_commit")

    def watch(step: rows.Step) -> None:
        nonlocal began
        now = time.perf_counter()
        cost = Cost((now - began) * 1e3, model.milliseconds(), disk.milliseconds())
        if step.served == "local":
            costs.append(cost)
        began = now

    play(start(workspace, SCENARIO, seed=1, generations=1, candidates=steps + WARM), watch)
    return costs[WARM:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--durability", choices=["full", "normal"], default="full")
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(durability=options.durability)
        with open_workspace(Path(directory) / "workspace", settings=settings) as workspace:
            handed_down(workspace, Path(directory) / "tape.jsonl")
            costs = measure(workspace, options.steps)
    show(f"routed step ({options.durability})", [cost.whole for cost in costs], f"limit {LIMIT:.0f}")
    show("  the bundle's answer", [cost.model for cost in costs])
    show("  waiting for the disk", [cost.disk for cost in costs])
    show("  the rest", [cost.rest for cost in costs], f"limit {REST:.0f}")


def show(name: str, times: list[float], limit: str = "") -> None:
    high = quantiles(times, n=20)[-1]
    spread = f"{min(times):.1f} to {max(times):.1f}, 95 % below {high:.1f}"
    print(f"{name:28} {median(times):6.1f} ms   {spread}   {limit}")


if __name__ == "__main__":
    main()
