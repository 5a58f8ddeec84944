"""The policy as the oracle understands it, and which values a policy may have."""

from dataclasses import dataclass
from math import isnan

MODES = ("auto", "frontier-only", "local-only")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator allows. Shares 0..1, times in seconds, every limit inclusive; see `values.Policy`."""

    mode: str = "auto"
    local_roles: tuple[str, ...] = ("competitor",)
    local_never: tuple[str, ...] = ()
    frontier_never: tuple[str, ...] = ()
    min_score: float = 0.0
    min_valid: float = 0.0
    min_coverage: float = 0.0
    max_age: float | None = None
    breaker_threshold: int = 3
    breaker_window: float = 60.0
    breaker_cooldown: float = 30.0
    breaker_probes: int = 1
    shadow: bool = False
    canary: float = 1.0
    run_tokens: float | None = None
    run_cost: float | None = None
    max_lessons: float | None = None

    def local_allowed(self, role: str) -> bool:
        """Tell whether a role's prompts may reach local."""
        return role in self.local_roles and role not in self.local_never

    def frontier_allowed(self, role: str) -> bool:
        """Tell whether a role's prompts may reach the frontier."""
        return self.mode != "local-only" and role not in self.frontier_never

    def overspent(self, tokens: int, cost: float | None) -> bool:
        """Tell whether a run that has spent so much may spend no more; a cost that nobody knows keeps no limit."""
        if self.run_tokens is not None and tokens >= self.run_tokens:
            return True
        return self.run_cost is not None and (cost is None or cost >= self.run_cost)

    def faults(self, most: dict[str, int]) -> tuple[str, ...]:
        """Name the values that are out of range; NaN is out of every range.

        Args:
            most: Greatest value of those counts that have one.
        """
        shares = ("min_score", "min_valid", "min_coverage", "canary")
        wrong = [name for name in shares if not 0.0 <= getattr(self, name) <= 1.0]
        endless = ("max_age", "breaker_window", "breaker_cooldown", "run_tokens", "run_cost", "max_lessons")
        wrong += [name for name in endless if not _is_amount(getattr(self, name))]
        wrong += ["breaker_threshold"] if self.breaker_threshold < 1 else []
        wrong += ["breaker_probes"] if self.breaker_probes < 0 else []
        wrong += [name for name, greatest in most.items() if getattr(self, name) > greatest]
        return (*wrong, "mode") if self.mode not in MODES else tuple(wrong)


def _is_amount(value: float | None) -> bool:
    return value is None or (not isnan(value) and value >= 0)
