"""A bundle that is whole and that nobody can load, and a frontier that is not there."""

from __future__ import annotations

from stepdown_machine import operations as op
from stepdown_machine.protocol import MISSING, MUTE
from stepdown_machine.rules.steering import Steering
from stepdown_machine.rules.turns import Episode
from stepdown_machine.values import Bundle


class Muteness(Steering):
    """The way to it, past it, and away."""

    def episodes(self) -> dict[str, Episode]:
        """Add what becomes of a slot whose bundle cannot be loaded."""
        return {**super().episodes(), MUTE: self._mute, MISSING: self._missing}

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

    def _missing(self, choice: int) -> None:
        """Take the frontier away: local goes on serving, and where the slot is empty nothing begins."""
        known = MISSING in self.session.description.outages and MUTE in self.session.description.plants
        before = self._fit(weak=False) if known else None
        bundle = self.act(op.Plant(MUTE)) if before is not None else None
        if before is None or not isinstance(bundle, Bundle):
            return
        mute = self.session.names.name("bundle", bundle.bundle)
        self.tell((op.Disturb(frontier=MISSING), op.Run(choice % 4, 1, 2), op.Delete(mute)))
        self.tell((op.Run(choice % 4), op.Ask(choice % 4), op.Promote(before, 0.5), op.Activate(before)))
        self.tell((op.Run(choice % 4, 2, 1), op.Promote(before, 0.5), op.Disable(before), op.Run(0), op.Enable(before)))
        self._report()
        self.tell((op.Disturb(), op.Audit()))
