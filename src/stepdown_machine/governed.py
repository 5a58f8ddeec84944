"""What an operator allows, as the machine says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """When local may serve. Limits are inclusive: a number at the limit passes.

    Attributes:
        mode: `auto`, `frontier-only` (reason `frontier-forced`) or `local-only` (the frontier is never called).
        local_roles: Roles that local may serve.
        local_never: Roles whose prompts must not reach local, whatever `local_roles` says.
        frontier_never: Roles whose prompts must not reach the frontier, whatever happens.
        min_score: Least lower bound of the held-out mean score, 0..1.
        min_valid: Least share of legal held-out replies, 0..1.
        min_coverage: Least measured harness coverage, 0..1.
        max_age: Seconds since training; `None` is no limit, 0 is really 0.
        breaker_threshold: Failures within the window that open the breaker, at least 1.
        breaker_window: Seconds, at least 0.
        breaker_cooldown: Seconds, at least 0; 0 is really 0.
        breaker_probes: Successes in a row that close a half-open breaker, one probe at a time; 0 closes it when the cooldown is
            over.
        shadow: A fit local answers beside the frontier, is judged, and never serves.
        canary: Share of steps that a fit local may serve, 0..1, chosen by the step's seed: the same in every replay.
        run_tokens: Tokens, in and out, that a run may spend at its frontier, looked at before each step. Who has spent that
            much is refused as `frontier-over-budget`, and a run ends with the generation in which a candidate was. `None` is
            no limit.
        run_cost: The same in US dollars; a call without a known price spends all.
        max_lessons: Most lessons that may lie, either way, between what a question is put with and what the bundle was
            evaluated with; `None` is no limit.
    """

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
