"""Faults that were fixed stay fixed: each program runs on stepdown, and fails on a toy that still has the fault."""

from __future__ import annotations

import pytest

from stateful.adapter import StepdownSystem
from stateful.programs import PROGRAMS, Program
from stepdown_machine.broken import system
from stepdown_machine.findings import Disagreement
from stepdown_machine.protocol import HandoffSystem
from stepdown_machine.session import Session

by_claim = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.claim)


@by_claim
def test_stepdown_keeps_what_was_once_broken(program: Program) -> None:
    perform(StepdownSystem(), program)


@by_claim
def test_the_program_fails_where_the_fault_is_and_nowhere_else(program: Program) -> None:
    perform(system("correct"), program)

    with pytest.raises(Disagreement):
        perform(system(program.variant), program)


def perform(adapter: HandoffSystem, program: Program) -> None:
    session = Session(adapter)
    try:
        for operation in program.operations:
            session.act(operation)
        session.look_again()
    finally:
        session.close()
