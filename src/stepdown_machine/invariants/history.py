"""I6, I10, I11: history only grows, and it alone explains the state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stepdown_machine import operations as op
from stepdown_machine.findings import Finding
from stepdown_machine.model import Model
from stepdown_machine.observed import Step
from stepdown_machine.semantics import limits
from stepdown_machine.transition import StepReview, Transition
from stepdown_machine.values import Audited, Ran, RunReport


def one_active_bundle_per_slot(
    transition: Transition, _model: Model, _reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I6: no observer sees two bundles in a slot, and all observers see the same one.

    Blind to which bundle it is (I10). Where a slot is a pointer, only who lists bundle by bundle could show two.
    """
    seats = Counter((holding.observer, holding.role) for holding in transition.seen.holdings)
    seats["the shelf", "competitor"] = sum(shelved.standing == "active" for shelved in transition.seen.shelf)
    for (observer, role), bundles in seats.items():
        if bundles > 1:
            yield Finding("I6", f"one bundle for {role}", f"{observer} sees {bundles}", "a slot holds at most one")
    views = _views(transition)
    for observer, own in views.items():
        others = set().union(*views.values())
        if own != others:
            yield Finding(
                "I6", f"everybody sees {sorted(others)}", f"{observer} sees {sorted(own)}", "one truth for all"
            )


def _views(transition: Transition) -> dict[str, set[tuple[str, str]]]:
    """Return what each observer sees; one who sees nothing now is known from before."""
    both = (*transition.before.holdings, *transition.seen.holdings)
    return {
        observer: {(held.role, held.bundle) for held in transition.seen.holdings if held.observer == observer}
        for observer in sorted({holding.observer for holding in both})
    }


def history_explains_the_state(
    transition: Transition, model: Model, _reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I10: history never shrinks or changes, accepted acts explain the state, and the report says what history says.

    What is said later of an answer is a row of its own, and there are no other such rows.

    Blind to preferences that a run changed (I11) and to sums (I12).
    """
    yield from _growth(transition)
    if not transition.running:
        yield from _state(transition, model, "I10", "the acts that were accepted make it so")
    for operation, answer in transition.answered():
        match operation, answer:
            case op.Run(), Ran():
                yield from _complete(transition, operation, answer.run)
            case op.Report(), RunReport():
                steps = [step for step in transition.seen.steps if step.run == answer.run]
                yield from _report(answer, steps)
                yield from _ending(answer, steps, transition)
            case op.Audit(falsified=None), Audited(differences=unequal) if unequal:
                yield Finding("I10", "the audit finds nothing", f"{unequal}", "nothing was falsified")
            case op.Audit(falsified=str(what)), Audited(differences=()):
                yield Finding("I10", "the audit finds a difference", "nothing", f"{what} was falsified")


def fallback_changes_no_preference(
    transition: Transition, model: Model, _reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I11: whatever a run met, policy, validators and slots are what they were.

    Blind to acts (I10). That the next step is local again once the cause is gone is I2's to see.
    """
    if transition.running:
        yield from _state(transition, model, "I11", "a run changes no preference")
        if transition.seen.acts != transition.before.acts:
            new = transition.seen.acts[len(transition.before.acts) :]
            yield Finding("I11", "no act is recorded", f"{new}", "a run changes no preference")


def _growth(transition: Transition) -> Iterator[Finding]:
    for name in ("steps", "calls", "generations", "acts", "judgements"):
        before, now = getattr(transition.before, name), getattr(transition.seen, name)
        if now[: len(before)] != before:
            changed = next((old for old, new in zip(before, now, strict=False) if old != new), before[-1])
            yield Finding("I10", f"{name} keep {changed}", "it changed or went away", "history is append-only")


def _state(transition: Transition, model: Model, claim: str, because: str) -> Iterator[Finding]:
    policy = limits(transition.seen.policy)
    if policy != model.limits:
        yield Finding(claim, f"policy {model.limits}", f"policy {policy}", because)
    if transition.seen.judgements != model.judgements:
        due_later = f"judgements {list(model.judgements)}"
        yield Finding(claim, due_later, f"{list(transition.seen.judgements)}", because)
    if transition.seen.validators != model.validators:
        yield Finding(claim, f"validators {sorted(model.validators)}", f"{sorted(transition.seen.validators)}", because)
    due = set(model.slots.items())
    # When only some observers are wrong, that is I6's to say.
    views = [view for view in _views(transition).values() if view == due]
    if not views and (due or transition.seen.holdings):
        held = sorted({(holding.role, holding.bundle) for holding in transition.seen.holdings})
        yield Finding(claim, f"slots {model.slots}", f"slots {held}", because)
    for shelved in transition.seen.shelf:
        registered = model.bundles.get(shelved.bundle)
        if registered is not None and shelved.standing not in (None, model.standing(registered)):
            yield Finding(
                claim, f"{registered.bundle} is {model.standing(registered)}", f"it is {shelved.standing}", because
            )


def _ending(report: RunReport, steps: list[Step], transition: Transition) -> Iterator[Finding]:
    stopped = any(_refused(step) for step in steps)
    if (
        report.ending is not None
        and report.run in transition.memory.ended
        and (report.ending == "stopped") is not stopped
    ):
        due = "stopped" if stopped else "not stopped"
        yield Finding("I10", f"{report.run} is {due}", report.ending, "its budget was spent, or was not")


def _refused(step: Step) -> bool:
    return step.role == "competitor" and step.error == "frontier-over-budget"


def _complete(transition: Transition, asked: op.Run, run: str) -> Iterator[Finding]:
    steps = [step for step in transition.steps if step.run == run]
    roles = Counter(step.role for step in steps)
    last = next((step.generation for step in steps if _refused(step)), None)
    # Where a candidate was refused for the budget, its generation is the last one.
    most = asked.generations if last is None else len({step.generation for step in steps if step.generation <= last})
    due = {"competitor": most * asked.candidates, "coach": most}
    due = {role: count for role, count in due.items() if role in transition.description.roles}
    if roles != due:
        yield Finding("I10", f"{run} holds {due}", f"{dict(roles)}", "a run is generations of candidates and a coach")


def _report(report: RunReport, steps: list[Step]) -> Iterator[Finding]:
    served = Counter(step.served for step in steps if step.served)
    reasons = Counter(step.reason for step in steps if step.reason)
    scores = [step.score for step in steps if step.score is not None]
    summed = (report.steps, dict(report.served), dict(report.reasons), report.best)
    due = (len(steps), dict(served), dict(reasons), max(scores, default=None))
    if summed != due:
        yield Finding("I10", f"report {due}", f"report {summed}", "history says so")
