"""A bundle as the oracle remembers it, and a rule about the world that a system brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepdown_machine.model.registry import Model

WHOLE, DAMAGED, GONE = "whole", "damaged", "gone"
OWN = "own"
"""The base, and the text of a prompt, of a fresh system."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A bundle as the oracle remembers it: what was answered when it was made, and what happened to it since.

    Attributes:
        score: Lower bound of the held-out mean, 0..1 or NaN.
        valid: Share of legal held-out replies, 0..1.
        trained_at: Epoch seconds.
        version: Scenario version of its evaluation.
        job: Dataset digest and plan, for bundles that were trained.
        belongs: Right scenario, role and formats.
        base: What it was tuned from and answers with; `None` for one that stands alone.
        text: What it was trained and evaluated with.
        files: `whole`, `damaged`, or `gone` with its directory.
    """

    bundle: str
    weights: str
    score: float
    valid: float
    trained_at: float
    version: int
    job: tuple[str, str] | None
    belongs: bool = True
    enabled: bool = True
    retired: bool = False
    deleted: bool = False
    files: str = WHOLE
    base: str | None = None
    text: str = OWN


@dataclass(frozen=True, slots=True)
class Ground:
    """A reason of a system's own, and when it is due, as a rule about the world and the role that is asked.

    A rule reads `Model` and nothing else: not the system, or the system would be judged by its own word.
    """

    reason: str
    due: Callable[[Model, str], bool]
