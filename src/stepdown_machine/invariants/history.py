"""I6, I10, I11: history only grows, and it alone explains the state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stepdown_machine import operations as op
from stepdown_machine.findings import Finding
from stepdown_machine.invariants import lessons
from stepdown_machine.invariants.bundles import own_measures
from stepdown_machine.model import Model, objections
from stepdown_machine.observed import Step
from stepdown_machine.resuming import learned, over_budget, seeds
from stepdown_machine.semantics import limits
from stepdown_machine.transition import StepReview, Transition
from stepdown_machine.values import Audited, Changed, Ran, Responded, Routed, RunReport


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
    if transition.steps and transition.orderly and op.Resume in transition.description.operations:
        yield from _alike(transition, model)
    if not transition.running:
        yield from _state(transition, model, "I10", "the acts that were accepted make it so")
    yield from _signed(transition)
    yield from lessons.learned(transition)
    yield from _asked(transition, model)
    for operation, answer in transition.answered():
        match operation, answer:
            case op.Report(), RunReport():
                steps = [step for step in transition.seen.steps if step.run == answer.run]
                yield from _report(answer, steps)
                yield from _ending(answer, transition)
                yield from _remembered(answer, transition, model)
            case op.Changes(), Changed(policies=told) if told != model.changes:
                yield Finding(
                    "I10", f"changes {model.changes}", f"{told}", "that is what was changed, one after the other"
                )
            case op.Audit(falsified=None), Audited(differences=unequal) if unequal:
                yield Finding("I10", "the audit finds nothing", f"{unequal}", "nothing was falsified")
            case op.Audit(falsified=str(what)), Audited(differences=()):
                yield Finding("I10", "the audit finds a difference", "nothing", f"{what} was falsified")


def _signed(transition: Transition) -> Iterator[Finding]:
    """Check that whoever asked for an act answers for it, and that it says where it goes against the evidence."""
    new = transition.seen.signed[len(transition.before.signed) :]
    by = transition.description.operator
    for signature in new:
        if by and signature is not None and signature.by != by:
            yield Finding("I10", f"an act of {by}", f"one of {signature.by}", f"{by} asked for it")
    forced = [isinstance(part, op.Activate) and not part.proven for part in transition.parts]
    if new and not any(forced) and any(signature is not None and signature.forced for signature in new):
        yield Finding("I10", "no act is forced", f"{new}", "it was asked for by the evidence")
    moved = transition.seen.acts[len(transition.before.acts) :]
    if by and all(forced) and moved and not any(signature is not None and signature.forced for signature in new):
        yield Finding("I10", "a forced act", f"{new}", "whoever asked for it answers for it")


def _asked(transition: Transition, model: Model) -> Iterator[Finding]:
    """Check what came of whatever asks, or says who would be asked."""
    for operation, answer in transition.answered():
        match operation, answer:
            case op.Run(), Ran():
                yield from _complete(transition, operation, answer.run)
            case op.Resume(), Ran():
                yield from _whole(transition, operation, answer.run)
            case op.Ask(), Responded():
                yield from _told(operation, transition, answer)
            case op.Route(), Routed():
                yield from _way(operation, answer, model)


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
    for name in ("steps", "calls", "generations", "acts", "signed", "lessons", "judgements"):
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


def _ending(report: RunReport, transition: Transition) -> Iterator[Finding]:
    """Check how a run is said to have ended: by its budget, or with nothing served, or neither."""
    stopped = transition.memory.ended.get(report.run)
    if report.ending is not None and stopped is not None and (report.ending == "stopped") is not stopped:
        due = "stopped" if stopped else "not stopped"
        yield Finding("I10", f"{report.run} is {due}", report.ending, "its budget was spent, or was not")
    steps = [step for step in transition.seen.steps if (step.run, step.role) == (report.run, "competitor")]
    if report.ending in ("completed", "failed") and steps and steps[0].purpose == "work":
        ended = "completed" if any(step.outcome == "served" for step in steps) else "failed"
        if report.ending != ended:
            yield Finding("I10", f"{report.run} is {ended}", report.ending, "somebody was served, or nobody was")


def _complete(transition: Transition, asked: op.Run, run: str) -> Iterator[Finding]:
    steps = [step for step in transition.steps if step.run == run]
    roles = Counter(step.role for step in steps)
    last = next((step.generation for step in steps if over_budget(step)), None)
    # Where a candidate was refused for the budget, its generation is the last one.
    most = asked.generations if last is None else len({step.generation for step in steps if step.generation <= last})
    due = {"competitor": most * asked.candidates, "coach": most}
    due = {role: count for role, count in due.items() if role in transition.description.roles}
    if roles != due:
        yield Finding("I10", f"{run} holds {due}", f"{dict(roles)}", "a run is generations of candidates and a coach")


def _whole(transition: Transition, asked: op.Resume, run: str) -> Iterator[Finding]:
    """Check that a run that went on holds each candidate and each coach once, and asked what an equal run does."""
    begun = transition.memory.plans.get(asked.run)
    if run != asked.run or begun is None:
        if run != asked.run:
            yield Finding("I10", f"{asked.run} goes on", f"{run} was played", "that one was named")
        return
    steps = [step for step in transition.seen.steps if step.run == run]
    last = next((step.generation for step in transition.steps if step.run == run and over_budget(step)), None)
    places = Counter((step.generation, step.role) for step in steps if last is None or step.generation <= last)
    roles = [role for role in ("competitor", "coach") if role in transition.description.roles]
    most = {"competitor": begun.asked.candidates, "coach": 1}
    numbers = sorted({step.generation for step in steps if last is None or step.generation <= last})
    if last is None and len(numbers) != begun.asked.generations:
        yield Finding("I10", f"{begun.asked.generations} generations", f"{numbers}", f"{run} went on to its end")
    due = {(number, role): most[role] for number in numbers for role in roles}
    if dict(places) != due:
        yield Finding("I10", f"{run} holds {due}", f"{dict(places)}", "what stands is kept, and the rest is done once")


def _alike(transition: Transition, model: Model) -> Iterator[Finding]:
    """Check that runs of one seed ask the same places on the same seeds."""
    memory = transition.memory
    new = {step.run for step in transition.steps}
    plans = {run: begun for run, begun in (memory.plans | dict(learned(transition, model))).items() if run in new}
    for place, seed in seeds(transition.seen, plans):
        if memory.seeds.get(place, seed) != seed:
            says = f"seed {memory.seeds[place]} at {place}"
            yield Finding("I10", says, f"seed {seed}", "another run of that seed asked so there")


def _told(asked: op.Ask, transition: Transition, told: Responded) -> Iterator[Finding]:
    """Check that what came back to whoever asked one question is what history keeps of it, and that it was one."""
    steps = [step for step in transition.steps if step.run == told.run]
    rows = [
        (each.text, each.served, each.reason, each.score, each.error, each.role, each.purpose, each.seed)
        for each in steps
    ]
    due = [
        (each.text, each.served, each.reason, each.score, each.error, "competitor", "live", seed)
        for each, seed in zip((told, *told.more), (asked.seed, *asked.more), strict=False)
    ]
    if rows != due or len(due) != 1 + len(asked.more):
        yield Finding("I10", f"rows {due}", f"{rows}", "that is what was told to whoever asked")


def _way(asked: op.Route, routed: Routed, model: Model) -> Iterator[Finding]:
    """Check who is said to be asked now, and why local is not."""
    due = objections(model, asked.role, asked.seed)
    if not due.allow(routed.objections):
        yield Finding("I10", f"objections {due.must}", f"{routed.objections}", f"so it is for {asked.role} now")
    open_ = "frontier" if model.limits.frontier_allowed(asked.role) else "nobody"
    if routed.asks != (open_ if routed.objections else "local"):
        yield Finding("I10", f"asks {open_ if routed.objections else 'local'}", routed.asks, f"{routed.objections}")


def _report(report: RunReport, steps: list[Step]) -> Iterator[Finding]:
    served = Counter(step.served for step in steps if step.served)
    reasons = Counter(step.reason for step in steps if step.reason)
    scores = [step.score for step in steps if step.score is not None]
    summed = (report.steps, dict(report.served), dict(report.reasons), report.best)
    due = (len(steps), dict(served), dict(reasons), max(scores, default=None))
    if summed != due:
        yield Finding("I10", f"report {due}", f"report {summed}", "history says so")
    if report.share is not None and report.share != (shared := _share(steps)):
        yield Finding("I10", f"share {shared}", f"share {report.share}", "of the steps that local might serve")


def _remembered(report: RunReport, transition: Transition, model: Model) -> Iterator[Finding]:
    """Check what is said of the bundles that a run asked, and of what it taught."""
    for bundle, measured in report.measured or ():
        registered = model.bundles.get(bundle)
        own = own_measures(registered) if registered is not None else set()
        if own and measured not in own:
            yield Finding("I10", f"one of {sorted(own, key=str)}", f"{bundle} did {measured}", "it did so by itself")
    steps = {step.step for step in transition.seen.steps if step.run == report.run}
    taught = tuple(lesson.text for lesson in transition.seen.lessons if lesson.step in steps)
    if report.lessons not in (None, taught):
        yield Finding("I10", f"lessons {taught}", f"{report.lessons}", "these came of its own steps")


def _share(steps: list[Step]) -> tuple[float, ...]:
    """Return what share of the served steps local served, of those that it might; none of what is no work."""
    might = [step for step in steps if step.purpose == "work" and "role-not-eligible" not in step.objections]
    served = [step.served for step in might if step.served is not None]
    return (served.count("local") / len(served),) if served else ()
