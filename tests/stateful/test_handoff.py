"""stepdown under the machine: everything that can happen, in any order."""

from __future__ import annotations

from stateful.adapter import StepdownSystem
from stepdown_machine.machine import HandoffMachine, case
from stepdown_machine.protocol import HandoffSystem


class StepdownMachine(HandoffMachine):
    """The whole machine, pointed at stepdown."""

    def system(self) -> HandoffSystem:
        return StepdownSystem()


TestStepdown = case(StepdownMachine)
