"""A bundle that is whole, and that nobody can load."""

from __future__ import annotations

from stepdown_machine import operations as op
from stepdown_machine.protocol import MUTE
from stepdown_machine.rules.steering import Steering
from stepdown_machine.rules.turns import Episode
from stepdown_machine.values import Bundle


class Muteness(Steering):
    """The way to it, past it, and away."""

    def episodes(self) -> dict[str, Episode]:
        """Add what becomes of a slot whose bundle cannot be loaded."""
        return {**super().episodes(), MUTE: self._mute}

    def _mute(self, choice: int) -> None:
        """Put a bundle in the slot that nobody can load: it fails, nobody is compared with it, and no way leads back to it."""
        before = self._fit(weak=False) if MUTE in self.session.description.plants else None
        bundle = self.act(op.Plant(MUTE)) if before is not None else None
        if before is None or not isinstance(bundle, Bundle):
            return
        mute = self.session.names.name("bundle", bundle.bundle)
        self.tell(
            (op.Run(choice % 4, 1, 2), op.Route("competitor", choice), op.Promote(before, 0.5), op.Promote(mute, 0.5))
        )
        self._report()
        self.tell((op.Activate(mute), op.Activate(before), op.Rollback(), op.Run(choice % 4), op.Prune(mute)))
        self.tell((op.Activate(mute), op.Rollback(), op.Audit(), op.Delete(mute), op.Activate(before)))
