"""Evaluations that count no more, and what is measured anew."""

from __future__ import annotations

from stepdown_machine import operations as op
from stepdown_machine.model import Registered
from stepdown_machine.rules.policy import Governing
from stepdown_machine.values import Policy


class Measuring(Governing):
    """Bundles whose evaluation is of another world, or too many lessons away."""

    def _unmeasured(self, bundle: str, choice: int) -> tuple[op.Plain, ...]:
        """Let an evaluation count no more: the scenario is another one, or bundles are decoded otherwise."""
        version = self.session.model.version
        if choice % 2 and self.can(op.Redecode) and self.session.description.decodings[1:]:
            other: op.Plain = op.Redecode(self.session.description.decodings[1])
            own: op.Plain = op.Redecode("own")
        else:
            other, own = op.Revise(version + 1), op.Revise(version)
        # Measured as things are now it serves again, and what was measured before counts when that is back.
        return (*self._done(other, op.Evaluate(bundle)), op.Run(choice % 4, 1, 2), own)

    def _outdated(self, bundle: str) -> tuple[op.Plain, ...]:
        """Allow as many lessons as there were since, while nothing is taught; then let a coach teach one more."""
        self.tell(
            (op.SetPolicy(Policy(max_lessons=self._away(bundle))), op.Ask(0), op.Run(1, 3, 2), op.Promote(bundle, 0.5))
        )
        if self._away(bundle) == 0:
            self.act(op.Run(2, 2, 1))
        self.act(op.SetPolicy(Policy(max_lessons=max(0.0, self._away(bundle) - 1.0))))
        return op.Evaluate(bundle), op.Ask(1), op.SetPolicy(Policy())

    def _away(self, bundle: str) -> float:
        return float(abs(self.session.model.known - self._registered(bundle).knowledge))

    def _done(self, operation: op.Plain, undo: op.Plain) -> tuple[op.Plain, ...]:
        self.act(operation)
        return (undo,)

    def _registered(self, bundle: str) -> Registered:
        registered = self.session.registered(bundle)
        assert registered is not None
        return registered
