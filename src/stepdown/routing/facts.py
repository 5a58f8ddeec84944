"""What was known at the moment of a decision. Stored with it, so that an audit can decide again."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from stepdown.routing.breaker import State
from stepdown.routing.policy import Mode
from stepdown.routing.reasons import FrontierObjection


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the gates may look at. None means *not known*, and what is not known never passes.

    Attributes:
        role: The role that asks.
        mode: The policy's mode.
        local_roles: Roles that the policy lets a bundle serve.
        frontier_allowed: Whether the frontier may be asked for this role.
        bundle: Id of the slot's bundle, whether or not it can be used.
        present: Its directory is there.
        enabled: It is not switched off.
        whole: Its files are those that its manifest lists, byte for byte, and the manifest hashes to its id.
        compatible: Its manifest names this scenario, role and prompt format and text, in a format this version reads.
        age: Seconds since it was trained.
        max_age: The policy's limit, seconds.
        evaluated: Some evaluation counts for it as scenario, prompt format and decoding are now.
        score: Lower 95 % bound of that evaluation's mean score, 0..1.
        min_score: The policy's limit.
        valid: Share of legal replies in that evaluation, 0..1.
        min_valid: The policy's limit.
        coverage: Measured harness coverage, 0..1.
        min_coverage: The policy's limit.
        breaker: State of the bundle's breaker.
        probing: Another step is probing the half-open breaker at this moment.
        shadow: The policy keeps local in the shadow.
        canary: The policy's share of steps for local, 0..1.
        draw: This step's place in [0, 1), a hash: local serves where `draw < canary`.
        over_budget: What the run may spend at the frontier is spent, or cannot be told.
        unavailable: The frontier's provider cannot be had now: its package, its key or its entry point is missing or broken.
        lessons: Versions of the knowledge between this step's prompt and the prompts of that evaluation.
        max_lessons: The policy's limit.
        based: The base that the bundle answers with is here, byte for byte; also for a bundle that needs none.
        prompts: Digest of the text that the role's questions are made from now; empty for `scenarios.prompt.FIRST`.
    """

    role: str
    mode: Mode
    local_roles: tuple[str, ...]
    frontier_allowed: bool
    bundle: str | None
    present: bool
    enabled: bool
    whole: bool
    compatible: bool
    age: float | None
    max_age: float
    evaluated: bool
    score: float | None
    min_score: float
    valid: float | None
    min_valid: float
    coverage: float | None
    min_coverage: float
    breaker: State
    probing: bool
    shadow: bool
    canary: float
    draw: float
    over_budget: bool = False
    based: bool = True
    unavailable: bool = False
    lessons: int | None = None
    max_lessons: float = math.inf
    prompts: str = ""

    @property
    def frontier_objection(self) -> FrontierObjection | None:
        """Why the frontier may not be asked; None when it may."""
        if not self.frontier_allowed:
            return FrontierObjection.FORBIDDEN
        if self.over_budget:
            return FrontierObjection.OVER_BUDGET
        return FrontierObjection.UNAVAILABLE if self.unavailable else None

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values; NaN and infinities become words, since JSON has no such numbers.

        What came later and says nothing is left out: the facts of an older step keep their form.
        """
        return {
            name: plain(getattr(self, name))
            for name in NAMES
            if name not in SILENT or getattr(self, name) != SILENT[name]
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        values = {name: _number(value) if name in NUMBERS else value for name, value in stored.items()}
        values["mode"] = Mode(values["mode"])
        values["breaker"] = State(values["breaker"])
        values["local_roles"] = tuple(values["local_roles"])
        return cls(**values)


SILENT = {
    "over_budget": False,
    "based": True,
    "unavailable": False,
    "lessons": None,
    "max_lessons": math.inf,
    "prompts": "",
}
"""Facts that came after the first release, and the value that they have where nothing is said of them."""

NAMES = tuple(field.name for field in fields(Facts))
NUMBERS = frozenset(
    (
        "age",
        "max_age",
        "score",
        "min_score",
        "valid",
        "min_valid",
        "coverage",
        "min_coverage",
        "canary",
        "draw",
        "max_lessons",
    )
)


def plain(value: Any) -> Any:
    """Return a fact as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value
