"""Imported by the fork server alone: it says once what its children would each have to say for the first time.

No bundle is asked here, because that would use mlx.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from stateful.doing import answered
from stateful.planting import plant
from stateful.rehearsal import rehearse
from stepdown.workspace import Workspace
from stepdown_machine import operations as op
from stepdown_machine.values import Policy

ROOM = Path(os.environ["STEPDOWN_MACHINE_ROOM"])


def everything(workspace: Workspace) -> None:
    """Do what a process may be sent to do."""
    answered(workspace, op.Run(0, 1, 2))
    answered(workspace, op.Export())
    bundle = plant(workspace, ROOM, "other-scenario").bundle
    for operation in (
        op.Disable(bundle),
        op.Enable(bundle),
        op.Activate(bundle),
        op.Run(1),
        op.SetPolicy(Policy(min_score=0.5)),
        op.SetValidator("budget", enabled=False),
        op.Rollback(),
        op.Retire(bundle),
        op.Delete(bundle),
        op.Prune(),
    ):
        answered(workspace, operation)


rehearse(ROOM, everything)
# A child runs its grandparent's program first, to find what was defined there, unless it believes that this was done: a
# fifth of a second, for nothing.
main = sys.modules["__main__"]
main.__file__ = os.environ["STEPDOWN_MACHINE_MAIN"]
main.__spec__ = ModuleSpec(os.environ["STEPDOWN_MACHINE_MAIN"], None)
# Whatever is here stays, and a collector that looked at it would copy the pages it lies on, in every child.
gc.collect()
gc.freeze()
