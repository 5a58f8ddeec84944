"""The one clock. No other module of stepdown asks what time it is; a test enforces it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds that never go backwards, for durations only."""
    return time.monotonic()


def file_time() -> int:
    """Return the time that files are stamped with, in nanoseconds, to compare with theirs and with nothing else.

    It is the system's, whatever the clock of a workspace says, and whatever a test lets the time be.
    """
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where a workspace's time comes from.

    Attributes:
        now: Returns the present instant, aware UTC.
        monotonic: Returns seconds, for durations and time limits.
    """

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = monotonic
