"""Activating and switching bundles by hand."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.rules.picking import RUNS, pick, planted
from stepdown_machine.rules.turns import TurnMachine, turn

Switch: TypeAlias = op.Activate | op.Disable | op.Enable | op.Retire | op.Delete
SWITCHES: dict[str, type[Switch]] = {
    "activate": op.Activate,
    "disable": op.Disable,
    "enable": op.Enable,
    "retire": op.Retire,
    "delete": op.Delete,
}


class Registry(TurnMachine):
    """What an operator does to bundles."""

    @turn(
        *SWITCHES.values(),
        bundle=pick("bundle"),
        to=st.sampled_from((*["activate"] * 6, *["disable", "enable"] * 5, "retire", "delete")),
        runs=RUNS,
    )
    def switch(self, bundle: str, to: str, runs: int) -> None:
        """Activate, disable, enable, retire or delete a bundle by hand."""
        if to != "activate" or not planted(self, bundle):
            self.act(SWITCHES[to](bundle))
        if to in ("retire", "delete"):
            # It is final: nothing brings the bundle back.
            self.act(op.Enable(bundle))
        self.follow(runs)
