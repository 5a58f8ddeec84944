"""What a demo is about: the numbers that a journey comes true with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepdown.training.promotion import Trial
from stepdown.training.tuning import AnyPlan, Tuning


@dataclass(frozen=True, slots=True)
class Theme:
    """What a journey is about.

    Attributes:
        scenario: What is asked.
        frontier: Who is asked first.
        generations: Of discovery.
        candidates: In each.
        min_score: Of exported answers.
        fit: Least mean held-out score of what was trained.
        plan: How it is trained; None is what suits the scenario.
        base: Word of the base that is tuned; None trains a net of our own.
        trial: What a promotion promises.
        policy: Changes to the policy before anything is routed.
    """

    scenario: str
    frontier: str
    generations: int
    candidates: int
    min_score: float
    fit: float = 0.8
    plan: AnyPlan | None = None
    base: str | None = None
    trial: Trial | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)


THEMES = {
    # Discovery has converged at 0.86, and a small net learns one peak better than a whole landscape.
    "grid_ctf": Theme("grid_ctf", "search", generations=20, candidates=8, min_score=0.86),
    # Only what the frontier got right in every field. Six minutes of training on two cores, and one to look at the outcome.
    "invoices": Theme(
        "invoices",
        "extract",
        generations=25,
        candidates=16,
        min_score=1.0,
        plan=Tuning("smollm2", layers=8, rank=16, iterations=200, batch=4, learning_rate=1e-3, checkpoint_every=25),
        base="smollm2",
        trial=Trial(margin=0.1, budget=96),
        policy={"local_timeout": 60.0},
    ),
}
