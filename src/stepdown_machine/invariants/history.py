"""I6, I10, I11: history only grows, and it alone explains the state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stepdown_machine import operations as op
from stepdown_machine.contract import limits
from stepdown_machine.findings import Finding
from stepdown_machine.model import Model
from stepdown_machine.observed import Step
from stepdown_machine.scene import Judged, Scene
from stepdown_machine.values import Audited, Ran, RunReport


def one_active_bundle_per_slot(scene: Scene, _model: Model, _judged: tuple[Judged, ...]) -> Iterator[Finding]:
    """I6: no observer sees two bundles in a slot, and all observers see the same one.

    Blind to which bundle it is (I10). Where a slot is a pointer, only who lists bundle by bundle could show two.
    """
    seats = Counter((holding.observer, holding.role) for holding in scene.seen.holdings)
    seats["the shelf", "competitor"] = sum(shelved.standing == "active" for shelved in scene.seen.shelf)
    for (observer, role), bundles in seats.items():
        if bundles > 1:
            yield Finding("I6", f"one bundle for {role}", f"{observer} sees {bundles}", "a slot holds at most one")
    views = _views(scene)
    for observer, own in views.items():
        others = set().union(*views.values())
        if own != others:
            yield Finding(
                "I6", f"everybody sees {sorted(others)}", f"{observer} sees {sorted(own)}", "one truth for all"
            )


def _views(scene: Scene) -> dict[str, set[tuple[str, str]]]:
    """Return what each observer sees; one who sees nothing now is known from before."""
    both = (*scene.before.holdings, *scene.seen.holdings)
    return {
        observer: {(held.role, held.bundle) for held in scene.seen.holdings if held.observer == observer}
        for observer in sorted({holding.observer for holding in both})
    }


def history_explains_the_state(scene: Scene, model: Model, _judged: tuple[Judged, ...]) -> Iterator[Finding]:
    """I10: history never shrinks or changes, accepted acts explain the state, and the report says what history says.

    What is said later of an answer is a row of its own, and there are no other such rows.

    Blind to preferences that a run changed (I11) and to sums (I12).
    """
    yield from _growth(scene)
    if not scene.running:
        yield from _state(scene, model, "I10", "the acts that were accepted make it so")
    for operation, answer in scene.told():
        match operation, answer:
            case op.Run(), Ran():
                yield from _complete(scene, operation, answer.run)
            case op.Report(), RunReport():
                steps = [step for step in scene.seen.steps if step.run == answer.run]
                yield from _report(answer, steps)
                yield from _ending(answer, steps, scene)
            case op.Audit(falsified=None), Audited(differences=found) if found:
                yield Finding("I10", "the audit finds nothing", f"{found}", "nothing was falsified")
            case op.Audit(falsified=str(what)), Audited(differences=()):
                yield Finding("I10", "the audit finds a difference", "nothing", f"{what} was falsified")


def fallback_changes_no_preference(scene: Scene, model: Model, _judged: tuple[Judged, ...]) -> Iterator[Finding]:
    """I11: whatever a run met, policy, validators and slots are what they were.

    Blind to acts (I10). That the next step is local again once the cause is gone is I2's to see.
    """
    if scene.running:
        yield from _state(scene, model, "I11", "a run changes no preference")
        if scene.seen.acts != scene.before.acts:
            new = scene.seen.acts[len(scene.before.acts) :]
            yield Finding("I11", "no act is recorded", f"{new}", "a run changes no preference")


def _growth(scene: Scene) -> Iterator[Finding]:
    for name in ("steps", "calls", "generations", "acts", "judgements"):
        before, now = getattr(scene.before, name), getattr(scene.seen, name)
        if now[: len(before)] != before:
            changed = next((old for old, new in zip(before, now, strict=False) if old != new), before[-1])
            yield Finding("I10", f"{name} keep {changed}", "it changed or went away", "history is append-only")


def _state(scene: Scene, model: Model, claim: str, because: str) -> Iterator[Finding]:
    said = limits(scene.seen.policy)
    if said != model.limits:
        yield Finding(claim, f"policy {model.limits}", f"policy {said}", because)
    if scene.seen.judgements != model.judgements:
        said_later = f"judgements {list(model.judgements)}"
        yield Finding(claim, said_later, f"{list(scene.seen.judgements)}", because)
    if scene.seen.validators != model.validators:
        yield Finding(claim, f"validators {sorted(model.validators)}", f"{sorted(scene.seen.validators)}", because)
    due = set(model.slots.items())
    # When only some observers are wrong, that is I6's to say.
    views = [view for view in _views(scene).values() if view == due]
    if not views and (due or scene.seen.holdings):
        held = sorted({(holding.role, holding.bundle) for holding in scene.seen.holdings})
        yield Finding(claim, f"slots {model.slots}", f"slots {held}", because)
    for shelved in scene.seen.shelf:
        known = model.bundles.get(shelved.bundle)
        if known is not None and shelved.standing not in (None, model.standing(known)):
            yield Finding(claim, f"{known.bundle} is {model.standing(known)}", f"it is {shelved.standing}", because)


def _ending(said: RunReport, steps: list[Step], scene: Scene) -> Iterator[Finding]:
    stopped = any(_refused(step) for step in steps)
    if said.ending is not None and said.run in scene.memory.ended and (said.ending == "stopped") is not stopped:
        due = "stopped" if stopped else "not stopped"
        yield Finding("I10", f"{said.run} is {due}", said.ending, "its budget was spent, or was not")


def _refused(step: Step) -> bool:
    return step.role == "competitor" and step.error == "frontier-over-budget"


def _complete(scene: Scene, asked: op.Run, run: str) -> Iterator[Finding]:
    steps = [step for step in scene.steps if step.run == run]
    roles = Counter(step.role for step in steps)
    last = next((step.generation for step in steps if _refused(step)), None)
    # Where a candidate was refused for the budget, its generation is the last one.
    most = asked.generations if last is None else len({step.generation for step in steps if step.generation <= last})
    due = {"competitor": most * asked.candidates, "coach": most}
    due = {role: count for role, count in due.items() if role in scene.description.roles}
    if roles != due:
        yield Finding("I10", f"{run} holds {due}", f"{dict(roles)}", "a run is generations of candidates and a coach")


def _report(said: RunReport, steps: list[Step]) -> Iterator[Finding]:
    served = Counter(step.served for step in steps if step.served)
    reasons = Counter(step.reason for step in steps if step.reason)
    scores = [step.score for step in steps if step.score is not None]
    told = (said.steps, dict(said.served), dict(said.reasons), said.best)
    due = (len(steps), dict(served), dict(reasons), max(scores, default=None))
    if told != due:
        yield Finding("I10", f"report {due}", f"report {told}", "history says so")
