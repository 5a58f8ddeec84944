"""What happens around a system and behind its back, as operations: files, providers, the clock, the scenario."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Damage:
    """Alter the bundle's files behind the system's back; `how` is one of `Description.damages`.

    Only whole bundles are damaged; the directory itself goes with `delete-directory`.
    """

    bundle: str
    how: str


@dataclass(frozen=True, slots=True)
class Restore:
    """Put the original bytes of the bundle back."""

    bundle: str


@dataclass(frozen=True, slots=True)
class Plant:
    """Register and activate a whole, self-consistent bundle that is no good: one of `Description.plants`.

    Answers the planted `Bundle`. One that does not belong is `bundle-incompatible` to routing. One that is `mute` has been
    evaluated and belongs, and cannot be loaded: it is asked and fails, is compared with nobody, and no rollback leads to it.
    """

    kind: str


@dataclass(frozen=True, slots=True)
class Revise:
    """Give the scenario this version: evaluations made at another version no longer count, see also `Redecode`."""

    version: int


@dataclass(frozen=True, slots=True)
class Disturb:
    """Choose how providers behave from now on, until the next `Disturb`.

    Attributes:
        local: `calm`, `load-failed`, `error`, `timeout`, `garbage` (no JSON), `illegal` (JSON, over budget).
        frontier: `calm`, `error`, `timeout`, `illegal`. The coach's frontier always stays calm with `illegal`.
    """

    local: str = "calm"
    frontier: str = "calm"


@dataclass(frozen=True, slots=True)
class Advance:
    """Move the system's clock by whole or broken seconds, forward or back. It never moves by itself."""

    seconds: float
