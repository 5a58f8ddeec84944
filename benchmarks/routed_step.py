"""A routed step served by a tiny bundle, whole: facts, decision, announcement, reply, judgement, record. At most 60 ms warm.

``python benchmarks/routed_step.py [--durability full] [--steps 60]``
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from stepdown.acts import switch
from stepdown.acts.export import export
from stepdown.acts.localize import localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.history import rows
from stepdown.training.plan import Plan
from stepdown.training.records import Filters
from stepdown.workspace import Settings, Workspace

SCENARIO, LIMIT, WARM = "grid_ctf", 60.0, 5
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


def measure(workspace: Workspace, steps: int) -> list[float]:
    """Return the milliseconds of each local step after the first few."""
    found, began = [], time.perf_counter()

    def watch(step: rows.Step) -> None:
        nonlocal began
        now = time.perf_counter()
        if step.served == "local":
            found.append((now - began) * 1e3)
        began = now

    play(start(workspace, SCENARIO, seed=1, generations=1, candidates=steps + WARM), watch)
    return found[WARM:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--durability", choices=["full", "normal"], default="full")
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(durability=options.durability)
        with open_workspace(Path(directory) / "workspace", settings=settings) as workspace:
            handed_down(workspace, Path(directory) / "tape.jsonl")
            found = measure(workspace, options.steps)
    high = quantiles(found, n=20)[-1]
    spread = f"{min(found):.1f} to {max(found):.1f}, 95 % below {high:.1f}"
    print(f"routed step ({options.durability}) {median(found):.1f} ms   {spread}   limit {LIMIT:.0f}")


if __name__ == "__main__":
    main()
