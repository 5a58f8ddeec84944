"""What the operator allows. A policy is one row; changing it appends another."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Self

from stepdown.errors import InvalidValue


class Mode(StrEnum):
    """Which side of the handoff may be asked at all."""

    AUTO = "auto"
    FRONTIER_ONLY = "frontier-only"
    LOCAL_ONLY = "local-only"


SHARES = ("min_score", "min_valid", "min_coverage", "canary")
SECONDS = ("max_age", "breaker_window", "breaker_cooldown")
BUDGETS = ("run_tokens", "run_cost")
ENDLESS = (*SECONDS, *BUDGETS, "max_lessons")
LIMITS = ("local_timeout", "frontier_timeout")
COUNTS = ("breaker_threshold", "breaker_probes")
ROLES = ("local_roles", "local_never", "frontier_never")


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits that the gates compare facts with; a number at its limit passes.

    Attributes:
        mode: `auto`, `frontier-only` (local is never asked) or `local-only` (the frontier is never asked).
        local_roles: Roles that a bundle may serve.
        local_never: Roles whose prompts must not reach a bundle, whatever `local_roles` says.
        frontier_never: Roles whose prompts must not reach a frontier provider, whatever happens.
        min_score: Least lower 95 % bound of the held-out mean score, 0..1.
        min_valid: Least share of legal held-out replies, 0..1.
        min_coverage: Least measured harness coverage, 0..1.
        max_age: Greatest age of a bundle, in seconds since it was trained.
        max_lessons: Most lessons that may lie between the prompt of a step and the prompts that its bundle was evaluated with;
            `inf` is no limit. A coach teaches at most one in a generation.
        local_timeout: Seconds a local reply may take.
        frontier_timeout: Seconds a frontier reply may take.
        run_tokens: Tokens, in and out, that a run may spend at its frontier; looked at before every call, so that calls under
            way together may go beyond it. `inf` is no limit.
        run_cost: The same in US dollars. A call whose price nobody knows cannot be shown to keep it, and ends the spending.
        breaker_threshold: Local failures within the window that open the breaker, at least 1.
        breaker_window: Seconds a local failure is remembered.
        breaker_cooldown: Seconds an open breaker keeps local from being asked; 0 is really 0.
        breaker_probes: Consecutive successes that close a half-open breaker, one probe at a time; 0 closes it when the
            cooldown is over.
        shadow: Let local answer beside the frontier, judged and never served.
        canary: Share of steps that a fit bundle may serve, 0..1, chosen by hash.
    """

    mode: Mode = Mode.AUTO
    local_roles: tuple[str, ...] = ("competitor",)
    local_never: tuple[str, ...] = ()
    frontier_never: tuple[str, ...] = ()
    min_score: float = 0.75
    min_valid: float = 0.9
    min_coverage: float = 0.95
    max_age: float = 30 * 86400.0
    max_lessons: float = 50.0
    local_timeout: float = 10.0
    frontier_timeout: float = 60.0
    run_tokens: float = math.inf
    run_cost: float = math.inf
    breaker_threshold: int = 3
    breaker_window: float = 300.0
    breaker_cooldown: float = 60.0
    breaker_probes: int = 1
    shadow: bool = False
    canary: float = 1.0

    def __post_init__(self) -> None:
        for name in SHARES:
            _check(name, getattr(self, name), 0, 1)
        for name in ENDLESS:
            _check(name, getattr(self, name), 0, math.inf)
        for name in LIMITS:
            _check(name, getattr(self, name), 0.001, 86_400)
        _check("breaker_threshold", self.breaker_threshold, 1, 1_000_000, whole=True)
        _check("breaker_probes", self.breaker_probes, 0, 1_000_000, whole=True)

    @property
    def eligible_roles(self) -> tuple[str, ...]:
        """Roles that a bundle may really serve."""
        return tuple(role for role in self.local_roles if role not in self.local_never)

    def allows_frontier(self, role: str) -> bool:
        """Tell whether a role's prompts may reach a frontier provider."""
        return self.mode is not Mode.LOCAL_ONLY and role not in self.frontier_never

    @property
    def budgeted(self) -> bool:
        """Whether a run may spend only so much at its frontier."""
        return min(self.run_tokens, self.run_cost) < math.inf

    def overspent(self, tokens: int, cost: float | None) -> bool:
        """Tell whether a run that spent so much at its frontier may spend no more.

        Args:
            tokens: In and out.
            cost: US dollars; None where the price of a call is not known.
        """
        if tokens >= self.run_tokens:
            return True
        return self.run_cost < math.inf and (cost is None or cost >= self.run_cost)

    def replacing(self, changes: Mapping[str, Any]) -> Self:
        """Return a policy with some values changed.

        Raises:
            InvalidValue: A name is not a policy value, or a value is out of its range.
        """
        return replace(self, **_read(changes))

    def as_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` reads back."""
        # JSON has no infinity: without end is written as a word that `float` reads.
        endless = {name: "inf" for name in ENDLESS if getattr(self, name) == math.inf}
        return {**asdict(self), **endless, **{name: list(getattr(self, name)) for name in ROLES}}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        return cls(**_read(stored))


NAMES = frozenset(field.name for field in fields(Policy))


def _read(values: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(values.keys() - NAMES):
        raise InvalidValue(f"{unknown[0]!r} is not a policy value; choose one of {', '.join(sorted(NAMES))}.")
    return {name: _typed(name, value) for name, value in values.items()}


def _check(name: str, value: float, low: float, high: float, *, whole: bool = False) -> None:
    """Refuse a value outside [low, high]; NaN is outside of everything."""
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not low <= value <= high:
        limit = f"between {low} and {high}" if high < math.inf else f"at least {low}"
        kind = "whole number" if whole else "number"
        raise InvalidValue(f"{name} must be a {kind} {limit}, not {value!r}.", kind="policy-out-of-range")


def _typed(name: str, value: Any) -> Any:
    """Turn a value as it comes from JSON or a command line into the field's type."""
    try:
        if name == "mode":
            return Mode(value)
        if name in ROLES:
            return _roles(value)
        if name == "shadow":
            return _switch(value)
        return _number(value, whole=name in COUNTS)
    except (ValueError, TypeError, OverflowError):
        hints = {"mode": f"one of {', '.join(Mode)}", "shadow": "on or off", **dict.fromkeys(COUNTS, "a whole number")}
        hint = hints.get(name, "a list of roles" if name in ROLES else "a number")
        raise InvalidValue(f"{name} must be {hint}, not {value!r}.", kind="policy-out-of-range") from None


def _roles(value: Any) -> tuple[str, ...]:
    roles = value.split(",") if isinstance(value, str) else value
    if not all(isinstance(role, str) for role in roles):
        raise ValueError(value)
    return tuple(sorted({role.strip() for role in roles if role.strip()}))


def _number(value: Any, *, whole: bool) -> Any:
    if isinstance(value, bool):
        raise TypeError(value)
    if whole and isinstance(value, str):
        return int(value)
    number = float(value)
    return int(number) if whole and number.is_integer() else number


def _switch(value: Any) -> bool:
    words = {True: True, False: False, "true": True, "false": False, "on": True, "off": False}
    if value not in words:
        raise ValueError(value)
    return words[value]
