"""A bundle as the oracle remembers it."""

from dataclasses import dataclass

WHOLE, DAMAGED, GONE = "whole", "damaged", "gone"
OWN = "own"
"""The base, and the text of a prompt, of a fresh system."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation: what it was made with, and what came of it."""

    version: int
    decoding: str
    score: float
    valid: float
    knowledge: int


@dataclass(frozen=True, slots=True)
class Registered:
    """A bundle as the oracle remembers it: what was answered when it was made, and what happened to it since.

    Attributes:
        evaluations: Oldest first. What follows is of the newest one that counts as things are now, else of the newest.
        score: Lower bound of the held-out mean, 0..1 or NaN.
        valid: Share of legal held-out replies, 0..1.
        trained_at: Epoch seconds.
        version: Scenario version of its evaluation.
        job: Dataset digest and plan, for bundles that were trained.
        belongs: Right scenario, role and formats.
        base: What it was tuned from and answers with; `None` for one that stands alone.
        text: What it was trained and evaluated with.
        decoding: How it was decoded when it was evaluated, and `knowledge` how many lessons it was asked with.
        mute: Nobody can load it, whatever its files say.
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
    decoding: str = OWN
    knowledge: int = 0
    mute: bool = False
    evaluations: tuple[Evaluated, ...] = ()
