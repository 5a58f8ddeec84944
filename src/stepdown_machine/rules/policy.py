"""Moving limits to where they matter, and changing what is allowed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.protocol import VALIDATORS
from stepdown_machine.rules.picking import RUNS
from stepdown_machine.rules.spending import SPEND
from stepdown_machine.rules.turns import TurnMachine, turn
from stepdown_machine.semantics import limits
from stepdown_machine.values import Policy

POSITIONS = ("at", "above", "below", "least", "nan", "beyond")
SETTINGS: tuple[tuple[str, Any], ...] = (
    ("mode", "auto"),
    ("mode", "frontier-only"),
    ("mode", "local-only"),
    ("local_roles", ("competitor",)),
    ("local_roles", ("coach",)),
    ("local_roles", ("competitor", "coach")),
    ("breaker_threshold", 1),
    ("breaker_threshold", 2),
    ("breaker_threshold", 0),
    ("breaker_threshold", "most"),
    ("breaker_threshold", "too many"),
    ("breaker_window", 0.0),
    ("breaker_window", 10.0),
    ("breaker_cooldown", 0.0),
    ("breaker_cooldown", 90.0),
    ("breaker_probes", 0),
    ("breaker_probes", 2),
    ("breaker_probes", "most"),
    ("breaker_probes", "too many"),
    ("shadow", True),
    ("shadow", False),
    ("canary", 0.0),
    ("canary", 0.5),
    ("canary", 1.0),
    ("run_tokens", 0.0),
    ("run_tokens", 200.0),
    ("run_tokens", math.nan),
    ("run_cost", 0.0),
    ("run_cost", -1.0),
    ("meet", SPEND),
    ("local_never", ("competitor",)),
    ("frontier_never", ("competitor",)),
    ("frontier_never", ("coach",)),
    ("version", 1),
    ("version", 2),
    *((word, name) for name in VALIDATORS for word in ("switch on", "switch off")),
    ("all", "defaults"),
)


class Governing(TurnMachine):
    """Policy, harness and scenario version."""

    @property
    def policy(self) -> Policy:
        """The policy that was set last."""
        model = self.session.model.limits
        return Policy(**{name: getattr(model, name) for name in Policy.__dataclass_fields__})

    @turn(
        op.SetPolicy,
        limit=st.sampled_from(("min_score", "min_valid", "min_coverage", "max_age", "max_lessons")),
        position=st.sampled_from(POSITIONS),
        runs=RUNS,
    )
    def move_limit(self, limit: str, position: str, runs: int) -> None:
        """Move a limit just below, at, or just above the value that matters now; or out of range."""
        placed: Any = self._placed(limit, position)
        self.act(op.SetPolicy(replace(self.policy, **{limit: placed})))
        self.follow(runs)

    def _placed(self, limit: str, position: str) -> float:
        value = self._matters(limit)
        step = 1.0 if limit in ("max_age", "max_lessons") else None
        return {
            "at": value,
            "above": value + step if step else math.nextafter(value, 2.0),
            "below": max(value - step, 0.0) if step else max(math.nextafter(value, -1.0), 0.0),
            "least": 0.0,
            "nan": math.nan,
            "beyond": -1.0,
        }[position]

    def _matters(self, limit: str) -> float:
        """Return what the limit will be compared with: the slot's bundle, or the harness."""
        model = self.session.model
        registered = model.serving("competitor")
        if limit == "min_coverage":
            return model.coverage()
        if registered is None:
            return 0.5
        values = {
            "min_score": registered.score,
            "min_valid": registered.valid,
            "max_age": max(0.0, model.now - registered.trained_at),
            "max_lessons": float(abs(model.known - registered.knowledge)),
        }
        return 0.5 if math.isnan(values[limit]) else values[limit]

    @turn(op.SetPolicy, op.SetValidator, op.Revise, setting=st.sampled_from(SETTINGS), runs=RUNS)
    def configure(self, setting: tuple[str, Any], runs: int) -> None:
        """Change mode, roles, breaker, scenario version or harness."""
        name, value = setting
        if name == "version":
            if self.can(op.Revise):
                self.act(op.Revise(value))
        elif name.startswith("switch"):
            if value in self.session.description.validators:
                self.act(op.SetValidator(value, enabled=name == "switch on"))
        elif name == "meet":
            # A story that some machines know.
            self.episodes().get(value, self.follow)(runs)
        elif name == "all":
            self.act(op.SetPolicy(Policy()))
        elif name in self.session.description.policies and (placed := self._counted(name, value)) is not None:
            self.act(op.SetPolicy(replace(self.policy, **{name: placed})))
        self.follow(runs)

    def _counted(self, name: str, value: Any) -> Any:
        """Return a value, with what is the most, or one too many, as a number; `None` where nothing is the most."""
        if value not in ("most", "too many"):
            return value
        most = self.session.description.most.get(name)
        return None if most is None else most + (value == "too many")


def unchanged(policy: Policy, machine: TurnMachine) -> bool:
    """Tell whether a policy is the one in force."""
    return limits(policy) == machine.session.model.limits
