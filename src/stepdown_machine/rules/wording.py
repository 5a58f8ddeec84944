"""A prompt that is asked with another text, and with its own again: what was learned with one holds for it alone."""

from __future__ import annotations

from stepdown_machine import operations as op
from stepdown_machine.model.registered import OWN
from stepdown_machine.rules.steering import Steering
from stepdown_machine.rules.turns import Episode
from stepdown_machine.values import Bundle


class WordingRules(Steering):
    """The way to another text, and back."""

    def episodes(self) -> dict[str, Episode]:
        """Add what is learned with another text, beside what was learned before."""
        return {**super().episodes(), "reword": self._reword}

    def _fit(self, *, weak: bool) -> str | None:
        if self.session.model.text != OWN:
            self.act(op.Reword(OWN))
        return super()._fit(weak=weak)

    def _cause(self, cause: str, bundle: str, choice: int) -> tuple[op.Plain, ...]:
        """Bring one cause about; a bundle does not fit as well where the text that it learned is another."""
        plants = self.can(op.Plant) and bool(self.session.description.plants)
        if cause == "bundle-incompatible" and self._others() and (choice % 2 or not plants):
            return self._done(op.Reword(self._others()[choice % len(self._others())]), op.Reword(OWN))
        return super()._cause(cause, bundle, choice)

    def _others(self) -> tuple[str, ...]:
        return self.session.description.texts[1:] if self.can(op.Reword) else ()

    def _reword(self, choice: int) -> None:
        """Ask with another text: what was learned does not serve, and what is learned now does, until the text is back."""
        others = self._others()
        before = self._fit(weak=False) if others else None
        if before is None:
            return
        self.tell((op.Run(0, 1, max(2, self.session.description.min_records)), op.Export()))
        old = self.session.names.of("dataset")[-1:]
        self.act(op.Reword(others[choice % len(others)]))
        self.tell((op.Run(choice % 4), op.Activate(before), op.Promote(before, 0.5), op.Export(include_local=True)))
        self.tell(op.Train(name, self.session.description.plans[0]) for name in old)
        self.tell((op.Run(0, 1, max(3, self.session.description.min_records)), op.Export(), op.Export(kept_only=True)))
        new = self._learned(old)
        if new is not None:
            self.tell((op.Activate(new), op.Run(choice % 4), op.Rollback(), op.Promote(new, 0.5), op.Run(1)))
        if choice % 4 != 3:
            self.tell((op.Reword(OWN), op.Run(choice % 4), op.Rollback(), op.Run(1, 1, 2), op.Export(), op.Audit()))

    def _learned(self, old: tuple[str, ...]) -> str | None:
        """Train from what was asked with the text of now, if it can be exported."""
        datasets = [name for name in self.session.names.of("dataset")[-1:] if name not in old]
        bundle = self.act(op.Train(datasets[0], self.session.description.plans[0])) if datasets else None
        return self.session.names.name("bundle", bundle.bundle) if isinstance(bundle, Bundle) else None
