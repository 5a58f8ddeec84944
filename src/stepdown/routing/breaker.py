"""The circuit breaker: a fold over one bundle's local attempts, so every process and every restart sees the same.

After each local attempt the new `Breaker` is stored with the attempt (a checkpoint), so reading the state takes the
bundle's last row, however long its history; an audit folds the whole history again and compares.

closed → open: failures within the window reach the threshold. open → half-open: the cooldown is over. half-open → open: a
probe fails. half-open → closed: enough probes in a row succeed. The policy of the moment judges each attempt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from stepdown.routing.policy import Policy


class State(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """What must be remembered between two local attempts of a bundle.

    Attributes:
        opened_at: UTC of the failure that opened it last; None while closed.
        failures: UTC of the failures still remembered while closed.
        successes: Probes that succeeded in a row since it opened.
    """

    opened_at: datetime | None = None
    failures: tuple[datetime, ...] = ()
    successes: int = 0

    def state(self, policy: Policy, now: datetime) -> State:
        """Return the state at a moment; an instant before the opening (a clock set back) is still within the cooldown."""
        if self.opened_at is None:
            return State.CLOSED
        if (now - self.opened_at).total_seconds() < policy.breaker_cooldown:
            return State.OPEN
        return State.CLOSED if self.successes >= policy.breaker_probes else State.HALF_OPEN

    def after(self, policy: Policy, at: datetime, *, failed: bool) -> Self:
        """Return the breaker after one finished local attempt."""
        state = self.state(policy, at)
        if state is State.OPEN:
            # An attempt begun before it opened: good news is too old to count, bad news starts the cooldown anew.
            return type(self)(opened_at=max(at, self.opened_at or at)) if failed else self
        if state is State.HALF_OPEN:
            return self._after_probe(policy, at, failed=failed)
        # Closed; one whose cooldown ended with no probe asked for is closed with a clear memory.
        if not failed:
            return type(self)(failures=() if self.opened_at else self.failures)
        recent = () if self.opened_at else self.failures
        failures = (*(when for when in recent if (at - when).total_seconds() <= policy.breaker_window), at)
        if len(failures) >= policy.breaker_threshold:
            return type(self)(opened_at=at)
        return type(self)(failures=failures)

    def _after_probe(self, policy: Policy, at: datetime, *, failed: bool) -> Self:
        if failed:
            return type(self)(opened_at=at)
        successes = self.successes + 1
        return type(self)() if successes >= policy.breaker_probes else type(self)(self.opened_at, (), successes)

    def as_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` reads back."""
        return {
            "opened_at": self.opened_at.isoformat() if self.opened_at else None,
            "failures": [when.isoformat() for when in self.failures],
            "successes": self.successes,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        opened = stored["opened_at"]
        failures = tuple(datetime.fromisoformat(when) for when in stored["failures"])
        return cls(datetime.fromisoformat(opened) if opened else None, failures, stored["successes"])
