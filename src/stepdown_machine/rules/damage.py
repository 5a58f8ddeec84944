"""What happens to a bundle's files behind the system's back."""

from __future__ import annotations

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.protocol import DAMAGES, MUTE, PLANTS
from stepdown_machine.rules.picking import RUNS, pick
from stepdown_machine.rules.turns import TurnMachine, turn


class DamageRules(TurnMachine):
    """Files go, change, come back; bundles appear that do not belong."""

    @turn(
        op.Damage,
        op.Restore,
        op.Plant,
        bundle=pick("bundle"),
        how=st.sampled_from((*DAMAGES, *PLANTS, MUTE, "restore", "restore", "restore")),
        runs=RUNS,
    )
    def damage(self, bundle: str, how: str, runs: int) -> None:
        """Damage a bundle's files, restore them, or put a bundle in its place that does not belong."""
        registered = self.session.registered(bundle)
        plants = (*PLANTS, MUTE)
        if how in plants or registered is None or registered.deleted:
            self.act(op.Plant(how if how in plants else (*self.session.description.plants, PLANTS[0])[0]))
        else:
            if registered.files != "whole":
                self.act(op.Restore(bundle))
            if how in self.session.description.damages:
                self.act(op.Damage(bundle, how))
        self.follow(runs)
