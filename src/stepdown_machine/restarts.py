"""Fresh starts: a long campaign is many short ones.

After its first ten examples Hypothesis makes most others from an earlier one, by repeating a part of it: the same rules stay
switched off, and a campaign of a hundred examples walks the ways of twenty. Begun anew it draws them all. The price: each start
begins with the simplest example there is, and Hypothesis' own statistics are of the last start alone.
"""

from __future__ import annotations

import unittest
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from math import ceil

from hypothesis import Phase, core, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

FRESH = 12
"""Most examples of one start."""
SEED = "_hypothesis_internal_use_seed"
"""Where Hypothesis looks for the seed of a machine; its `seed` decorator writes it there for good."""


def run(machine: type[RuleBasedStateMachine], chosen: settings, start: int | None) -> None:
    """Run a machine as often as its settings say, a few examples at a time; the first failure ends it.

    Saved examples come first, by themselves: a short start would try only two of them.

    Args:
        machine: The machine.
        chosen: Its settings.
        start: A seed from which each start gets its own. Without one it is what the machine's `@seed` says, or what
            `--hypothesis-seed` says, or follows from its name where its settings ask for no chance; else each start is random.
    """
    named = name_seed(machine) if chosen.derandomize else None
    given = (start, own_seed(machine), named, core.global_force_seed)
    start = next((each for each in given if each is not None), None)
    saved, drawn = ([each for each in chosen.phases if each is not other] for other in (Phase.generate, Phase.reuse))
    starts = shares(chosen)
    if Phase.reuse in chosen.phases:
        # Where nothing is saved Hypothesis skips the test, which is right only when nothing follows.
        with suppress(unittest.SkipTest) if starts else nullcontext():
            run_state_machine_as_test(machine, settings=settings(chosen, phases=saved))
    for number, examples in enumerate(starts):
        with _seeded(machine, start, number):
            run_state_machine_as_test(machine, settings=settings(chosen, max_examples=examples, phases=drawn))


def own_seed(machine: type[RuleBasedStateMachine]) -> int | None:
    """Return the seed that a machine was decorated with, if it was."""
    seed: int | None = getattr(machine, SEED, None)
    return seed


def name_seed(machine: type[RuleBasedStateMachine]) -> int:
    """Return a seed that every machine has for itself, the same every time."""
    return zlib.crc32(machine.__qualname__.encode())


def shares(chosen: settings) -> list[int]:
    """Return how many examples each start has: none more than `FRESH`, and the first not fewer than any other."""
    whole = chosen.max_examples
    starts = ceil(whole / FRESH) if Phase.generate in chosen.phases else 0
    return sorted((whole * (number + 1) // starts - whole * number // starts for number in range(starts)), reverse=True)


@contextmanager
def _seeded(machine: type[RuleBasedStateMachine], start: int | None, number: int) -> Iterator[None]:
    """Give a machine the seed of one start, and take it back: subclasses would inherit it."""
    if start is None:
        yield
        return
    before = vars(machine).get(SEED)
    # The first start has the very seed that was asked for, as Hypothesis tells people to.
    setattr(machine, SEED, zlib.crc32(f"{start}/{number}".encode()) if number else start)
    try:
        yield
    finally:
        setattr(machine, SEED, before) if before is not None else delattr(machine, SEED)
