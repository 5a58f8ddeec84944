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
        promise: What can be promised, said beforehand.
        rounds: How often at most it discovers, trains and compares: what one run found is not enough for every seed, and a hold
            says so.
        exact: Least share of held-out answers that what was trained has right in every part; None asks nothing of it.
        plan: How it is trained; None is what suits the scenario.
        base: Word of the base that is tuned; None trains a net of our own.
        trial: What a promotion promises.
        routed: Generations and candidates of a run that local serves.
        asked: Questions of each act that must fall back; more where the frontier itself fails at some.
        policy: Changes to the policy before anything is routed.
    """

    scenario: str
    frontier: str
    generations: int
    candidates: int
    min_score: float
    promise: str
    rounds: int = 1
    exact: float | None = None
    plan: AnyPlan | None = None
    base: str | None = None
    trial: Trial | None = None
    routed: tuple[int, int] = (2, 4)
    asked: int = 2
    policy: Mapping[str, Any] = field(default_factory=dict)


ROUNDS = 6

THEMES = {
    # Discovery has converged at 0.86, and a small net learns one peak better than a whole landscape.
    "grid_ctf": Theme(
        "grid_ctf",
        "search",
        generations=20,
        candidates=8,
        min_score=0.86,
        promise="Where a bundle is not shown to be as good as the frontier, it is held, and more is discovered: up to "
        f"{ROUNDS} rounds. Most seeds come true at once; where mlx computes otherwise, the last word may be a hold.",
        rounds=ROUNDS,
    ),
    # Only what the frontier got right in every field. Half as many records in as many steps came to 86 of 128: too few.
    "invoices": Theme(
        "invoices",
        "extract",
        generations=50,
        candidates=16,
        min_score=1.0,
        promise="A base is tuned for some minutes. Tried for seed 0; on another one the last word may be a hold.",
        exact=0.75,
        routed=(1, 4),
        asked=6,
        plan=Tuning("smollm2", layers=8, rank=16, iterations=260, batch=4, learning_rate=1e-3, checkpoint_every=25),
        base="smollm2",
        trial=Trial(margin=0.1, budget=96, look=16),
        policy={"local_timeout": 60.0},
    ),
}
