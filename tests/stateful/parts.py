"""A part of the campaign that decides, in a process of its own: an example keeps no more than one core busy."""

from __future__ import annotations

import multiprocessing
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection

import pytest

from stateful.children import REAL
from stateful.wired import LOG
from stepdown_machine.campaign import campaign
from stepdown_machine.reach import Reach
from stepdown_machine.rules.turns import TurnMachine


@dataclass(frozen=True, slots=True)
class Part:
    """What came of it.

    Attributes:
        failure: What broke, with the program; empty after a green one.
        reach: What was seen.
        real: What really happened, see `children.REAL`; `hosted` answers came over HTTP.
    """

    failure: str
    reach: Reach
    real: Counter[str]


@contextmanager
def part_beside(
    machine: type[TurnMachine], examples: int, turns: int | None = None, **environment: str
) -> Iterator[Connection]:
    """Run a machine with other examples while others run here; yield where a `Part` will come from.

    Args:
        machine: What is run.
        examples: How many.
        turns: In each; by default as many as the profile says.
        environment: What the process is told, and this one is not.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(there, machine, examples, turns))
    with pytest.MonkeyPatch.context() as told:
        for name, value in environment.items():
            told.setenv(name, value)
        process.start()
    there.close()
    try:
        yield here
    finally:
        # Nobody waits for it where what runs here failed or was not asked for.
        process.terminate()
        process.join()
        here.close()


def _run(there: Connection, machine: type[TurnMachine], examples: int, turns: int | None) -> None:
    verdict = campaign(machine, seed_beside(machine), examples=examples, turns=turns)
    there.send(Part(verdict.output if verdict.claims else "", verdict.reach, REAL + Counter(hosted=len(LOG))))


def seed_beside(machine: type[TurnMachine]) -> int:
    """Return the seed of a machine's part beside: another one than that of its name."""
    return zlib.crc32(f"{machine.__name__}, the part beside".encode())


def together(one: Reach, other: Reach) -> None:
    """Add what another part has seen."""
    for field in fields(Reach):
        mine, its = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, Counter | int | float):
            setattr(one, field.name, mine + its)
