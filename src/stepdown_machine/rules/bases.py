"""What lies below a bundle: a base that goes, changes, is another one, and comes back; and trainings that are killed on it."""

from __future__ import annotations

from stepdown_machine import operations as op
from stepdown_machine.rules.steering import Steering
from stepdown_machine.rules.turns import Episode
from stepdown_machine.values import Bundle

BASE = "base-mismatch"


class Bases(Steering):
    """The way to a bundle that has lost its base, and back."""

    def episodes(self) -> dict[str, Episode]:
        """Add a training that is killed on its way and gone on with."""
        return {**super().episodes(), "train on": self._train_on}

    def _lead(self, cause: str, choice: int) -> None:
        """Lead to every reason; this one needs a bundle that was tuned."""
        if cause != BASE or not self.session.can(cause):
            super()._lead(cause, choice)
            return
        self.led_to[cause] += 1
        before = self._fit(weak=False)
        bundle = self._tuned(choice)
        if bundle is None:
            self.act(op.Run(choice % 4))
            return
        self._heal(bundle)
        self._take_away(bundle, choice)
        self.act(op.SetBase("own"))
        self.act(op.Run(choice % 4))
        self._report()
        if before is not None:
            self._way_back(before, bundle, choice)

    def _take_away(self, bundle: str, choice: int) -> None:
        """Let each other thing lie there in turn: what may not serve may not be activated either."""
        others = self.session.description.bases[1:]
        for number, base in enumerate(others):
            self.tell((op.SetBase(base), op.Activate(bundle)))
            if number == choice % len(others):
                self.act(op.Run(choice % 3, 2, 9))
                self._report()
            else:
                self.act(op.Run(choice % 4))
        if choice % 4 == 0:
            # Another base gives another bundle, and neither answers with the base of the other.
            self._on_another(bundle, choice)

    def _on_another(self, bundle: str, choice: int) -> None:
        for base in self.session.description.bases[1:]:
            self.act(op.SetBase(base))
            bundle_ = self.act(self._job(choice))
            if isinstance(bundle_, Bundle):
                other = self.session.names.name("bundle", bundle_.bundle)
                self.tell((op.Activate(other), op.Run(0), op.SetBase("own"), op.Run(1), op.Activate(bundle)))

    def _way_back(self, before: str, bundle: str, choice: int) -> None:
        """Go on to another bundle: no way leads back to one that has no base."""
        if before == bundle or not self.can(op.Activate):
            return
        # What stands alone serves as ever.
        self.tell((op.Activate(before), op.SetBase("gone"), op.Run(choice % 4), op.Rollback(), op.SetBase("own")))
        if choice % 3 == 0:
            self.act(op.Rollback())
        self.act(op.Activate(before))
        if choice % 8 != 7 or self.session.description.tuned[0] not in self.session.description.plans:
            # What answers with a base takes longer than all others, in a real system.
            self.act(op.Delete(bundle))

    def _tuned(self, choice: int) -> str | None:
        """Name a bundle that was tuned from the base that lies here now, tuning one where there is none."""
        model, names = self.session.model, self.session.names
        for name, id_ in names.ids["bundle"].items():
            registered = model.bundles[id_]
            if registered.base == model.base and not registered.retired and model.counts(registered):
                return name
        bundle = self.act(self._job(choice)) if names.of("dataset") else None
        return names.name("bundle", bundle.bundle) if isinstance(bundle, Bundle) else None

    def _job(self, choice: int) -> op.Train:
        """Return a tuning from the first dataset that is as it was: it is mostly the same, and done before."""
        session, tuned = self.session, self.session.description.tuned
        whole = [
            name
            for name in session.names.of("dataset")
            if session.names.ids["dataset"][name] not in session.model.tampered
        ]
        return op.Train((whole or ["no-such-dataset"])[0], tuned[choice % len(tuned)])

    def _train_on(self, choice: int) -> None:
        """Kill a tuning on its way and go on with it: what comes of it is what an unbroken one gives."""
        tuned = self.session.description.tuned
        if not tuned or "checkpointed" not in self.session.description.points.get("Train", ()):
            return
        self._fit(weak=False)
        first, second = self._job(choice), self._job(choice + 1)
        again = op.Train(first.dataset, first.plan, fresh=True, resume=True)
        # Of another plan nothing was begun, and this one is begun anew.
        other = op.Train(second.dataset, second.plan, fresh=True, resume=True)
        kill = op.Crash(op.Train(first.dataset, first.plan, fresh=True), "checkpointed")
        story = (kill, again, first, other) if choice % 2 else (first, kill, other, again)
        self.tell((*story, op.Audit()))
