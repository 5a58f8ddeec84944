"""Steering: one rule that leads to each fallback and back, beside the rules that may happen upon them.

Left to chance, most routed steps find no bundle at all, and some reasons are never seen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.capabilities import reasons_of
from stepdown_machine.model import REASONS, Breaker
from stepdown_machine.names import UNKNOWN
from stepdown_machine.protocol import MUTE
from stepdown_machine.rules.cooling import tour
from stepdown_machine.rules.measuring import Measuring
from stepdown_machine.rules.policy import unchanged
from stepdown_machine.rules.turns import Episode, turn
from stepdown_machine.values import Policy

FAILURES = {
    "local-load-failed": "load-failed",
    "local-error": "error",
    "local-timeout": "timeout",
    "local-invalid-output": "garbage",
}
CANDIDATES = {
    **dict.fromkeys(("bundle-integrity", "quality-inconclusive", "quality-outdated"), 9),
    **dict.fromkeys(("bundle-stale", "coverage-weak", "validity-below-threshold", "quality-below-threshold"), 8),
    **dict.fromkeys(("role-not-eligible", "local-invalid-output"), 8),
    **dict.fromkeys(("local-load-failed", "local-timeout"), 7),
    "bundle-absent": 5,
    "local-error": 4,
    "canary-held": 4,
}
"""Candidates in a generation of the run that shows a reason, where six would give it too large or too small a share."""

ALONE = (
    Policy(breaker_threshold=99),
    Policy(breaker_threshold=99, mode="local-only"),
    Policy(breaker_threshold=99, frontier_never=("competitor",)),
)
"""A frontier to fall back to, and two ways to have none."""


@st.composite
def causes(draw: st.DrawFn) -> str:
    """Draw a reason that nothing led to yet in this example: Hypothesis repeats itself, and some would starve."""
    machine, choice = draw(st.runner()), draw(st.integers(0, 79))
    reasons = reasons_of(machine.session.description) or ("bundle-absent",)
    if choice < len(reasons):
        # Said directly, so that a shrunk program does not need the reasons before it.
        return reasons[choice]
    least = min(machine.led_to[reason] for reason in reasons)
    left = [reason for reason in reasons if machine.led_to[reason] == least]
    return left[choice % len(left)]


class Steering(Measuring):
    """The way to each reason."""

    def __init__(self) -> None:
        super().__init__()
        self.led_to: Counter[str] = Counter()

    @turn(op.Run, cause=causes(), choice=st.integers(0, 7))
    def lead_to(self, cause: str, choice: int) -> None:
        """Make local fit, take one thing away, run, give it back, run: the reason, and the way back from it."""
        self._lead(cause, choice)

    def episodes(self) -> dict[str, Episode]:
        """Add the way to each reason."""
        reasons = {reason: partial(self._lead, reason) for reason in REASONS}
        return {**super().episodes(), **reasons}

    def _lead(self, cause: str, choice: int) -> None:
        if not self.session.can(cause):
            return
        self.led_to[cause] += 1
        bundle = self._fit(weak=cause == "validity-below-threshold")
        if bundle is None:
            self.act(op.Run(choice % 4))
            return
        if cause == "local-cooldown":
            held = "announced" if "announced" in self.session.description.holds.get("Run", ()) else None
            self.tell(tour(held if self.can(op.Rival) else None))
            return
        undo = self._cause(cause, bundle, choice)
        if cause in ("bundle-absent", "bundle-disabled", "bundle-integrity"):
            # What may not serve may not be activated either, not even where it is active.
            self.act(op.Activate(bundle))
        # One question is enough where a run follows.
        self.act(self.question(choice) if self.can(op.Ask) else op.Run(choice % 4))
        if self.session.description.examined:
            # Not even who asks for that very run learns what is kept for examinations.
            self.tell(op.Export(run=run, include_local=True) for run in self.session.names.of("run")[-1:])
        # Each way to damage a bundle was one run already.
        generations = 1 if cause == "bundle-integrity" else 2
        self.act(op.Run(choice % 3, generations, CANDIDATES.get(cause, 6)))
        self._report()
        self.act(op.Route(self.session.description.roles[-(choice % 3 == 2)], choice))
        for operation in undo:
            self.act(operation)
        self.act(op.Run(choice % 4, 2, 2))
        self.act(op.Route("competitor", choice))
        self._report()

    def _report(self) -> None:
        for run in self.session.names.of("run")[-1:]:
            self.act(op.Report(run))

    @turn()
    def mend(self) -> None:
        """See to it that local is fit to serve, whatever was done before: the state from which most things start.

        A rule without arguments is the simplest there is. Every start begins with an example of nothing else.
        """
        self._fit(weak=False)

    def _fit(self, *, weak: bool) -> str | None:
        """Calm everything and see to a bundle that serves; return its name."""
        model = self.session.model
        calm = ((model.local, model.frontier) == ("calm", "calm"), op.Disturb())
        own = ((model.base == "own", op.SetBase("own")), (model.decoding == "own", op.Redecode("own")))
        as_it_was = (calm, *own, (unchanged(Policy(), self), op.SetPolicy(Policy())))
        self.tell(operation for already, operation in as_it_was if not already)
        for name in sorted(frozenset(self.session.description.validators) - self.session.model.validators):
            self.act(op.SetValidator(name, enabled=True))
        bundle = self.session.usable(0, weak=weak) or self._trained(weak=weak)
        if bundle is not None:
            self._heal(bundle)
        return bundle

    def _heal(self, bundle: str) -> None:
        """Restore, enable, activate and cool one bundle."""
        registered = self._registered(bundle)
        if registered.files != "whole":
            self.act(op.Restore(bundle))
        if not registered.enabled:
            self.act(op.Enable(bundle))
        if self.session.model.slots.get("competitor") != registered.bundle:
            self.act(op.Activate(bundle))
        if self.session.model.now < registered.trained_at:
            self.act(op.Advance(registered.trained_at - self.session.model.now))
        state = self.session.model.breakers.get(registered.bundle, Breaker())
        if state.cooling(self.session.model.limits, self.session.model.now):
            opened = self.session.model.now if state.opened is None else state.opened
            self.act(op.Advance(opened + self.session.model.limits.breaker_cooldown - self.session.model.now))

    def _trained(self, *, weak: bool) -> str | None:
        """Train a bundle, discovering and exporting first where needed."""
        model = self.session.model
        good = [
            name
            for name in self.session.names.of("dataset")
            if self.session.names.ids["dataset"][name] not in model.tampered
        ]
        if not good:
            self.act(op.Run(0, 1, max(2, self.session.description.min_records)))
            self.act(op.Export())
            good = list(self.session.names.of("dataset"))[-1:]
        plans = self.session.description.plans
        # Where nothing can be exported there is nothing to train from.
        for plan in (plans[::-1] if weak else plans[:1]) if good else ():
            self.act(op.Train(good[-1], plan))
            if bundle := self.session.usable(0, weak=weak):
                return bundle
        return self.session.usable(0)

    def _cause(self, cause: str, bundle: str, choice: int) -> tuple[op.Plain, ...]:
        """Bring one cause about and return what undoes it."""
        if cause in FAILURES:
            # The breaker would hide the failure after a few runs; with nobody to fall back to, the step fails.
            self.act(op.SetPolicy(ALONE[choice % len(ALONE)]))
            self.act(op.Disturb(FAILURES[cause]))
            return (op.Disturb(), op.SetPolicy(Policy()))
        ways: dict[str, Callable[[], tuple[op.Plain, ...]]] = {
            "bundle-absent": lambda: self._damaged(bundle, "delete-directory"),
            "bundle-integrity": lambda: self._damaged_in_every_way(bundle, choice),
            "bundle-disabled": lambda: self._done(op.Disable(bundle), op.Enable(bundle)),
            "bundle-incompatible": lambda: self._done(op.Plant(self._stranger(choice)), op.Activate(bundle)),
            "bundle-stale": lambda: self._stale(bundle),
            "coverage-weak": self._blind,
            "shadow-only": self._shadowed,
            "canary-held": self._canary,
            "quality-inconclusive": lambda: self._unmeasured(bundle, choice),
            "quality-outdated": lambda: self._outdated(bundle),
        }
        return ways[cause]() if cause in ways else self._forbidden(cause, bundle, choice)

    def _stranger(self, choice: int) -> str:
        """Name a bundle that does not belong."""
        kinds = [kind for kind in self.session.description.plants if kind != MUTE]
        return kinds[choice % len(kinds)]

    def _damaged(self, bundle: str, how: str) -> tuple[op.Plain, ...]:
        return self._done(op.Damage(bundle, how), op.Restore(bundle))

    def _damaged_in_every_way(self, bundle: str, choice: int) -> tuple[op.Plain, ...]:
        ways = [how for how in self.session.description.damages if how != "delete-directory"]
        for how in ways if self.can(op.Restore) else ():
            self.act(op.Damage(bundle, how))
            self.act(op.Run(choice % 4))
            self.act(op.Restore(bundle))
        return self._damaged(bundle, ways[choice % len(ways)])

    def _forbidden(self, cause: str, bundle: str, choice: int) -> tuple[op.Plain, ...]:
        """Set a policy that this bundle does not meet, by as little as can be."""
        registered = self._registered(bundle)
        limits = {
            "quality-below-threshold": ("min_score", registered.score),
            "validity-below-threshold": ("min_valid", registered.valid),
        }
        if cause not in limits:
            ways = [Policy(local_never=("competitor",)), Policy(local_roles=("coach",))]
            if cause == "role-not-eligible":
                self.act(op.SetPolicy(ways[choice % 2 - 1]))
                self.act(op.Run(choice % 4, 1, 4))
            policy = Policy(mode="frontier-only") if cause == "frontier-forced" else ways[choice % 2]
            return self._done(op.SetPolicy(policy), op.SetPolicy(Policy()))
        limit, value = limits[cause]
        at: Any = {limit: value}
        above: Any = {limit: min(1.0, math.nextafter(value, 2.0))}
        self.act(op.SetPolicy(Policy(**at)))
        self.act(op.Run(0))
        return self._done(op.SetPolicy(Policy(**above)), op.SetPolicy(Policy()))

    def _shadowed(self) -> tuple[op.Plain, ...]:
        """Keep local in the shadow, where it fails: nothing of that may count once it is out again."""
        self.act(op.SetPolicy(Policy(shadow=True, breaker_threshold=1)))
        self.act(op.Run(0, 1, 2))
        self.act(op.Disturb("error"))
        self.act(op.Run(1, 1, 2))
        self.act(op.Disturb())
        # One that is not fit has no shadow either, whatever keeps it from serving beside the shadow.
        for besides in (Policy(shadow=True, mode="frontier-only"), Policy(shadow=True, canary=0.0)):
            self.act(op.SetPolicy(besides))
            self.act(op.Run(2))
        self.act(op.SetPolicy(Policy(shadow=True)))
        return (op.SetPolicy(Policy()),)

    def _canary(self) -> tuple[op.Plain, ...]:
        """Give local a share, twice with the same seeds, then a larger one and none."""
        for share in (0.5, 0.5, 0.75, 0.0):
            self.act(op.SetPolicy(Policy(canary=share)))
            self.act(op.Run(0, 1, 3))
            self.act(op.Advance(1.0))
        return (op.SetPolicy(Policy()),)

    def _stale(self, bundle: str) -> tuple[op.Plain, ...]:
        age = max(0.0, self.session.model.now - self._registered(bundle).trained_at)
        self.act(op.SetPolicy(Policy(max_age=age)))
        self.act(op.Run(0))
        self.act(op.Advance(1.0 + self._registered(bundle).trained_at + age - self.session.model.now))
        return (op.SetPolicy(Policy()),)

    def _blind(self) -> tuple[op.Plain, ...]:
        """Switch a validator off, with the coverage limit where it was: frontier may now serve what the referee refuses."""
        self.act(op.SetPolicy(Policy(min_coverage=self.session.model.coverage())))
        self.act(op.Run(0, 1, 2))
        self.act(op.SetValidator(self.validator, enabled=False))
        self.act(op.Disturb(frontier="illegal"))
        self.act(op.Run(0))
        self.act(op.Export())
        self.act(op.Export(kept_only=True, include_local=True))
        self.act(op.Export(run=UNKNOWN["run"]))
        return (op.Disturb(), op.SetValidator(self.validator, enabled=True), op.SetPolicy(Policy()))
