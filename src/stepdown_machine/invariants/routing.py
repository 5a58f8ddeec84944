"""I1, I2, I3: who serves, who is asked first, and why local did not."""

from __future__ import annotations

from collections.abc import Iterator

from stepdown_machine.findings import Finding
from stepdown_machine.invariants.grounds import grounds
from stepdown_machine.model import Model
from stepdown_machine.transition import StepReview, Transition


def local_serves_only_when_valid(
    _scene: Transition, _model: Model, reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I1: local served, so every gate passed at that moment, and local is who answered.

    Blind to a step that local should have served and did not (I2, I3).
    """
    for one in reviews:
        if one.step.served == "local" and one.due.must:
            yield Finding("I1", f"frontier, {one.due.must[0]}", f"local served {one.step.step}", grounds(one))
        elif one.step.served == "local" and one.walk.served != "local" and not one.step.recovered:
            yield Finding("I1", f"{one.walk.served} served", f"history says local did ({one.step.step})", _ends(one))


def local_is_tried_first_when_valid(
    _scene: Transition, _model: Model, reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I2: nothing objects, so local was requested and was tried first, and its good reply served.

    Blind to what happened after a local failure (I3).
    """
    for one in reviews:
        if one.due.must or one.step.recovered:
            continue
        asked = [attempt.provider for attempt in one.step.attempts if not attempt.shadow]
        if one.step.requested != "local":
            yield Finding("I2", "local is requested", f"{one.step.step} requested {one.step.requested}", grounds(one))
        if asked[:1] != ["local"]:
            yield Finding("I2", "local is tried first", f"{one.step.step} asked {asked or 'nobody'}", grounds(one))
        elif one.walk.served == "local" and one.step.served != "local":
            yield Finding("I2", "local's reply serves", f"{one.step.step}: {_outcome(one)}", _ends(one))


def every_fallback_has_its_reason(
    _scene: Transition, _model: Model, reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I3: local did not serve, so one reason is stated, the right one, and frontier served or the step failed cleanly.

    Blind to who served (I1) and to how attempts compare with the trace (I4).
    """
    for one in reviews:
        step = one.step
        if not one.due.allow(step.objections):
            did = f"{step.step}: {_listed(step.objections)}"
            yield Finding("I3", f"objections {_listed(one.due.must)}", did, grounds(one))
        yield from _causes(one)
        if step.served == "local" and step.reason is not None:
            yield Finding("I3", "no reason, local served", f"{step.step} says {step.reason}", _ends(one))
        if step.recovered and step.objections and step.reason != step.objections[0]:
            yield Finding("I3", f"reason {step.objections[0]}", f"{step.step} says {step.reason}", "it was decided so")
        yield from _cut_off(one)
        if step.served == "local" or step.recovered:
            continue
        reason = step.objections[0] if step.objections and one.due.allow(step.objections) else one.walk.reason
        if step.reason != reason and (one.due.must or step.objections or step.attempts[:1] == () or one.walk.reason):
            yield Finding("I3", f"reason {reason}", f"{step.step} says {step.reason}", grounds(one))
        yield from _walks(one)


def _cut_off(one: StepReview) -> Iterator[Finding]:
    """Check the reason of a step that was cut off when local had failed and somebody else was asked."""
    asked = [attempt for attempt in one.step.attempts if not attempt.shadow]
    if not one.step.recovered or one.step.objections or len(asked) < 2 or asked[0].provider != "local":
        return
    # Of a reply whose judgement died with the process it is only known that it was not served.
    reason = f"local-{asked[0].error or 'invalid-output'}"
    if one.step.reason != reason:
        yield Finding("I3", f"reason {reason}", f"{one.step.step} says {one.step.reason}", "so its first call ended")


def _causes(one: StepReview) -> Iterator[Finding]:
    """Check that a provider fails when it was made to, and not otherwise."""
    for call in one.calls:
        if call is None or not call.ended:
            continue
        excused = one.excused[call.provider]
        if call.error not in excused:
            words = " or ".join(sorted(str(error) for error in excused))
            yield Finding("I3", f"{call.provider} ends with {words}", f"{call.error}", "the environment at that moment")


def _walks(one: StepReview) -> Iterator[Finding]:
    step, walk = one.step, one.walk
    asked = tuple(attempt.provider for attempt in step.attempts if not attempt.shadow)
    # A walk that does not begin with local although it should is I2's.
    if asked != walk.providers and (one.due.must or asked[:1] == ("local",)):
        yield Finding("I3", f"asks {_listed(walk.providers)}", f"{step.step} asked {_listed(asked)}", grounds(one))
    # A step that local should have served is I2's; here is only what frontier, or nobody, must look like.
    expected = "served" if walk.served else "failed"
    if walk.served != "local" and (step.served, step.outcome, step.error) != (walk.served, expected, walk.error):
        says = f"{expected} by {walk.served}" if walk.served else f"failed with {walk.error}"
        yield Finding("I3", says, f"{step.step}: {_outcome(one)}", _ends(one))
    if one.open and one.due.must and step.requested != "frontier":
        yield Finding("I3", "requested is what was decided", f"{step.step} requested {step.requested}", grounds(one))
    if step.outcome != "served" and (step.text or step.matches or step.score is not None):
        yield Finding("I3", "a failed step holds no reply and no score", f"{step.step}: {step.text!r}", "it failed")


def _ends(one: StepReview) -> str:
    pairs = zip(one.walk.providers, one.walk.errors, strict=True)
    ends = [f"{who} ended with {error or 'a good reply'}" for who, error in pairs]
    return f"in the trace {', '.join(ends) or 'nobody was asked'}"


def _outcome(one: StepReview) -> str:
    return f"{one.step.outcome} by {one.step.served}, error {one.step.error}"


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words) or "none"
