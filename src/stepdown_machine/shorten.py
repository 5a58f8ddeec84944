"""Leave out of a failing program what it does not need, turn by turn.

Hypothesis deletes five choices at a time, and a turn whose first picks are switched off takes more: turns that do nothing
can stay in a program that it calls the smallest. Here whole turns are taken away, and episodes of its warm-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Turn: TypeAlias = tuple[str, dict[str, Any]]
Program: TypeAlias = tuple[Turn, ...]

LONGEST = 16
"""Turns of a program that is worth it: one that was never shrunk would take minutes."""


def shorten(program: Program, fails: Callable[[Program], bool]) -> Program:
    """Return the program without whatever it fails without.

    Args:
        program: Turns in order; the first one begins.
        fails: Tells whether a program still shows the same failure. It is asked about ever shorter ones.
    """
    if len(program) > LONGEST:
        return program
    while (shorter := next(filter(fails, _parts(program)), None)) is not None:
        program = shorter
    return program


def _parts(program: Program) -> Iterator[Program]:
    """Yield the program with many turns less, then with fewer, the late ones first; then with one episode less."""
    begin, *rest = program
    for size in (8, 4, 2, 1):
        for end in range(len(rest), size - 1, -1):
            yield (begin, *rest[: end - size], *rest[end:])
    name, drawn = begin
    warm_up = drawn.get("warm_up", ())
    for position in range(len(warm_up)):
        yield ((name, {**drawn, "warm_up": (*warm_up[:position], *warm_up[position + 1 :])}), *rest)


def spelled(program: Program) -> list[str]:
    """Spell a program as Hypothesis does."""
    return [f"state.{name}({', '.join(f'{key}={value!r}' for key, value in drawn.items())})" for name, drawn in program]
