"""One operation of the machine through stepdown's own functions, in whichever process is asked to."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from stateful import bases
from stateful.children import REAL
from stateful.environment import SCENARIO, STRANGE, SmallPapers, strange
from stateful.exported import wants_matches
from stateful.logs import brought
from stateful.observing import PERSON, error_said
from stateful.plans import PLANS, TUNED
from stateful.ranges import out_of_range
from stateful.saying import bundle, dataset, moved, policy_changes, promoted, report
from stepdown.acts import configure, switch
from stepdown.acts.ask import Desk, judge, live
from stepdown.acts.datasets import find_dataset
from stepdown.acts.export import export
from stepdown.acts.localize import Trained, evaluate, localize
from stepdown.acts.promote import promote
from stepdown.acts.prune import plan, prune
from stepdown.acts.resume import resume_run
from stepdown.acts.rollback import rollback
from stepdown.acts.run import play, start
from stepdown.acts.under_way import RunUnderWay
from stepdown.errors import StepdownError, TrainingFailed
from stepdown.history import reader, rows
from stepdown.routing.reasons import FrontierObjection
from stepdown.scenarios.roles import COMPETITOR
from stepdown.training.job import Progress
from stepdown.training.promotion import Trial
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.views.route import explain_route
from stepdown.workspace import Workspace
from stepdown_machine import operations as op
from stepdown_machine.protocol import One
from stepdown_machine.values import (
    Audited,
    Changed,
    Pointed,
    Policy,
    Pruned,
    Ran,
    Refusal,
    Responded,
    Routed,
)


def answered(workspace: Workspace, operation: op.Plain) -> One:
    """Do one operation, and say a refusal as a value."""
    try:
        return work(workspace, operation)
    except StepdownError as error:
        return refused(operation, error.kind, str(error))


def refused(operation: op.Plain, kind: str, sentence: str) -> Refusal:
    """Say a refusal; the sentence that refuses a policy or a filter is a promise as well."""
    if kind in ("policy-out-of-range", "filter-out-of-range"):
        due = out_of_range(operation.policy if isinstance(operation, op.SetPolicy) else operation)
        assert sentence == due, f"{operation} is refused with: {sentence} It should be: {due}"
    return Refusal(kind, sentence)


def work(workspace: Workspace, operation: op.Plain) -> One:
    """Do one operation through stepdown's own functions."""
    match operation:
        case op.Run() | op.Resume() | op.Ask() | op.Route():
            return played(workspace, operation)
        case op.Export(run=run, scenario=scenario, min_score=limit, kept_only=kept_only, include_local=include_local):
            asked = {"run": run, "min_score": limit, "kept_only": kept_only, "include_local": include_local}
            asked["matches"] = wants_matches(operation)
            # What is not asked for is not said: what then happens is for stepdown to know.
            asked["imported"] = operation.imported
            told: dict[str, Any] = {
                name: value for name, value in asked.items() if value is not None and value is not False
            }
            filters = Filters(SCENARIO, **told)
            if scenario not in (None, SCENARIO):
                # stepdown knows no scenario but those installed, and says so; the machine's word is that none has rows.
                return report(workspace, run) and Refusal("no-records") if run else Refusal("no-records")
            return dataset(export(workspace, filters).path)
        case op.Train():
            return trained(workspace, operation)
        case op.Import(lines=lines, model=model):
            return brought(workspace, lines, model)
        case op.Judge(run=run, position=place, score=score, refused=before):
            call = served_call(workspace, run, place, before=before)
            judge(workspace, call, score, by=PERSON, why="the machine says so")
        case op.Activate(bundle=name, proven=proven):
            switch.activate(workspace, name, by=PERSON, forced=not proven)
        case op.Disable(bundle=name):
            switch.disable(workspace, name, by=PERSON)
        case op.Enable(bundle=name):
            switch.enable(workspace, name, by=PERSON)
        case op.Retire(bundle=name):
            switch.retire(workspace, name, by=PERSON)
        case op.Delete(bundle=name):
            switch.delete(workspace, name, by=PERSON)
        case op.Promote() | op.Rollback() | op.Prune():
            return succession(workspace, operation)
        case op.Evaluate(bundle=name):
            evaluate(workspace, name)
            return bundle(workspace, name)
        case op.SetPolicy(policy=policy):
            govern(workspace, policy)
        case op.SetValidator(name=name, enabled=enabled):
            configure.switch_validator(workspace, SCENARIO, name, enabled=enabled, by=PERSON)
        case op.Report(run=run):
            return report(workspace, run)
        case op.Changes():
            return Changed(tuple(map(moved, policy_changes(workspace))))
        case op.Audit():
            return Audited(tuple(map(str, differences(workspace))))
    return None


def played(workspace: Workspace, operation: op.Run | op.Resume | op.Ask | op.Route) -> One:
    """Ask, as a run does, as somebody who goes on with one, as somebody with one question; or say who would be asked."""
    match operation:
        case op.Run():
            return Ran(play(begun(workspace, operation)).id)
        case op.Resume(run=run):
            return Ran(play(resume_run(workspace, run)).id)
        case op.Route(role=role, seed=seed):
            way = explain_route(workspace, SCENARIO, role, seed)
            stated = tuple(gate.objection for gate in way.gates if gate.objection is not None)
            assert way.reason == next(iter(stated), None), f"the reason of {stated} is said to be {way.reason}"
            return Routed(way.serves, stated)
        case op.Ask(seed=seed, more=more):
            with live(workspace, SCENARIO) as desk:
                first, *others = (_responded(desk, each) for each in (seed, *more))
            return replace(first, more=tuple(others))


def _responded(desk: Desk, seed: int) -> Responded:
    told, run = desk.ask(STRANGE if seed in strange(desk.under_way.scenario) else seed), desk.under_way.run.id
    return Responded(run, told.reply or "", told.served, told.reason, told.score, error_said(told.error))


def trained(workspace: Workspace, asked: op.Train) -> One:
    """Train, and tell whoever waits for it that a tuning has written its first checkpoint."""
    taken: set[int] = set()

    def watch(progress: Progress) -> None:
        taken.add(progress.iteration)
        if asked.plan in TUNED and progress.iteration > bases.PLAN.checkpoint_every:
            workspace.reached(bases.CHECKPOINTED)

    key = (asked.dataset, asked.plan, asked.resume)
    before, afresh = finished(workspace), asked.fresh and key not in AFRESH

    def made_so() -> Trained:
        plan, scenario = {**PLANS, **TUNED}[asked.plan], workspace.scenario(SCENARIO)
        dataset = find_dataset(workspace, asked.dataset)
        if not isinstance(scenario, SmallPapers):
            return localize(workspace, dataset, plan=plan, fresh=afresh, resume=asked.resume, watch=watch)
        scenario.ask_for(plan.to_json())
        return localize(workspace, dataset, fresh=afresh, resume=asked.resume, watch=watch)

    try:
        made = made_so()
    except TrainingFailed as error:
        if error.kind != TrainingFailed.kind:
            raise
        # On a busy machine one child in some thousands has ended so, and never twice: its words are kept, and counted.
        warnings.warn(f"{asked}: {error}", stacklevel=1)
        REAL["trained again"] += 1
        made = made_so()
    REAL["trainings"] += afresh or finished(workspace) > before
    if afresh:
        AFRESH.add(key)
    told = bundle(workspace, made.bundle.id)
    # What was trained again a second time in this process is not trained a third time.
    return replace(told, iterations=len(taken)) if afresh or not asked.fresh else told


def served_call(workspace: Workspace, run: str, place: int, *, before: bool) -> str:
    """Return the call by which somebody was given an answer, or the one before it; one that nobody knows without any."""
    with workspace.reading() as connection:
        steps = sorted(reader.steps(connection, run), key=lambda step: (step.generation, step.position))
    calls = [step.served_call for step in steps if step.role == COMPETITOR and step.served_call is not None]
    call = calls[place] if 0 <= place < len(calls) else f"{run}/no/such/call"
    # Calls of a step are numbered.
    return f"{call.rpartition('/')[0]}/{int(call.rpartition('/')[2]) - 1}" if before and call in calls else call


def succession(workspace: Workspace, operation: op.Promote | op.Rollback | op.Prune) -> One:
    """Let a bundle follow another by evidence or back again, or clear away what nobody needs."""
    match operation:
        case op.Promote(bundle=name, margin=margin, resume=resume):
            trial = Trial(margin, budget=COMPARED, look=COMPARED // 2)
            return promoted(workspace, promote(workspace, name, trial=trial, by=PERSON, resume=resume))
        case op.Rollback():
            return Pointed(rollback(workspace, SCENARIO, by=PERSON).id)
        case op.Prune(bundle=named, keep=keep, ahead=ahead):
            names = [named] if named else []
            done = plan(workspace, names, keep=keep) if ahead else prune(workspace, names, keep=keep, by=PERSON)
            return Pruned(tuple(each.id for each in done.removed))


COMPARED = 16
"""Seeds of a comparison, at most."""
AFRESH: set[tuple[str, str, bool]] = set()
"""Datasets and plans that were trained a second time, from the start or from a checkpoint, and gave the same weights; a third
time would only say so again."""


def finished(workspace: Workspace) -> int:
    """Count the trainings that need not be done again; in a child process too, which has no room of its own."""
    return len(list((workspace.settings.cache or workspace.root).glob("*")))


def begun(workspace: Workspace, asked: op.Run) -> RunUnderWay:
    counts = {"seed": asked.seed, "generations": asked.generations, "candidates": asked.candidates}
    return start(workspace, SCENARIO, **counts, adopting=True)


def interleaved(workspace: Workspace, first: op.Run, second: op.Run) -> tuple[One, One]:
    """Let two runs take turns, a step at a time."""
    under_way = [begun(workspace, asked) for asked in (first, second)]
    turns = [_steps(run) for run in under_way]
    while turns:
        turns = [turn for turn in turns if next(turn, None) is not None]
    for run in under_way:
        run.end()
    return Ran(under_way[0].run.id), Ran(under_way[1].run.id)


def _steps(under_way: RunUnderWay) -> Iterator[rows.Step]:
    for _ in range(under_way.run.generations):
        yield from under_way.steps()
        if under_way.troubles[FrontierObjection.OVER_BUDGET]:
            return


def govern(workspace: Workspace, policy: Policy) -> None:
    """Set what is other than it is, and nothing else: the rest stays. Where nothing is, say all of it again."""
    with workspace.reading() as connection:
        _, before = workspace.policy(connection)
    stands, wanted = before.as_json(), spelled(policy)
    changes = {name: value for name, value in wanted.items() if value != _spelled(_stored(stands[name], policy, name))}
    configure.set_policy(workspace, changes or wanted, by=PERSON)


def _stored(value: Any, policy: Policy, name: str) -> Any:
    """Say a stored value as the machine would: what has no end is no limit, and roles keep the machine's order."""
    if value == "inf":
        return None
    if isinstance(value, list):
        wanted = getattr(policy, name)
        return wanted if sorted(wanted) == value else tuple(value)
    return value


def spelled(policy: Policy) -> dict[str, str]:
    """Say the machine's policy as a command line spells it."""
    return {name: _spelled(value) for name, value in asdict(policy).items()}


def _spelled(value: object) -> str:
    match value:
        case None:
            return "inf"
        case bool():
            # Two spellings, one for each value: both are meant.
            return "on" if value else "false"
        case tuple():
            return ",".join(value)
    return str(value)
