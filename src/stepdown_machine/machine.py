"""The machine: subclass it, override `system`, bind `case(YourMachine)` to a name in a test module.

class MyMachine(HandoffMachine):
def system(self) -> HandoffSystem:
return MyAdapter()

TestMyMachine = case(MyMachine)
"""

from __future__ import annotations

from typing import Any

from stepdown_machine.restarts import name_seed, own_seed, run
from stepdown_machine.rules.bases import Bases
from stepdown_machine.rules.chaos import Chaos
from stepdown_machine.rules.damage import DamageRules
from stepdown_machine.rules.discovery import Discovery
from stepdown_machine.rules.environment import Environment
from stepdown_machine.rules.inspection import Inspection
from stepdown_machine.rules.mute import Muteness
from stepdown_machine.rules.policy import Governing
from stepdown_machine.rules.registry import Registry
from stepdown_machine.rules.spending import Spending
from stepdown_machine.rules.succession import SuccessionRules
from stepdown_machine.rules.training import Training
from stepdown_machine.rules.turns import TurnMachine, turns
from stepdown_machine.rules.wording import WordingRules
from stepdown_machine.settings import deterministic, profile

__all__ = ["HandoffMachine", "LearningMachine", "RegistryMachine", "RoutingMachine", "TurnMachine", "case", "turns"]


class HandoffMachine(
    Chaos,
    WordingRules,
    Muteness,
    Bases,
    Spending,
    DamageRules,
    Discovery,
    Inspection,
    Registry,
    SuccessionRules,
    Training,
    Environment,
):
    """Everything that can happen, in fifteen rules."""


class RoutingMachine(WordingRules, Muteness, Bases, Spending, DamageRules, Discovery, Registry, Environment):
    """Who serves and why: policy, damage, environment and time, without training, kills and races."""


class LearningMachine(Discovery, Training, Registry, Governing, Inspection):
    """What is learned from whom: runs, exports, trainings and reports."""


class RegistryMachine(Chaos, Registry, SuccessionRules, Discovery, Training):
    """Who is active: kills, races and verdicts around the registry."""


def case(machine: type[TurnMachine], profile_name: str | None = None) -> Any:
    """Return the test case of a machine, with a profile's settings on that very class.

    Bind it to a name in a test module. Settings do not reach a subclass's test case by themselves, and a test case
    keeps the settings it had when it was first touched: hence this function, called in the module of the user.

    Args:
        machine: A subclass of one of the machines here.
        profile_name: `dev`, `ci`, `nightly` or `replay`; without one, what the environment or the pytest option says.
    """
    fixed = deterministic(profile_name) and own_seed(machine) is None
    start = name_seed(machine) if fixed else None

    class Started(machine.TestCase):  # type: ignore[name-defined, misc]
        settings = profile(profile_name)

        def runTest(self) -> None:  # noqa: N802 - unittest calls it so
            run(machine, self.settings, start)

        # By these it is known for what it is, to pytest and to HypoFuzz.
        vars(runTest).update(vars(machine.TestCase.runTest))

    Started.__name__, Started.__qualname__ = machine.TestCase.__name__, machine.TestCase.__qualname__
    return Started
