"""The breaker of one bundle: a fold over its finished local attempts, oldest first.

Closed: a failure is remembered, and one older than the window is then forgotten for good; when those remembered reach
the threshold, it opens at the time of this failure and forgets them. A success changes nothing. Open: nobody asks until
the cooldown is over. Half-open: a failed probe opens it anew from its own time; enough successful probes in a row close
it with a clear memory. With no probes asked for, the end of the cooldown itself does that. While one probe is
under way, nobody else may ask.

An attempt is judged by the policy of its own moment, a decision by the policy of the decision. A clock set back makes
no cooldown shorter: until opened + cooldown is reached, it is open. Only rivals can finish an attempt while it is open:
a failure then opens it anew, good news is too old to count.
"""

from dataclasses import dataclass, replace

from stepdown_machine.model.limits import Limits


@dataclass(frozen=True, slots=True)
class Breaker:
    """Where the fold stands. `opened` is when it opened last, `None` while closed; `failures` are times."""

    opened: float | None = None
    successes: int = 0
    failures: tuple[float, ...] = ()

    def cooling(self, limits: Limits, now: float) -> bool:
        """Tell whether local must not be asked now."""
        return self.opened is not None and now < self.opened + limits.breaker_cooldown

    def healed(self, limits: Limits, now: float) -> bool:
        """Tell whether it opened once, and by now has cooled and been probed enough."""
        return self.opened is not None and not self.cooling(limits, now) and self.successes >= limits.breaker_probes

    def half_open(self, limits: Limits, now: float) -> bool:
        """Tell whether the next attempt would be a probe."""
        return self.opened is not None and not self.cooling(limits, now) and not self.healed(limits, now)


def after(state: Breaker, limits: Limits, at: float, *, succeeded: bool) -> Breaker:
    """Fold one more finished local attempt: its time and the policy of that moment."""
    state = Breaker() if state.healed(limits, at) else state
    return _good(state, limits, at) if succeeded else _bad(state, limits, at)


def _bad(state: Breaker, limits: Limits, at: float) -> Breaker:
    if state.opened is not None:
        return Breaker(opened=max(at, state.opened) if state.cooling(limits, at) else at)
    failures = (*(failure for failure in state.failures if failure >= at - limits.breaker_window), at)
    return Breaker(opened=at) if len(failures) >= limits.breaker_threshold else Breaker(failures=failures)


def _good(state: Breaker, limits: Limits, at: float) -> Breaker:
    if not state.half_open(limits, at):
        return state
    tried = replace(state, successes=state.successes + 1)
    return Breaker() if tried.healed(limits, at) else tried
