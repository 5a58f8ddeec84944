"""I13: a shadow is heard and never served, priced or counted."""

from __future__ import annotations

from collections.abc import Iterator

from stepdown_machine.findings import Finding
from stepdown_machine.model import Model
from stepdown_machine.transition import StepReview, Transition


def shadows_only_watch(_scene: Transition, _model: Model, reviews: tuple[StepReview, ...]) -> Iterator[Finding]:
    """I13: local runs in the shadow of the frontier exactly when nothing but the shadow keeps it from serving.

    Blind to a shadow that moved a breaker (I2, I3 see the next step), and to what it said (I4).
    """
    for one in reviews:
        step, due = one.step, one.due.must == ("shadow-only",) and one.open
        shadows = [attempt for attempt in step.attempts if attempt.shadow]
        least, most = (due and not step.recovered), due
        if not least <= len(shadows) <= most:
            says = "one shadow" if due else "no shadow"
            yield Finding(
                "I13", says, f"{step.step} has {len(shadows)}", f"objections {', '.join(one.due.must) or 'none'}"
            )
        if shadows and step.attempts[-1] is not shadows[-1]:
            yield Finding("I13", "the shadow comes last", f"{step.step}: {step.attempts}", "nobody waits for it")
        for shadow in shadows:
            if (shadow.provider, shadow.cost) != ("local", None):
                did = f"{shadow.provider} for {shadow.cost}"
                yield Finding(
                    "I13", "an unpriced local shadow", f"{step.step}: {did}", "a shadow costs nobody anything"
                )
