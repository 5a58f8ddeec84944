"""Say which broken variants the machine kills, how sure that is, and how short the programs are that show it.

python -m stepdown_machine.kill_matrix --seeds 20
python -m stepdown_machine.kill_matrix --seeds 1 --shrink
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from statistics import median

from stepdown_machine.broken import VARIANTS, system
from stepdown_machine.campaign import CampaignOutcome, campaign
from stepdown_machine.invariants import CLAIMS
from stepdown_machine.machine import HandoffMachine
from stepdown_machine.protocol import HandoffSystem
from stepdown_machine.script import script


@dataclass(frozen=True, slots=True)
class VariantRun:
    """One variant under one seed."""

    variant: str
    seed: int
    outcome: CampaignOutcome
    seconds: float
    reproduced: bool | None = None
    """Whether its script fails alike, in a process of its own; `None` where nobody looked."""

    @property
    def killed(self) -> bool:
        """Whether an invariant noticed."""
        return bool(self.outcome.claims) and not self.broken

    @property
    def broken(self) -> bool:
        """Whether the campaign ended in something that no invariant said: nothing is known of the variant then."""
        return not set(self.outcome.claims) <= CLAIMS.keys()


def machine_for(variant: str) -> type[HandoffMachine]:
    """Return a fresh machine class for a variant: settings, seeds and counts belong to a class."""
    name = "".join(part.title() for part in variant.split("-")) + "Machine"
    return type(name, (HandoffMachine,), {"system": lambda _self: _fresh(variant)})


def _fresh(variant: str) -> HandoffSystem:
    system_: HandoffSystem = system(variant)
    return system_


def variant_runs(
    variants: Iterable[str], seeds: Iterable[int], *, shrink: bool = False, profile: str = "ci"
) -> Iterator[VariantRun]:
    """Yield the outcome of each variant under each seed."""
    run = partial(campaign, profile_name=profile, shrink=shrink)
    for seed in seeds:
        for variant in variants:
            began = time.perf_counter()
            outcome = run(machine_for(variant), seed)
            seconds = time.perf_counter() - began
            alike = reproduced(outcome) if shrink and outcome.session else None
            # All that a failing session has seen would be kept for every variant and seed, and looked at by the collector.
            yield VariantRun(variant, seed, replace(outcome, session=None), seconds, alike)


def reproduced(outcome: CampaignOutcome) -> bool:
    """Run the script of a failure, and tell whether it shows one of the same broken promises."""
    assert outcome.session is not None
    text = script(outcome.session.description.origin, outcome.session.operations, "", "A script of the kill matrix.")
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    return ran.returncode == 1 and any(f"{claim}: " in ran.stderr for claim in outcome.claims)


def lower_bound(killed: int, tried: int, z: float = 1.6449) -> float:
    """Return the lower 95 % bound of a share (Wilson score interval, one-sided)."""
    if tried == 0:
        return 0.0
    share = killed / tried
    middle = share + z * z / (2 * tried)
    spread = z * sqrt(share * (1 - share) / tried + z * z / (4 * tried * tried))
    return (middle - spread) / (1 + z * z / tried)


def main(argv: list[str] | None = None) -> int:
    """Run the matrix and print it; exit 1 when the lower bound of the kill rate is under 97 %."""
    parser = argparse.ArgumentParser(prog="python -m stepdown_machine.kill_matrix", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds (default: 1)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--shrink", action="store_true", help="shrink every failure and report program lengths")
    parser.add_argument("--profile", default="ci", help="profile that says how long (default: ci)")
    parser.add_argument("variants", nargs="*", help="only these variants")
    asked = parser.parse_args(argv)
    wanted = asked.variants or list(VARIANTS)
    if unknown := set(wanted) - {"correct", *VARIANTS}:
        parser.error(
            f"there is no variant {', '.join(sorted(unknown))}; stepdown_machine.broken.VARIANTS names them all"
        )
    done: list[VariantRun] = []
    seeds = range(asked.first, asked.first + asked.seeds)
    for one in variant_runs(wanted, seeds, shrink=asked.shrink, profile=asked.profile):
        done.append(one)
        claims = " ".join(one.outcome.claims) or "ALIVE"
        length = (
            f"{one.outcome.turns:3} turns{', script PASSES' if one.reproduced is False else ''}" if asked.shrink else ""
        )
        say(f"seed {one.seed:2}  {one.seconds:6.2f} s  {one.variant:28} {claims:16} {length}")
    say(summary(done, shrunk=asked.shrink))
    return 0 if lower_bound(sum(one.killed for one in done), len(done)) >= 0.97 else 1


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def summary(done: list[VariantRun], *, shrunk: bool) -> str:
    """Say how many were killed, how sure that is, who alone noticed what, and how long the programs are."""
    killed = sum(one.killed for one in done)
    alone = Counter(one.outcome.claims[0] for one in done if one.killed and len(one.outcome.claims) == 1)
    alive = Counter(one.variant for one in done if not one.outcome.claims)
    broken = [f"{one.variant} ({' '.join(one.outcome.claims)})" for one in done if one.broken]
    lines = [
        f"{killed} of {len(done)} killed = {killed / len(done):.2%}, lower 95 % bound {lower_bound(killed, len(done)):.2%}",
        f"seconds: median {median(one.seconds for one in done):.2f}, all {sum(one.seconds for one in done):.0f}",
        "sole killer: " + ", ".join(f"{claim} {count}" for claim, count in sorted(alone.items())),
        "alive: " + (", ".join(f"{name} x{count}" for name, count in alive.items()) or "none"),
        "broken harness, no kill: " + (", ".join(broken) or "none"),
    ]
    if shrunk and killed:
        lengths = [one.outcome.turns for one in done if one.killed]
        lines.append(f"shrunk programs: median {median(lengths):g} turns, longest {max(lengths)}")
        alike = sum(one.reproduced is True for one in done)
        lines.append(f"scripts that fail alike: {alike} of {killed}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
