"""How much of our own code the machine protects: mutants of stepdown, with the machine as the only killer.

    pip install cosmic-ray && python benchmarks/mutation.py --sample 80 --results mutation.jsonl

draws a sample of the mutants of `routing/`, `bundles/`, `history/`, `audit/`,
`training/records.py` and `acts/step.py` (see `mutants.py`) and
lets the machine loose on each, in a copy of the tree: the tour of all its rules first (`tests/stateful/every_value.py`), then a
campaign of each of its kinds; no other test. It prints the share killed with its 95 % interval (Clopper-Pearson), what killed
how many, and every survivor as a diff; `mutation.md` explains those of one sample one by one.

`--edits meaning` draws from the edits that the machine makes of its own oracle, and `--edits written` from those that readers
wrote (`edits.jsonl`); neither needs cosmic-ray. With `--campaign` each meets the `ci` campaign of `tests/stateful` and nothing
else.

A run that was interrupted goes on from its results. `--sample 0` takes every mutant, which is a matter of hours.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from mutants import AnyEdit, acts, edits, meanings
from written import written

ROOT = Path(__file__).resolve().parents[1]
SURVIVED = "survived"
BROKEN = "broken harness"
"""Begins what the tour says when the machinery failed: nothing is known of the mutant then."""
BROKEN_PROMISE = re.compile(r"^found by .*: I\d+$")
"""Says that an invariant was broken; everything else that ends a campaign is no merit of the machine's."""


Program = tuple[tuple[str, ...], dict[str, str]]
"""A module with its arguments, and what it is told by its environment."""
FEW = {"STEPDOWN_MACHINE_TUNINGS": "few"}
CI = {"STEPDOWN_MACHINE_PROFILE": "ci"}
CAMPAIGN: tuple[Program, ...] = (
    (("stateful.one_campaign",), CI),
    *(
        (("stateful.one_campaign",), {**CI, **FEW, "STEPDOWN_MACHINE_SCENARIO": name})
        for name in ("invoices", "papers")
    ),
)


@dataclass(frozen=True, slots=True)
class Hunt:
    """Copies of the tree, and how the machine is let loose in one.

    Attributes:
        copies: Those that are free.
        programs: What is let loose: modules with their arguments and what they are told, one after the other until one finds
            something.
        patience: Seconds after which a mutant hangs, and is killed.
    """

    copies: SimpleQueue[Path]
    programs: tuple[Program, ...]
    patience: float

    def kill(self, mutant: AnyEdit) -> str:
        """Return what found a mutant: a stop of the tour and a claim, `import`, `timeout`, or `survived`."""
        copy = self.copies.get()
        place = copy / mutant.path
        sound = place.read_text("utf-8")
        try:
            place.write_text(mutant.source(copy), "utf-8")
            return self.look(copy)
        finally:
            place.write_text(sound, "utf-8")
            self.copies.put(copy)

    def look(self, copy: Path) -> str:
        """Let the machine loose in a copy."""
        found = (self._found(copy, *program) for program in self.programs)
        return next((each for each in found if each != SURVIVED), SURVIVED)

    def _found(self, copy: Path, words: tuple[str, ...], told: dict[str, str]) -> str:
        room = copy / "room"
        room.mkdir()
        paths = os.pathsep.join((str(copy / "src"), str(copy / "tests")))
        environment = {**os.environ, **told, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(room)}
        run = [sys.executable, "-m", *words]
        child = subprocess.Popen(
            run,
            cwd=room,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _, failed = child.communicate(timeout=self.patience)
        except subprocess.TimeoutExpired:
            return "timeout"
        finally:
            # Those that stand ready for a kill or a race would outlive a machine that broke.
            _end(child.pid)
            child.communicate()
            shutil.rmtree(room, ignore_errors=True)
        if child.returncode == 0:
            return SURVIVED
        said = failed.strip().splitlines()[-1]
        return said if said.startswith(("found by ", BROKEN)) else f"import: {said}"


def _end(group: int) -> None:
    try:
        os.killpg(group, 9)
    except ProcessLookupError:
        return


MADE: dict[str, Callable[[Path], Sequence[AnyEdit]]] = {"cosmic-ray": edits, "meaning": meanings, "written": written}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=80, help="mutants to try; 0 tries all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of the campaigns")
    parser.add_argument("--examples", type=int, default=8, help="examples of each campaign after the tour")
    parser.add_argument(
        "--timeout", type=float, default=600.0, help="seconds after which a mutant hangs, and is killed"
    )
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--results", type=Path, help="file to go on from, and to write to")
    parser.add_argument("--edits", choices=tuple(MADE), default="cosmic-ray", help="who makes them")
    parser.add_argument("--campaign", action="store_true", help="let the `ci` campaign loose, instead of the tour")
    parser.add_argument("--only", default="", help="mutants whose name contains this, all of them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=_memory()) as room:
        _hunt(asked, Path(room))


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _hunt(asked: argparse.Namespace, room: Path) -> None:
    copies = [_copied(room / f"copy-{number}") for number in range(asked.jobs)]
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)
    tour = ("stateful.every_value", "--examples", str(asked.examples), "--seed", str(asked.seed))
    hunt = Hunt(free, CAMPAIGN if asked.campaign else ((tour, {}),), asked.timeout)
    os.chdir(copies[0])
    chosen = _sample(asked, [*MADE[asked.edits](copies[0])])
    known = _known(asked.results)
    if not known and (found := hunt.look(copies[0])) != SURVIVED:
        raise SystemExit(f"The machine fails on sound code, and would kill everything: {found}.")
    with ThreadPoolExecutor(asked.jobs) as pool:
        left = [mutant for mutant in chosen if mutant.name not in known]
        for number, (mutant, found) in enumerate(zip(left, pool.map(hunt.kill, left), strict=True), start=1):
            print(f"{number}/{len(left)} {mutant.name}: {found}", flush=True)
            known[mutant.name] = found
            _remember(asked.results, mutant, found)
    _tell(chosen, known, copies[0])


def _copied(copy: Path) -> Path:
    for folder in ("src", "tests", "fixtures"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _sample(asked: argparse.Namespace, found: list[AnyEdit]) -> list[AnyEdit]:
    """Draw from the edits as many as change what happens; all of those asked for by name."""
    if not asked.only:
        random.Random(asked.seed).shuffle(found)
    acting = (mutant for mutant in found if asked.only in mutant.name and acts(mutant, Path()))
    return list(islice(acting, (not asked.only and asked.sample) or None))


def _known(results: Path | None) -> dict[str, str]:
    if results is None or not results.exists():
        return {}
    return dict(json.loads(line) for line in results.read_text("utf-8").splitlines())


def _remember(results: Path | None, mutant: AnyEdit, found: str) -> None:
    if results is not None:
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps([mutant.name, found]) + "\n")


def _tell(chosen: list[AnyEdit], found: dict[str, str], tree: Path) -> None:
    from scipy.stats import binomtest

    broken = [mutant for mutant in chosen if found[mutant.name].startswith(BROKEN)]
    chosen = [mutant for mutant in chosen if mutant not in broken]
    survivors = [mutant for mutant in chosen if found[mutant.name] == SURVIVED]
    noticed = [mutant for mutant in chosen if BROKEN_PROMISE.search(found[mutant.name])]
    interval = binomtest(len(noticed), len(chosen)).proportion_ci(0.95, "exact")
    share = f"{len(noticed) / len(chosen):.1%} (95 % interval {interval.low:.1%} to {interval.high:.1%})"
    print(f"\nnoticed by an invariant {len(noticed)} of {len(chosen)}: {share}")
    for by, count in Counter(found[mutant.name].split(":")[0] for mutant in chosen).most_common():
        print(f"  {count:4}  {by}")
    otherwise = [mutant for mutant in chosen if mutant not in noticed and mutant not in survivors]
    # Whatever an adapter asserts, a module that cannot be imported and a child that hangs are no promise that was broken.
    for mutant in (*broken, *otherwise):
        print(f"  apart, {found[mutant.name]}: {mutant.name}")
    for mutant in survivors:
        print(f"\n{mutant.name}\n{mutant.diff(tree)}")


if __name__ == "__main__":
    main()
