"""The breaker of one bundle: a fold over its finished local attempts, oldest first.

Closed: a failure is remembered; when the failures since the last close that are at most a window older than this one
reach the threshold, it opens at the time of this failure. A success changes nothing. Open: nobody asks until the
cooldown is over. Any attempt made while it is not closed is a probe, whatever the clock said then (a policy may have
changed since): a failed probe opens it anew from its own time, and enough successful probes in a row close it and
clear its memory. With no probes asked for, the end of the cooldown itself closes it and clears its memory.

The policy of the moment of the decision is used for the whole fold. A clock set back makes no cooldown shorter: until
opened + cooldown is reached, it is open.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from stepdown_machine.model.limits import Limits


@dataclass(slots=True)
class Breaker:
    """Where the fold stands. `opened` is when it opened last, `None` while closed; `failures` are times."""

    opened: float | None = None
    successes: int = 0
    failures: tuple[float, ...] = ()

    def cooling(self, limits: Limits, now: float) -> bool:
        """Tell whether local must not be asked now."""
        return self.opened is not None and now < self.opened + limits.breaker_cooldown

    def half_open(self, limits: Limits, now: float) -> bool:
        """Tell whether the next attempt would be a probe."""
        return self.opened is not None and not self.cooling(limits, now)


def breaker(log: Iterable[tuple[float, bool]], limits: Limits) -> Breaker:
    """Fold attempts, each a time and whether it succeeded."""
    state = Breaker()
    for at, succeeded in log:
        if limits.breaker_probes == 0 and state.half_open(limits, at):
            state = Breaker()
        if state.opened is None:
            _count(state, at, succeeded, limits)
        else:
            _probe(state, at, succeeded, limits)
    return state


def _count(state: Breaker, at: float, succeeded: bool, limits: Limits) -> None:
    if succeeded:
        return
    state.failures = (*state.failures, at)
    recent = [failure for failure in state.failures if failure >= at - limits.breaker_window]
    if len(recent) >= limits.breaker_threshold:
        state.opened, state.successes = at, 0


def _probe(state: Breaker, at: float, succeeded: bool, limits: Limits) -> None:
    if not succeeded:
        state.opened, state.successes = at, 0
        return
    state.successes += 1
    if state.successes >= limits.breaker_probes:
        state.opened, state.successes, state.failures = None, 0, ()
