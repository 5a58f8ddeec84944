"""Telling a story: apply operations to a model and judge the steps between them, in the order given.

A provider's behaviour is read from the trace, which is the second witness and not the system's word; what a step must
look like follows from it and from the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from stepdown_machine import operations as op
from stepdown_machine.contract import apply, verdict
from stepdown_machine.filling import settled, stated
from stepdown_machine.findings import Finding
from stepdown_machine.invariants.answers import answer_is_legal
from stepdown_machine.invariants.succession import answer_is_due
from stepdown_machine.model import Breaker, Model, Objections, after, objections
from stepdown_machine.observed import Attempt, Call, Step
from stepdown_machine.protocol import Answer, Description
from stepdown_machine.scene import Judged, Scene, Walk
from stepdown_machine.values import Bundle, Promoted, Ran

Chapter: TypeAlias = int | tuple[op.Plain, Answer]
"""So many steps, or an operation with its answer."""


@dataclass(frozen=True, slots=True)
class Story:
    """One order of things that may have happened.

    Attributes:
        recovered: Whether a recovered attempt whose outcome the trace knows counts for the breaker; the contract
            leaves that open.
    """

    chapters: tuple[Chapter, ...]
    recovered: bool = False


def stories(scene: Scene) -> Iterator[Story]:
    """Yield every order that could explain an operation; most operations have one."""
    steps = len(scene.steps)
    match scene.operation:
        case op.Crash(operation=op.Run()):
            yield Story((steps,))
            if any(attempt.provider == "local" for step in scene.steps if step.recovered for attempt in step.attempts):
                yield Story((steps,), recovered=True)
        case op.Crash(operation=inner):
            # Whatever takes steps takes them before it changes anything else.
            yield Story((steps,))
            yield Story((steps, (inner, None)))
        case op.Rival():
            yield from (Story(chapters) for chapters in _orders(tuple(scene.told()), steps))
        case _:
            told = tuple(scene.told())
            yield Story((*_evaluated(told), steps, *told))


def _evaluated(told: tuple[tuple[op.Plain, Answer], ...]) -> tuple[Chapter, ...]:
    """Return what comes before the steps of a comparison: a bundle whose evaluation no longer counts is evaluated anew."""
    return tuple((operation, answer.now) for operation, answer in told if isinstance(answer, Promoted))


def _orders(told: tuple[tuple[op.Plain, Answer], ...], steps: int) -> Iterator[tuple[Chapter, ...]]:
    """Yield both orders of two acts, or every moment between the steps of a run at which an act can fall."""
    acts = [part for part in told if not isinstance(part[0], op.Run)]
    evaluated = _evaluated(told)
    moments = range(steps + 1)
    match acts:
        case [one, two]:
            yield from ((*evaluated, at, one, steps - at, two) for at in moments)
            yield from ((*evaluated, at, two, steps - at, one) for at in moments)
        case [one]:
            yield from ((*evaluated, at, one, steps - at) for at in moments)
        case _:
            yield (steps,)


def judge(model: Model, story: Story, scene: Scene) -> tuple[tuple[Judged, ...], list[Finding]]:
    """Tell a story to a model, which changes; return the scene's steps as judged on the way, and illegal answers."""
    trace = {call.call: call for call in scene.calls}
    steps, at_first = iter(scene.steps), dict(model.breakers)
    probe = _held_probe(model, scene)
    judged: list[Judged] = []
    findings: list[Finding] = []
    for chapter in story.chapters:
        if isinstance(chapter, tuple):
            findings += _told(model, *chapter, scene)
            continue
        for step in islice(steps, chapter):
            due = _due(model, step)
            if probe is None:
                due = _loosened(due, model, step, scene, at_first)
            elif step.run != probe and step.role == "competitor":
                due = due.also("local-cooldown")
            due = settled(_settled(due, step), step, scene.description)
            judged.append(_step(model, step, due, trace, scene, recovered=story.recovered))
    return tuple(judged), findings


def _told(model: Model, operation: op.Plain, answer: Answer, scene: Scene) -> list[Finding]:
    """Apply one operation; of a killed one nobody knows the answer, so it is applied if it would have been accepted."""
    if isinstance(operation, op.Promote) and isinstance(answer, Bundle):
        apply(model, operation, answer, scene.memory, scene.before)
        return []
    due = verdict(model, operation, scene.before, scene.description, scene.memory)
    if isinstance(scene.operation, op.Rival) and isinstance(operation, op.Promote | op.Rollback):
        # A verdict that moves nothing does not mind what became of its bundle while the seeds were played.
        held = isinstance(operation, op.Promote) and model.slots.get("competitor") == operation.bundle
        idle = isinstance(answer, Promoted) and (held or answer.outcome != "promote")
        due = replace(due, accept=due.accept or idle, kinds=due.kinds | {"stale"})
    if isinstance(scene.operation, op.Crash):
        if due.accept:
            apply(model, operation, answer, scene.memory, scene.before)
        if isinstance(operation, op.Export):
            # An export that got far enough has written a dataset anew that was altered before.
            shown = dict(scene.seen.datasets)
            model.tampered = frozenset(name for name in model.tampered if shown.get(name) != model.datasets[name])
        return []
    findings = list(answer_is_legal(answer, due)) or list(answer_is_due(operation, answer, model, scene))
    if not findings:
        apply(model, operation, answer, scene.memory, scene.before)
    return findings


def _step(
    model: Model, step: Step, due: Objections, trace: dict[str, Call], scene: Scene, *, recovered: bool
) -> Judged:
    said = scene.description
    calls = tuple(trace.get(attempt.call) for attempt in step.attempts)
    walk = _walk(model, step, calls, due.must, said)
    known = model.serving(step.role)
    step = stated(step, due, walk, model.now, calls, said)
    if due.allow(step.objections):
        model.drawn(step.seed, held="canary-held" in step.objections)
    open_ = _closed(model, step) is None
    judged = Judged(step, calls, due, walk, known, open_, model.now, _excuses(model, scene))
    for attempt, call in zip(step.attempts, calls, strict=True):
        if attempt.provider == "frontier" and call is not None:
            model.pay(step.run, call.input_tokens + call.output_tokens, attempt.cost)
    if known is not None:
        for attempt, call in zip(step.attempts, calls, strict=True):
            if attempt.provider == "local":
                model.asked |= {known.bundle}
            if _counts(attempt, call, step, recovered=recovered):
                succeeded = _ending(call, model, said) is None
                state = model.breakers.get(known.bundle, Breaker())
                model.breakers[known.bundle] = after(state, model.limits, model.now, succeeded=succeeded)
    return judged


def _due(model: Model, step: Step) -> Objections:
    """Ask the gates; a comparison asks the frontier for its own sake, as if the policy forced it."""
    if step.purpose == "comparison":
        model = replace(model, limits=replace(model.limits, mode="frontier-only"))
    return objections(model, step.role, step.seed)


def _held_probe(model: Model, scene: Scene) -> str | None:
    """Return the run whose probe was held under way while the other process acted: then nobody else may ask."""
    match scene.operation, scene.answer:
        case op.Rival(second=op.Run(), held="announced"), (_, Ran(run=run)):
            known = model.serving("competitor")
            state = model.breakers.get(known.bundle, Breaker()) if known else Breaker()
            first = next((step for step in scene.steps if step.run == run), None)
            asked = [attempt.provider for attempt in first.attempts if not attempt.shadow] if first else []
            return run if state.half_open(model.limits, model.now) and asked[:1] == ["local"] else None
    return None


def _loosened(due: Objections, model: Model, step: Step, scene: Scene, at_first: Mapping[str, Breaker]) -> Objections:
    """Between racing runs a breaker may be seen before or after the other's attempt, or with its probe under way.

    The probe may have closed it by the time that its step is told: what it was at first counts too.
    """
    known = model.serving(step.role)
    stepping = [part for part in scene.parts if isinstance(part, op.Run | op.Promote)]
    if known is None or not isinstance(scene.operation, op.Rival) or len(stepping) < 2:
        return due
    if {each.get(known.bundle, Breaker()) for each in (model.breakers, at_first)} == {Breaker()}:
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


def _ending(call: Call | None, model: Model, said: Description | None) -> str | None:
    """Say how an attempt ended: the provider's own error, or what is objected to its reply, where anybody judges it."""
    if call is None or said is None:
        return None if call is None else call.error
    if call.error is not None:
        return call.error
    if said.objectors is not None:
        return "invalid-output" if said.objectors(call.text) & model.validators else None
    return "invalid-output" if said.refuses is not None and said.refuses(call.text) else None


def _closed(model: Model, step: Step) -> str | None:
    """Say why a step may not ask the frontier: the policy keeps its role from it, or its run has spent what it may."""
    if not model.limits.frontier_allowed(step.role):
        return "frontier-forbidden"
    return "frontier-over-budget" if model.over_budget(step.run) else None


def _walk(model: Model, step: Step, calls: tuple[Call | None, ...], must: tuple[str, ...], said: Description) -> Walk:
    """Follow the order of the walk: at most one local try, then frontier unless something is to be said against it."""
    providers: list[str] = []
    errors: list[str | None] = []
    judging = said if step.role == "competitor" else None

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


def _excuses(model: Model, scene: Scene) -> dict[str, frozenset[str | None]]:
    """Say which provider errors the weather explains; rivals may take a bundle away between decision and load."""
    worded = {"garbage": None, "illegal": None, "calm": None}
    local = {worded.get(model.local, model.local)}
    frontier = {worded.get(model.frontier, model.frontier)}
    if isinstance(scene.operation, op.Rival):
        local.add("load-failed")
    return {"local": frozenset(local), "frontier": frozenset(frontier)}
