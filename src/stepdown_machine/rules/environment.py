"""Providers that fail, and time that passes."""

from __future__ import annotations

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.model import Breaker
from stepdown_machine.protocol import MISSING, UNPRICED
from stepdown_machine.rules.picking import RUNS
from stepdown_machine.rules.turns import TurnMachine, turn

LOCAL = ("calm", "calm", "load-failed", "error", "timeout", "garbage", "illegal")
FRONTIER = ("calm", "calm", "calm", "calm", "error", "timeout", "illegal", UNPRICED, MISSING)
MOMENTS = ("a second", "cooldown is over", "cooldown is nearly over", "expiry", "window", "a day", "back a minute")


class Environment(TurnMachine):
    """What the world does to a system."""

    @turn(op.Disturb, local=st.sampled_from(LOCAL), frontier=st.sampled_from(FRONTIER), runs=RUNS)
    def disturb(self, local: str, frontier: str, runs: int) -> None:
        """Make providers behave badly, or well again, and run so many times under it."""
        known = frontier not in (UNPRICED, MISSING) or frontier in self.session.description.outages
        self.act(op.Disturb(local, frontier if known else "calm"))
        self.follow(runs)

    @turn(op.Advance, until=st.sampled_from(MOMENTS), runs=RUNS)
    def wait(self, until: str, runs: int) -> None:
        """Move the clock to a moment that matters."""
        self.act(op.Advance(self._seconds(until)))
        self.follow(runs)

    def _seconds(self, until: str) -> float:
        model = self.session.model
        registered = model.serving("competitor")
        state = model.breakers.get(registered.bundle, Breaker()) if registered is not None else Breaker()
        opened = model.now if state.opened is None else state.opened
        cooled = max(0.0, opened + model.limits.breaker_cooldown - model.now)
        age = model.limits.max_age if model.limits.max_age is not None else 3600.0
        trained = registered.trained_at if registered is not None else model.now
        return {
            "a second": 1.0,
            "cooldown is over": cooled,
            "cooldown is nearly over": max(0.0, cooled - 1.0),
            "expiry": max(0.0, trained + age - model.now),
            "window": model.limits.breaker_window,
            "a day": 86400.0,
            "back a minute": -60.0,
        }[until]
