"""How much of our own code the machine protects: mutants of stepdown, with the machine as the only killer.

    pip install cosmic-ray && python benchmarks/mutation.py --sample 60

makes mutants (cosmic-ray's operators) of `routing/`, `bundles/`, `history/`, `training/records.py` and `step.py` in a copy
of the tree, draws a sample of them, and runs one campaign of the machine against each; no other test. It prints the share
killed with its 95 % interval (Clopper-Pearson), and every survivor as a diff to be explained. `--sample 0` takes them all,
which is a matter of hours.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MUTATED = ("routing", "bundles", "history", "training/records.py", "step.py")
SPARED = ("migrations", "append_only.py", "engine.py")
"""Not ours to kill here: applied once before any example begins, or about a database that refuses."""
TYPES = "BitOr"
"""`X | None` in an annotation: a mutant of it is no mutant of what happens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=60, help="mutants to try; 0 tries all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of the campaigns")
    parser.add_argument("--examples", type=int, default=16, help="examples of a campaign")
    parser.add_argument(
        "--timeout", type=float, default=180.0, help="seconds after which a mutant hangs, and is killed"
    )
    parser.add_argument("--campaign", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.campaign:
        sys.exit(_campaign(asked.examples, asked.seed))
    with tempfile.TemporaryDirectory() as copy:
        _mutate(asked, Path(copy))


def _campaign(examples: int, seed: int) -> int:
    """Run the machine once; 1 when it found something."""
    from stateful.test_handoff import StepdownMachine
    from stepdown_machine.campaign import campaign

    found = campaign(StepdownMachine, seed, examples=examples)
    print(found.message)
    return 1 if found.claims else 0


def _mutate(asked: argparse.Namespace, copy: Path) -> None:
    for folder in ("src", "tests", "fixtures"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    os.chdir(copy)
    os.environ["PYTHONPATH"] = os.pathsep.join((str(copy / "src"), str(copy / "tests")))
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    words = ["--campaign", "--examples", str(asked.examples), "--seed", str(asked.seed)]
    command = [sys.executable, str(Path(__file__).resolve()), *words]
    print(
        "unmutated:",
        "green" if subprocess.run(command, capture_output=True, check=False).returncode == 0 else "RED: no use",
    )
    work = _sample(asked.sample, asked.seed)
    survivors = []
    for number, mutation in enumerate(work, start=1):
        killed, diff = _try(mutation, " ".join(command), asked.timeout)
        survivors += [] if killed else [diff]
        where = f"{mutation.module_path.relative_to('src/stepdown')}:{mutation.start_pos[0]} {mutation.operator_name}"
        print(f"{number}/{len(work)} {'killed' if killed else 'SURVIVED'} {where}", flush=True)
    _tell(len(work), survivors)


def _sample(size: int, seed: int) -> list:
    from cosmic_ray.commands import init
    from cosmic_ray.work_db import WorkDB, use_db

    found = [path for part in MUTATED for path in _modules(Path("src/stepdown") / part)]
    with use_db("session.sqlite", WorkDB.Mode.create) as database:
        init(found, database, {})
        mutations = [item.mutations[0] for item in database.work_items]
    mutations = sorted(
        (mutation for mutation in mutations if TYPES not in mutation.operator_name),
        key=lambda mutation: (
            str(mutation.module_path),
            mutation.start_pos,
            mutation.operator_name,
            mutation.occurrence,
        ),
    )
    print(f"{len(mutations)} mutants of {len(found)} modules")
    return random.Random(seed).sample(mutations, min(size, len(mutations))) if size else mutations


def _modules(path: Path) -> list[Path]:
    found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [each for each in found if not any(word in each.parts or each.name == word for word in SPARED)]


def _try(mutation, command: str, timeout: float) -> tuple[bool, str]:
    from cosmic_ray.mutating import mutate_and_test
    from cosmic_ray.work_item import TestOutcome

    result = mutate_and_test([mutation], command, timeout)
    return result.test_outcome is not TestOutcome.SURVIVED, result.diff or ""


def _tell(tried: int, survivors: list[str]) -> None:
    from scipy.stats import binomtest

    killed = tried - len(survivors)
    interval = binomtest(killed, tried).proportion_ci(0.95, "exact")
    print(
        f"\nkilled {killed} of {tried}: {killed / tried:.1%} (95 % interval {interval.low:.1%} to {interval.high:.1%})"
    )
    for diff in survivors:
        print("\n" + diff)


if __name__ == "__main__":
    main()
