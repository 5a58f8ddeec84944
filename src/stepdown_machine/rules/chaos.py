"""Crashes between durable writes, and rivals that act at the same time."""

from __future__ import annotations

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.names import UNKNOWN
from stepdown_machine.rules.stage import Stage, turn
from stepdown_machine.values import Policy

PLACES = st.integers(0, 7)


def _some(stage: Stage, kind: str, place: int) -> str:
    names = stage.trial.names.of(kind) or (UNKNOWN[kind],)
    return names[-1 - place % len(names)]


def _acts(stage: Stage, place: int) -> tuple[op.Plain, ...]:
    """Return what can be killed or raced, on things that exist where they do."""
    held = stage.trial.model.slots.get("competitor")
    bundle = stage.trial.names.name("bundle", held) if held else _some(stage, "bundle", place)
    other = stage.trial.usable(place) or bundle
    return (
        op.Run(place % 4),
        op.Activate(other),
        op.Disable(bundle),
        op.Enable(bundle),
        op.SetPolicy(Policy(min_score=0.25)),
        op.Run(place % 3, 1, 2),
        op.Activate(bundle),
        op.Delete(bundle) if place == 0 else op.SetValidator("budget", enabled=place % 2 == 0),
        op.Train(_some(stage, "dataset", place), stage.trial.description.plans[place % 2]),
        op.Export(include_local=place % 2 == 0),
        op.Retire(bundle) if place == 1 else op.Run(place % 2),
    )


# Composite strategies, because `builds` would print as a call of a private function instead of the value.


@st.composite
def kills(draw: st.DrawFn) -> op.Crash:
    """Draw an operation to kill and the point to kill it at."""
    stage, which, place, at = draw(st.runner()), draw(st.integers(0, 11)), draw(PLACES), draw(PLACES)
    acts = [act for act in _acts(stage, place) if type(act).__name__ in stage.trial.description.points]
    act = acts[which % len(acts)]
    points = stage.trial.description.points[type(act).__name__]
    return op.Crash(act, points[at % len(points)])


@st.composite
def races(draw: st.DrawFn) -> op.Rival | op.Interleave:
    """Draw two operations that happen at once."""
    stage, first, second, place = draw(st.runner()), draw(PLACES), draw(PLACES), draw(PLACES)
    acts, others = _acts(stage, place)[:8], _acts(stage, place // 2)[:8]
    one, two = acts[first % len(acts)], others[second % len(others)]
    if isinstance(one, op.Run) and isinstance(two, op.Run) and place % 2:
        return op.Interleave(op.Run(one.seed, 1, 2), op.Run(two.seed, 1, 2))
    return op.Rival(one, two)


class Chaos(Stage):
    """Kills and races."""

    @turn(what=kills())
    def crash(self, what: op.Crash) -> None:
        """Kill the process in the middle of an operation, and reopen."""
        if self.can(op.Crash) and self.trial.description.points:
            self.act(what)

    @turn(what=races())
    def race(self, what: op.Rival | op.Interleave) -> None:
        """Let two processes, or two runs of one process, act at the same time."""
        if self.can(type(what)):
            self.act(what)
