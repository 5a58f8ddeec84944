"""What a description does not declare is not performed, by any machine, in any rule."""

from dataclasses import replace

import pytest

from rotation import part
from stepdown_machine import operations as op
from stepdown_machine.adapter import AdapterError
from stepdown_machine.broken import system
from stepdown_machine.broken.adapter import ToySystem
from stepdown_machine.campaign import campaign
from stepdown_machine.machine import HandoffMachine, LearningMachine, RegistryMachine, RoutingMachine
from stepdown_machine.protocol import EVERYTHING, Answer, Description
from stepdown_machine.rules.turns import TurnMachine
from stepdown_machine.session import Session

MACHINES = (HandoffMachine, RoutingMachine, LearningMachine, RegistryMachine)
OPERATIONS = sorted(EVERYTHING, key=lambda each: each.__name__)
FOCUSED = [(machine, withdrawn) for withdrawn in OPERATIONS for machine in MACHINES[1:]]
"""The whole machine has every rule of the focused ones: of these a part is tried on each change."""


class Reduced(ToySystem):
    """The correct toy, one operation of which is not declared; it notes whatever it is asked to perform."""

    def __init__(self, withdrawn: type, performed: set[type]) -> None:
        super().__init__()
        self._withdrawn, self._performed = withdrawn, performed

    def describe(self) -> Description:
        whole = super().describe()
        return replace(whole, operations=whole.operations - {self._withdrawn})

    def perform(self, operation: op.Operation) -> Answer:
        self._performed |= {type(operation), *map(type, op.parts(operation))}
        return super().perform(operation)


@pytest.mark.parametrize(
    ("machine", "withdrawn"),
    [*((HandoffMachine, withdrawn) for withdrawn in OPERATIONS), *part(FOCUSED, of=6)],
    ids=lambda each: each.__name__,
)
def test_a_machine_performs_nothing_that_was_withdrawn_and_stays_green(
    machine: type[TurnMachine], withdrawn: type
) -> None:
    performed: set[type] = set()
    name = f"{machine.__name__}Without{withdrawn.__name__}"
    reduced = type(name, (machine,), {"system": lambda _self: Reduced(withdrawn, performed)})

    found = campaign(reduced, 1, examples=5, turns=10)

    assert found.claims == (), found.output
    assert performed
    assert withdrawn not in performed


def test_a_trial_refuses_what_is_not_declared_wherever_it_comes_from() -> None:
    performed: set[type] = set()
    session = Session(Reduced(op.Run, performed))

    for operation in (op.Run(0), op.Crash(op.Run(0), "called"), op.Rival(op.Audit(), op.Run(0))):
        with pytest.raises(AdapterError, match="does not declare"):
            session.act(operation)

    assert op.Run not in performed
    assert Session(system("correct")).can(op.Run(0))
