"""How fast the machine drives stepdown itself: real files, real processes, real trainings. At least 150 steps a second.

    python benchmarks/machine_speed.py [--examples 24] [--repeats 15]

The steps are those of the routing machine: no races, no kills, and every training has been done before, by a campaign with
the same seed. What the others cost is timed one by one, each with a moment between them, as in a campaign.
"""

import argparse
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from stateful.adapter import StepdownSystem
from stepdown_machine import operations as op
from stepdown_machine.campaign import campaign
from stepdown_machine.machine import RoutingMachine
from stepdown_machine.protocol import HandoffSystem

SEED, LEAST = 1, 150
PAUSE = 0.1
"""Seconds between two kills or races: the process for the next one gets ready meanwhile."""


class Routing(RoutingMachine):
    """Who serves and why, on stepdown."""

    def system(self) -> HandoffSystem:
        """Return a fresh workspace behind the protocol."""
        return StepdownSystem()


def drive(examples: int) -> None:
    campaign(Routing, SEED, examples=examples)
    began, spent = time.perf_counter(), time.process_time()
    reach = campaign(Routing, SEED, examples=examples).reach
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    turns = reach.rules.total()
    rates = f"{turns / seconds:.0f} turns/s, {reach.steps / seconds:.0f} steps/s"
    print(
        f"{examples} examples, trainings from the cache: {rates} ({reach.steps / cpu:.0f} a CPU second), limit {LEAST}"
    )


def milliseconds(act: Callable[[], object], repeats: int) -> list[float]:
    """Return how long an act took each time; the first loads what it needs."""
    found = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        act()
        found.append((time.perf_counter() - began) * 1e3)
        time.sleep(PAUSE)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    drive(options.examples)
    system = StepdownSystem()
    system.perform(op.Run(0, 1, 2))
    dataset = system.perform(op.Export()).dataset
    bundle = system.perform(op.Train(dataset, "tiny-a")).bundle
    system.perform(op.Activate(bundle))
    fresh = count(1)

    def train() -> None:
        """Train on rows that nobody trained on before."""
        system.perform(op.Run(1000 + next(fresh)))
        system.perform(op.Train(system.perform(op.Export()).dataset, "tiny-b"))

    def bring_back() -> None:
        """Damage a bundle for good, and train its job again: another bundle, of the same weights."""
        system.perform(op.Damage(system.perform(op.Train(dataset, "tiny-a")).bundle, "delete-directory"))

    switch = op.Rival(op.Disable(bundle), op.Enable(bundle))
    for name, act in {
        "a race of two acts": lambda: system.perform(switch),
        "a race of an act and a run": lambda: system.perform(op.Rival(op.Enable(bundle), op.Run(1, 1, 2))),
        "a kill in an act": lambda: system.perform(op.Crash(op.Disable(bundle), "act-recorded")),
        "a kill in a run": lambda: system.perform(op.Crash(op.Run(0), "step-finished")),
        "a training from the cache": bring_back,
        "a real training": train,
    }.items():
        first, *found = milliseconds(act, options.repeats)
        print(f"{name:28}{median(found):7.1f} ms   {min(found):.1f} to {max(found):.1f}, the first {first:.0f}")
    system.close()


if __name__ == "__main__":
    main()
