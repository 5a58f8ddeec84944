"""Activating and switching bundles."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.rules.stage import RUNS, Stage, pick, turn

Switch: TypeAlias = op.Disable | op.Enable | op.Retire | op.Delete
SWITCHES: dict[str, type[Switch]] = {
    "disable": op.Disable,
    "enable": op.Enable,
    "retire": op.Retire,
    "delete": op.Delete,
}


class Registry(Stage):
    """What an operator does to bundles."""

    @turn(bundle=pick("bundle"))
    def activate(self, bundle: str) -> None:
        """Make a bundle its slot's."""
        if not self._planted(bundle):
            self.act(op.Activate(bundle))

    @turn(
        bundle=pick("bundle"),
        to=st.sampled_from((*["disable", "enable"] * 6, "retire", "delete")),
        runs=RUNS,
    )
    def switch(self, bundle: str, to: str, runs: int) -> None:
        """Disable, enable, retire or delete a bundle."""
        self.act(SWITCHES[to](bundle))
        if to in ("retire", "delete"):
            # It is final: nothing brings the bundle back.
            self.act(op.Enable(bundle))
        self.follow(runs)

    def _planted(self, bundle: str) -> bool:
        """Tell whether a bundle does not belong: whether such a one may be activated again is not in the contract."""
        known = self.trial.known(bundle)
        return known is not None and not known.belongs
