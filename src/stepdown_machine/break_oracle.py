"""Break the oracle: edit `model/`, `semantics`, `changes` and `invariants/` in one place at a time, and see who notices.

python -m stepdown_machine.break_oracle --sample 40 --seed 1 --jobs 2

An edit that says another contract makes the correct toy fail: a `ci` campaign, in a process of its own. An edit that only
looks away cannot; it is noticed when a broken variant that the sound oracle kills goes free. What survives both is a claim
that no campaign exercises, unless `explained` says why nothing can notice it. A campaign that breaks is counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stepdown_machine.edits import Edit, edits
from stepdown_machine.explained import reason

PACKAGE = Path(__file__).parent
FOUND = re.compile(r'Finding\(\s*"(\w+)"')
"""Finds the claims of a module, be it an invariant or a part of one."""
FAILS, FREES, BROKEN, HANGS, SURVIVED = "fails", "frees", "broken", "hangs", "survived"
FEWER = 24
"""Examples of a short campaign: nearly all variants are killed in far fewer."""


@dataclass(frozen=True, slots=True)
class Hunt:
    """How each edit is hunted.

    Attributes:
        seeds: Of the campaigns on the correct toy, in turn until one fails.
        examples: Of each; `None` as many as `ci` has.
        patience: Seconds after which an edit hangs, and is ended.
    """

    seeds: tuple[int, ...]
    examples: int | None
    patience: float

    def notice(self, edit: Edit) -> tuple[str, str]:
        """Return what became of an edit, and by what."""
        task = {"path": edit.path, "number": edit.number, "seeds": self.seeds, "examples": self.examples}
        tried = variants(edit.path)
        while True:
            kind, by = child(task | {"variants": tried, "seed": self.seeds[0], "fewer": FEWER}, self.patience)
            if kind != FREES or killed(by, self.seeds[0], self.patience):
                return kind, by
            # So short a campaign misses this one with the sound oracle too.
            tried = tuple(name for name in tried if name != by)


def child(asked: dict[str, Any], patience: float) -> tuple[str, str]:
    """Run campaigns under an edited oracle in a process of its own."""
    command = [sys.executable, "-m", "stepdown_machine.edited_oracle", json.dumps(asked)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *filter(None, sys.path)])}
    try:
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=patience or None
        )
    except subprocess.TimeoutExpired:
        return HANGS, f"after {patience:g} s"
    if ran.returncode:
        return BROKEN, (ran.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    verdict = json.loads(ran.stdout.splitlines()[-1])
    return verdict["kind"], verdict["by"]


@cache
def killed(variant: str, seed: int, patience: float) -> bool:
    """Tell whether the sound oracle kills a variant in the same campaign."""
    asked = {"path": "", "number": 0, "seeds": (), "examples": None, "variants": [variant]}
    return child(asked | {"seed": seed, "fewer": FEWER}, patience)[0] != FREES


@cache
def variants(path: str) -> tuple[str, ...]:
    """Name the variants that an edit of a module could let go: those of the claims it finds broken, or one of every claim."""
    from stepdown_machine.broken import VARIANTS

    own = set(FOUND.findall((PACKAGE / path).read_text("utf-8")))
    first = {variant.claim: name for name, variant in reversed(list(VARIANTS.items()))}
    return tuple(name for name, variant in VARIANTS.items() if variant.claim in own) or tuple(first.values())


def oracle(only: str = "") -> list[Edit]:
    """Return every edit of the oracle, or of those modules whose path holds a word."""
    single = [PACKAGE / f"{name}.py" for name in ("semantics", "changes")]
    paths = [*(PACKAGE / "model").glob("*.py"), *single, *(PACKAGE / "invariants").glob("*.py")]
    return [edit for edit in edits(PACKAGE, sorted(paths)) if only in edit.path]


def main(argv: list[str] | None = None) -> int:
    """Hunt a sample and print what came of it; exit 1 when something survives that is not explained."""
    parser = argparse.ArgumentParser(
        prog="python -m stepdown_machine.break_oracle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=1, help="campaigns on the correct toy, at most (default: 1)")
    parser.add_argument("--only", default="", metavar="FILE", help="modules whose path holds this, such as breaker")
    parser.add_argument("--sample", type=int, default=0, help="how many edits, drawn by --seed (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    parser.add_argument("--examples", type=int, help="examples of each campaign (default: as many as ci has)")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds after which an edit hangs (default: 900)")
    parser.add_argument("--jobs", type=int, default=1, help="edits at a time (default: 1)")
    parser.add_argument("--list", action="store_true", help="print the edits, and hunt none")
    asked = parser.parse_args(argv)
    chosen = oracle(asked.only)
    if asked.sample:
        random.Random(asked.seed).shuffle(chosen)
        chosen = sorted(chosen[: asked.sample], key=lambda edit: (edit.path, edit.number))
    if asked.list:
        say("\n".join(edit.name for edit in chosen))
        return 0
    hunt = Hunt(tuple(range(max(1, asked.seeds))), asked.examples, asked.timeout)
    outcomes: dict[Edit, tuple[str, str]] = {}
    with ThreadPoolExecutor(asked.jobs) as pool:
        for edit, (kind, by) in zip(chosen, pool.map(hunt.notice, chosen), strict=True):
            outcomes[edit] = kind, by
            say(f"{len(outcomes)}/{len(chosen)} {kind:8} {by:24} {edit.name}")
    say("\n" + "\n".join(summary(outcomes)))
    return 1 if survivors(outcomes) else 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def survivors(outcomes: dict[Edit, tuple[str, str]]) -> list[Edit]:
    """Return the edits that nothing noticed and nobody explained."""
    return [edit for edit, (kind, _) in outcomes.items() if kind == SURVIVED and not reason(edit)]


def summary(outcomes: dict[Edit, tuple[str, str]]) -> Iterator[str]:
    """Say how many were noticed by what, and list those that were not."""
    count = Counter(kind for kind, _ in outcomes.values())
    open_ = survivors(outcomes)
    counted = count[FAILS] + count[FREES] + len(open_)
    share = f" = {1 - len(open_) / counted:.1%}" if counted else ""
    yield f"{counted - len(open_)} of {counted} edits noticed{share}"
    yield f"  {count[FAILS]:4}  the correct toy fails"
    yield f"  {count[FREES]:4}  a broken variant goes free"
    yield f"  {len(open_):4}  survived"
    yield f"apart: {count[SURVIVED] - len(open_)} explained, {count[BROKEN]} broke the harness, {count[HANGS]} hung"
    yield from (f"survived  {edit.name}" for edit in open_)


if __name__ == "__main__":
    sys.exit(main())
