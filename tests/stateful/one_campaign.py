"""The campaign that decides, part after part in one process and without pytest: who notices an edit, and how.

`python -m stateful.one_campaign` ends with 0 where nobody does. What is found is not made smaller.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from stateful.environment import IN_FILES, ON_GRID
from stateful.every_value import said
from stateful.parts import seed_beside
from stateful.test_handoff import (
    ALONE,
    BESIDE,
    FILED,
    READ,
    TOLD,
    StepdownInvoices,
    StepdownMachine,
    StepdownPapers,
    StepdownWitnesses,
)
from stepdown_machine.campaign import CampaignOutcome, campaign
from stepdown_machine.restarts import name_seed
from stepdown_machine.rules.turns import TurnMachine


def _plain(machine: type[TurnMachine]) -> type[TurnMachine]:
    """Return a machine that leaves a failing program as long as it is: nobody reads it here."""
    return type(machine.__name__, (machine,), {"shortens": False})


def outcomes() -> Iterator[tuple[str, CampaignOutcome]]:
    """Play each part, with the seeds and examples that it has in `ci`; those on another scenario are another process's."""
    if not ON_GRID:
        machine, sizes = (StepdownPapers, FILED) if IN_FILES else (StepdownInvoices, READ)
        yield machine.__name__, campaign(_plain(machine), seed_beside(machine), **sizes)
        return
    for machine, examples in ALONE.items():
        yield machine.__name__, campaign(_plain(machine), name_seed(machine), examples=examples)
    told = campaign(_plain(StepdownWitnesses), seed_beside(StepdownWitnesses), **TOLD)
    yield StepdownWitnesses.__name__, told
    yield "the part beside", campaign(_plain(StepdownMachine), seed_beside(StepdownMachine), examples=BESIDE)


def verdict() -> str | None:
    """Return which part noticed something and what it broke."""
    return next((said(part, found.claims[0]) for part, found in outcomes() if found.claims), None)


if __name__ == "__main__":
    sys.exit(verdict())
