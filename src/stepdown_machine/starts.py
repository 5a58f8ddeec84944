"""Fresh starts: a long campaign is many short ones.

After its first ten examples Hypothesis makes most others from an earlier one, by repeating a part of it: the same rules stay
switched off, and a campaign of a hundred examples walks the ways of twenty. Begun anew it draws them all.
"""

from __future__ import annotations

import zlib
from math import ceil

from hypothesis import Phase, core, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

FRESH = 12
"""Most examples of one start."""


def run(machine: type[RuleBasedStateMachine], chosen: settings, start: int | None) -> None:
    """Run a machine as often as its settings say, a few examples at a time; the first failure ends it.

    Args:
        machine: The machine.
        chosen: Its settings. Saved examples are tried once; without a phase that generates there is one start.
        start: A seed from which each start gets its own; without one, each is as random as Hypothesis is told to be.
    """
    start = start if start is not None else core.global_force_seed
    for number, examples in enumerate(shares(chosen)):
        if start is not None:
            machine = seed(zlib.crc32(f"{start}/{number}".encode()))(machine)
        phases = [phase for phase in chosen.phases if not number or phase is not Phase.reuse]
        run_state_machine_as_test(machine, settings=settings(chosen, max_examples=examples, phases=phases))


def shares(chosen: settings) -> list[int]:
    """Return how many examples each start has: all alike, and none more than `FRESH` of them."""
    whole = chosen.max_examples
    starts = ceil(whole / FRESH) if Phase.generate in chosen.phases else 1
    return [whole * (number + 1) // starts - whole * number // starts for number in range(starts)]
