"""Does the small net learn? Legal share and mean score over seeds it never saw, without constrained decoding.

``python benchmarks/local_learning.py [--searches 6] [--plan '{"iterations":480}']``

Each search is one run of CMA-ES on grid_ctf whose coach rewrites the knowledge as it goes; its strategies that scored at
least 0.75 become the dataset. The net is then asked on new observations, under the knowledge of the last generation and
under one that no record ever held. A random legal strategy scores about 0.65, the best possible 0.89.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median

import numpy as np
from cmaes import CMA

from stepdown.local.decode import Loaded, load
from stepdown.scenarios.grid_ctf import KEYS, GridCtf, strategy
from stepdown.scenarios.prompt import Knowledge, competitor
from stepdown.scenarios.protocol import IllegalAnswer
from stepdown.training.plan import Plan

SCENARIO = GridCtf()
GENERATIONS, POPULATION, LEAST_SCORE, REPLIES = 14, 8, 0.75, 64
LESSONS = (
    Knowledge(0),
    Knowledge(1, "What has paid: raise aggression, raise path_bias.", "path_bias matters most."),
    Knowledge(2, "What has paid: raise aggression, lower defense, raise path_bias.", "aggression matters most."),
    Knowledge(3, "Aggression pays more than defense. Stay within 1.4 in sum.", "Refine the champion."),
)
UNSEEN = Knowledge(
    9, "The champion attacks boldly; legal moves never spend beyond the limit!", "Guard less, run short."
)


def search(seed: int) -> list[dict[str, str]]:
    """Return one search's good strategies as records."""
    optimizer = CMA(np.full(3, 0.5), 0.3, bounds=np.array([[0, 1]] * 3), seed=seed, population_size=POPULATION)
    records = []
    for generation in range(GENERATIONS):
        knowledge = LESSONS[min(generation // 4, len(LESSONS) - 1)]
        told = []
        for candidate in range(POPULATION):
            step = seed * 1000 + generation * POPULATION + candidate
            proposed = strategy(SCENARIO.repair(dict(zip(KEYS, optimizer.ask().tolist(), strict=True))))
            score = SCENARIO.play(proposed, step).score
            told.append((np.array([proposed.value[key] for key in KEYS]), -score))
            if score >= LEAST_SCORE:
                records.append({"prompt": competitor(SCENARIO, knowledge, step), "completion": proposed.text})
        optimizer.tell(told)
    return records


def train(records: list[dict[str, str]], plan: Plan, directory: Path) -> tuple[Loaded, float, float]:
    """Train in a child; return the net and the child's wall and processor seconds."""
    for name, rows in (("valid", records[::8]), ("train", [row for n, row in enumerate(records) if n % 8])):
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (directory / "plan.json").write_text(plan.to_json())
    paths = ["--dataset", directory, "--plan", directory / "plan.json", "--out", directory / "out"]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-m", "stepdown.local.fit", *paths], check=True, stdout=subprocess.DEVNULL)
    wall, cpu = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return load({path.name: path.read_bytes() for path in (directory / "out").iterdir()}), wall, cpu


def judge(net: Loaded, knowledge: Knowledge) -> tuple[float, float]:
    """Return the legal share and the mean score, an illegal reply counting 0."""
    seeds = range(5_000_000, 5_000_000 + REPLIES)
    scores = []
    for seed, reply in zip(seeds, net.generate(prompts(knowledge), max_tokens=64), strict=True):
        try:
            scores.append(SCENARIO.play(SCENARIO.parse(reply.text), seed).score)
        except IllegalAnswer:
            scores.append(None)
    return fmean(score is not None for score in scores), fmean(score or 0.0 for score in scores)


def prompts(knowledge: Knowledge) -> list[str]:
    """Return the prompts of all judged seeds."""
    return [competitor(SCENARIO, knowledge, 5_000_000 + n) for n in range(REPLIES)]


def milliseconds(net: Loaded, asked: list[str]) -> float:
    """Return the median time of one call, over seven after a first that warms up."""
    times = []
    for _ in range(8):
        began = time.perf_counter()
        net.generate(asked, max_tokens=64)
        times.append((time.perf_counter() - began) * 1e3)
    return median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=6)
    parser.add_argument("--plan", type=Plan.parse, default=Plan(), help="JSON; fields left out keep their defaults")
    options = parser.parse_args()
    table = []
    print("search records  train s (cpu)   legal score | rewritten: legal score   one ms  64 ms")
    for seed in range(1, options.searches + 1):
        with tempfile.TemporaryDirectory() as directory:
            records = search(seed)
            net, wall, cpu = train(records, options.plan, Path(directory))
            row = [wall, cpu, *judge(net, LESSONS[-1]), *judge(net, UNSEEN)]
            row += [milliseconds(net, prompts(UNSEEN)[:1]), milliseconds(net, prompts(UNSEEN))]
            table.append(row)
            print_row(f"{seed:6d} {len(records):7d}", row)
    print_row("mean          ", [fmean(column) for column in zip(*table, strict=True)])


def print_row(label: str, row: list[float]) -> None:
    wall, cpu, legal, score, legal_unseen, score_unseen, one, many = row
    seen, unseen = f"{legal:.3f} {score:.3f}", f"{legal_unseen:.3f} {score_unseen:.3f}"
    print(f"{label}  {wall:5.2f} ({cpu:5.2f})   {seen} | {unseen:>22}  {one:6.1f} {many:6.0f}", flush=True)


if __name__ == "__main__":
    main()
