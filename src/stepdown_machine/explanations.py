"""Telling a story: apply operations to a model and judge the steps between them, in the order given.

A provider's behaviour is read from the trace, which is the second witness and not the system's word; what a step must
look like follows from it and from the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from stepdown_machine import operations as op
from stepdown_machine.changes import apply
from stepdown_machine.filling import settled, stated
from stepdown_machine.findings import Finding
from stepdown_machine.invariants.answers import answer_is_legal
from stepdown_machine.invariants.succession import answer_is_due
from stepdown_machine.model import Breaker, Model, Objections, Registered, after, objections
from stepdown_machine.model.registered import OWN
from stepdown_machine.observed import Attempt, Call, Step
from stepdown_machine.orders import Explanation, came_second
from stepdown_machine.protocol import MISSING, UNPRICED, Answer, Description
from stepdown_machine.resuming import gone_on_with
from stepdown_machine.semantics import legal_answers
from stepdown_machine.transition import StepReview, Transition, Walk
from stepdown_machine.values import Bundle, Promoted, Ran


def review_steps(
    model: Model, explanation: Explanation, transition: Transition
) -> tuple[tuple[StepReview, ...], list[Finding]]:
    """Tell a story to a model, which changes; return its steps as reviewed on the way, and illegal answers."""
    trace = {call.call: call for call in transition.calls}
    steps, at_first, moves = iter(transition.steps), dict(model.breakers), model.moves
    probe = _held_probe(model, transition)
    model.asking = _asking(model, transition)
    reviews: list[StepReview] = []
    findings: list[Finding] = []
    model.known = max((lesson.version for lesson in transition.seen.lessons), default=0)
    for event in explanation.events:
        if isinstance(event, tuple):
            findings += _told(model, *event, transition, moved=model.moves != moves)
            continue
        for step in islice(steps, event):
            due = _due(model, step)
            if probe is None:
                due = _loosened(due, model, step, transition, at_first)
            elif step.run != probe and step.role == "competitor":
                due = due.also("local-cooldown")
            due = settled(_settled(due, step), step, transition.description)
            reviews.append(_step(model, step, due, trace, transition, recovered=explanation.recovered))
    return tuple(reviews), findings


def _told(model: Model, operation: op.Plain, answer: Answer, transition: Transition, *, moved: bool) -> list[Finding]:
    """Apply one operation; of a killed one nobody knows the answer, so it is applied if it would have been accepted."""
    if isinstance(operation, op.Promote) and isinstance(answer, Bundle):
        apply(model, operation, answer, transition.memory, transition.before)
        return []
    due = legal_answers(model, operation, transition.before, transition.description, transition.memory)
    if isinstance(transition.operation, op.Rival) and isinstance(operation, op.Promote | op.Rollback):
        # A verdict that moves nothing does not mind what became of its bundle while the seeds were played.
        held = isinstance(operation, op.Promote) and model.slots.get("competitor") == operation.bundle
        idle = isinstance(answer, Promoted) and (held or answer.outcome != "promote")
        due = replace(due, accept=due.accept or idle, kinds=due.kinds | {"stale"})
        if moved and not idle and operation == transition.parts[1] and came_second(transition):
            due = replace(due, accept=False, because="the slot changed hands while it was held")
    due = gone_on_with(operation, transition, due)
    if isinstance(transition.operation, op.Crash):
        if due.accept:
            apply(model, operation, answer, transition.memory, transition.before)
        if isinstance(operation, op.Export):
            # An export that got far enough has written a dataset anew that was altered before.
            shown = dict(transition.seen.datasets)
            model.tampered = frozenset(name for name in model.tampered if shown.get(name) != model.datasets[name])
        return []
    findings = list(answer_is_legal(answer, due)) or list(answer_is_due(operation, answer, model, transition))
    if not findings:
        apply(model, operation, answer, transition.memory, transition.before)
    return findings


def _step(
    model: Model, step: Step, due: Objections, trace: dict[str, Call], transition: Transition, *, recovered: bool
) -> StepReview:
    description = transition.description
    calls = tuple(trace.get(attempt.call) for attempt in step.attempts)
    walk = _walk(model, step, calls, due.must, description)
    registered = model.serving(step.role)
    step = stated(step, due, walk, model.now, calls, description)
    model.asked_with |= {step.step: model.text} if model.text != OWN else {}
    if due.allow(step.objections):
        model.drawn(step.seed, held="canary-held" in step.objections)
    open_ = _closed(model, step) is None
    excused, unpriced = _excuses(model, registered, transition), model.frontier == UNPRICED
    breaker = model.breakers.get(registered.bundle if registered else "", Breaker())
    moment = model.now, excused, model.limits, breaker, unpriced
    review = StepReview(step, calls, due, walk, registered, open_, *moment)
    for attempt, call in zip(step.attempts, calls, strict=True):
        if attempt.provider == "frontier" and call is not None:
            model.pay(step.run, call.input_tokens + call.output_tokens, attempt.cost)
    if registered is not None:
        for attempt, call in zip(step.attempts, calls, strict=True):
            if attempt.provider == "local":
                model.asked |= {registered.bundle}
            if _counts(attempt, call, step, recovered=recovered):
                succeeded = _ending(call, model, description) is None
                state = model.breakers.get(registered.bundle, Breaker())
                model.breakers[registered.bundle] = after(state, model.limits, model.now, succeeded=succeeded)
    return review


def _due(model: Model, step: Step) -> Objections:
    """Ask the gates; a comparison asks the frontier for its own sake, as if the policy forced it."""
    if step.purpose == "comparison":
        model = replace(model, limits=replace(model.limits, mode="frontier-only"))
    return objections(model, step.role, step.seed, step.knowledge)


def _asking(model: Model, transition: Transition) -> frozenset[str]:
    """Return the bundle that a run has asked which is held while the other process acts."""
    match transition.operation, transition.answer:
        case op.Rival(second=op.Run(), held="announced"), (_, Ran(run=run), *_):
            registered = model.serving("competitor")
            first = next((step for step in transition.steps if step.run == run), None)
            asked = first is not None and any(attempt.provider == "local" for attempt in first.attempts)
            return frozenset({registered.bundle} if registered is not None and asked else ())
    return frozenset()


def _held_probe(model: Model, transition: Transition) -> str | None:
    """Return the run whose probe was held under way while the other process acted: then nobody else may ask."""
    match transition.operation, transition.answer:
        case op.Rival(second=op.Run(), held="announced"), (_, Ran(run=run), *_):
            registered = model.serving("competitor")
            state = model.breakers.get(registered.bundle, Breaker()) if registered else Breaker()
            first = next((step for step in transition.steps if step.run == run), None)
            asked = [attempt.provider for attempt in first.attempts if not attempt.shadow] if first else []
            return run if state.half_open(model.limits, model.now) and asked[:1] == ["local"] else None
    return None


def _loosened(
    due: Objections, model: Model, step: Step, transition: Transition, at_first: Mapping[str, Breaker]
) -> Objections:
    """Between racing runs a breaker may be seen before or after the other's attempt, or with its probe under way.

    The probe may have closed it by the time that its step is told: what it was at first counts too.
    """
    registered = model.serving(step.role)
    stepping = [part for part in transition.parts if isinstance(part, op.Run | op.Promote)]
    # A call of the dead is no probe of the living.
    if registered is None or not isinstance(transition.operation, op.Rival) or len(stepping) < 2:
        return due
    if isinstance(transition.operation.second, op.Crash):
        return due
    if {each.get(registered.bundle, Breaker()) for each in (model.breakers, at_first)} == {Breaker()}:
        return due
    must = tuple(reason for reason in due.must if reason != "local-cooldown")
    return Objections(must, due.may | {"local-cooldown"})


def _settled(due: Objections, step: Step) -> Objections:
    """Where the contract leaves the system a choice, take the choice it made."""
    return Objections(step.objections, due.may) if due.may and due.allow(step.objections) else due


def _counts(attempt: Attempt, call: Call | None, step: Step, *, recovered: bool) -> bool:
    """Tell whether an attempt is a finished local one that the breaker must remember."""
    finished = attempt.provider == "local" and not attempt.shadow and call is not None and call.ended
    return finished and (recovered or not step.recovered)


def _ending(call: Call | None, model: Model, description: Description | None) -> str | None:
    """Say how an attempt ended: the provider's own error, or what is objected to its reply, where anybody judges it."""
    if call is None or description is None:
        return None if call is None else call.error
    if call.error is not None:
        return call.error
    if description.objectors is not None:
        return "invalid-output" if description.objectors(call.text) & model.validators else None
    return "invalid-output" if description.refuses is not None and description.refuses(call.text) else None


def _closed(model: Model, step: Step) -> str | None:
    """Say why a step may not ask the frontier: by the policy, as its run has spent what it may, or as nobody is there."""
    if not model.limits.frontier_allowed(step.role):
        return "frontier-forbidden"
    if model.over_budget(step.run):
        return "frontier-over-budget"
    return "frontier-unavailable" if model.frontier == MISSING else None


def _walk(
    model: Model, step: Step, calls: tuple[Call | None, ...], must: tuple[str, ...], description: Description
) -> Walk:
    """Follow the order of the walk: at most one local try, then frontier unless something is to be said against it."""
    providers: list[str] = []
    errors: list[str | None] = []
    judging = description if step.role == "competitor" else None

    def ask(provider: str) -> str | None:
        providers.append(provider)
        called = next((call for call in calls if call is not None and call.provider == provider), None)
        errors.append(_ending(called, model, judging))
        return errors[-1]

    reason = must[0] if must else None
    if not must:
        failure = ask("local")
        if failure is None:
            return Walk(("local",), (None,), None, "local", None)
        reason = f"local-{failure}"
    if (closed := _closed(model, step)) is not None:
        return Walk(tuple(providers), tuple(errors), reason, None, closed)
    failure = ask("frontier")
    return Walk(tuple(providers), tuple(errors), reason, None if failure else "frontier", failure)


def _excuses(model: Model, registered: Registered | None, transition: Transition) -> dict[str, frozenset[str | None]]:
    """Say which provider errors the environment explains; rivals may take a bundle away between decision and load.

    Who was asked before a disturbance may answer after it as if there were none.
    """
    worded: dict[str, str | None] = {"garbage": None, "illegal": None, "calm": None, UNPRICED: None}
    disturbed = [(part.local, part.frontier) for part in transition.parts if isinstance(part, op.Disturb)]
    weathers = [(model.local, model.frontier), *disturbed]
    local = {worded.get(word, word) for word, _ in weathers}
    frontier = {worded.get(word, word) for _, word in weathers}
    if registered is not None and registered.mute:
        local = {"load-failed"}
    if isinstance(transition.operation, op.Rival):
        local.add("load-failed")
    return {"local": frozenset(local), "frontier": frozenset(frontier)}
