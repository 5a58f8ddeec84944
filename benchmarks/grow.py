"""What grows with history and what does not: the end of a run, its story, a step of a long run, the facts of a moment.

python benchmarks/grow.py [--steps 1000 100000] [--generations 300]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from grown import grow
from journey import discover
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import start
from stepdown.history import reader
from stepdown.views.runs import story
from stepdown.workspace import Settings, Workspace
from stepdown.workspace.facts import gather

SCENARIO = "grid_ctf"
CANDIDATES = 9
"""Of the run that is copied: with the coach, ten steps."""


def median_ms(act: Callable[[], object], repeats: int = 15) -> float:
    """Return the median milliseconds of an act that is warm."""
    act()
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        act()
        spent.append(time.perf_counter() - began)
    return median(spent) * 1e3


def a_generation(workspace: Workspace) -> None:
    under_way = start(workspace, SCENARIO, generations=1, candidates=CANDIDATES)
    under_way.advance()
    under_way.end()


def facts(workspace: Workspace) -> None:
    with workspace.reading() as connection:
        gather(workspace, connection, workspace.scenario(SCENARIO), "competitor", 0)


def costs(workspace: Workspace) -> None:
    with workspace.reading() as connection:
        reader.frontier_costs(connection, SCENARIO, "search", "competitor")


def recorded(workspace: Workspace, steps: list[int]) -> None:
    """Print what acts cost beside more and more recorded steps."""
    print(f"{'steps':>8} {'a run of 10 steps, ms':>22} {'its story, ms':>14} {'what the frontier cost, ms':>27}")
    run = discover(workspace, candidates=CANDIDATES)
    there = CANDIDATES + 1
    for wanted in steps:
        grow(workspace, run, max(0, wanted - there) // (CANDIDATES + 1))
        there = max(there, wanted)
        row = (median_ms(lambda: a_generation(workspace)), median_ms(lambda: story(workspace, run.id)))
        print(f"{wanted:>8} {row[0]:>22.1f} {row[1]:>14.2f} {median_ms(lambda: costs(workspace), 5):>27.1f}")


def one_run(workspace: Workspace, generations: int) -> None:
    """Print what a step costs early and late in one run."""
    under_way = start(workspace, SCENARIO, seed=3, generations=generations, candidates=8)
    spent = []
    for _ in range(generations):
        began = time.perf_counter()
        under_way.advance()
        spent.append((time.perf_counter() - began) / 9 * 1e3)
    for place in (1, generations // 2, generations):
        near = spent[max(0, place - 10) : place + 10]
        print(f"a step near generation {place:>4}: {median(near):6.2f} ms")


def switches(workspace: Workspace, times: int) -> None:
    """Print what the facts of a moment cost before and after many switches."""
    before = median_ms(lambda: facts(workspace), 100)
    for number in range(times):
        configure.switch_validator(workspace, SCENARIO, "budget", enabled=bool(number % 2))
    print(
        f"facts of a moment: {before:.2f} ms; after {times} harness switches {median_ms(lambda: facts(workspace), 100):.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--generations", type=int, default=300)
    parser.add_argument("--switches", type=int, default=6_000)
    options = parser.parse_args()
    for measure, argument in (
        (recorded, options.steps),
        (one_run, options.generations),
        (switches, options.switches),
    ):
        with (
            tempfile.TemporaryDirectory() as directory,
            open_workspace(Path(directory) / "workspace", settings=Settings(durability="normal")) as workspace,
        ):
            measure(workspace, argument)  # type: ignore[operator]


if __name__ == "__main__":
    main()
