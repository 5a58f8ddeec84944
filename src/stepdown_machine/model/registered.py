"""A bundle as the oracle remembers it."""

from dataclasses import dataclass

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
