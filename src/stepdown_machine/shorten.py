"""Leave out of a failing program what it does not need, turn by turn.

Hypothesis deletes five choices at a time, and a turn whose first picks are switched off takes more: turns that do nothing
can stay in a program that it calls the smallest. Here whole turns are taken away, and words of what an example met.
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
    """Yield the program with many turns less, then with fewer, the late ones first; then with one encounter less."""
    begin, *rest = program
    for size in (8, 4, 2, 1):
        for end in range(len(rest), size - 1, -1):
            yield (begin, *rest[: end - size], *rest[end:])
    name, drawn = begin
    met = drawn.get("met", ())
    for position in range(len(met)):
        yield ((name, {**drawn, "met": (*met[:position], *met[position + 1 :])}), *rest)


def spelled(program: Program) -> list[str]:
    """Spell a program as Hypothesis does."""
    return [f"state.{name}({', '.join(f'{key}={value!r}' for key, value in drawn.items())})" for name, drawn in program]
