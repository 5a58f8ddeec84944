"""The bridge between operations and the oracle: which answers are legal, and what an accepted one changes."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache

from stepdown_machine import operations as op
from stepdown_machine.model import LegalAnswers, Limits, Model, legality
from stepdown_machine.model.legal_answers import refused
from stepdown_machine.model.registered import OWN
from stepdown_machine.observed import Observation, Step
from stepdown_machine.protocol import MISSING, Description
from stepdown_machine.resuming import again, resuming
from stepdown_machine.transition import Memory
from stepdown_machine.values import Policy


def eligible(rows: Observation, wanted: op.Export, description: Description, model: Model) -> list[Step]:
    """Return the steps an export must hold: a function of committed rows, and of the text that is asked with now."""
    kept = {step for generation in rows.generations for step in generation.kept}
    later, objectors = dict(rows.judgements), description.objectors
    return [
        step
        for step in rows.steps
        if step.role == "competitor"
        and step.purpose != "comparison"
        and not (step.purpose == "live" and step.seed in description.examined)
        and not (step.purpose == "live" and step.seed in description.strange and later.get(step.step) is None)
        and step.outcome == "served"
        and model.asked_with.get(step.step, OWN) == model.text
        and not (objectors is not None and objectors(step.text))
        and (wanted.run is None or step.run == wanted.run)
        and (wanted.scenario is None or wanted.scenario == description.scenario)
        and (
            wanted.min_score is None
            or ((score := later.get(step.step, step.score)) is not None and score >= wanted.min_score)
        )
        and (not wanted.kept_only or step.step in kept)
        and (wanted.include_local or step.served != "local")
    ]


def logged(wanted: op.Export, description: Description, model: Model) -> list[tuple[str, str, float | None]]:
    """Return what of all logs an export must hold: place, text and score."""
    if (
        not wanted.imported
        or wanted.run is not None
        or wanted.kept_only
        or wanted.scenario not in (None, description.scenario)
    ):
        return []
    lines = [line for log in model.logs.values() for line in log]
    least = wanted.min_score
    return [line for line in lines if least is None or (line[2] is not None and line[2] >= least)]


def final_score(rows: Observation, step: Step) -> float | None:
    """Return what a step's answer is worth: what was last said of it later, else its own score."""
    return dict(rows.judgements).get(step.step, step.score)


def legal_answers(
    model: Model, operation: op.Plain, rows: Observation, description: Description, memory: Memory
) -> LegalAnswers:
    """Say which answers to an operation are legal in this world, given the rows committed before it."""
    match operation:
        case op.Export():
            return _exporting(operation, rows, description, model)
        case op.Report(run=run):
            recorded = run in {step.run for step in rows.steps}
            return LegalAnswers() if recorded else refused("unknown-run", because=f"history has no run {run}")
        case op.Train(dataset=dataset, plan=plan):
            return legality.training(model, dataset, plan, _records(memory, dataset), description.min_records)
        case op.Run() | op.Ask() | op.Judge() | op.Resume() | op.Import():
            return _asking(operation, rows, model, memory, description)
        case op.Activate(bundle=bundle, proven=proven):
            return legality.activation(model, bundle, proven=proven)
        case op.Enable(bundle=bundle) | op.Disable(bundle=bundle):
            return legality.switching(model, bundle)
        case op.Retire(bundle=bundle) | op.Delete(bundle=bundle):
            return legality.removal(model, bundle)
        case op.Promote() | op.Evaluate() | op.Rollback() | op.Prune():
            return _succession(model, operation, rows, memory)
        case op.SetPolicy(policy=policy):
            return legality.governing(limits(policy), dict(description.most))
        case _:
            return LegalAnswers()


def is_legal(reply: str, description: Description) -> bool:
    """Tell whether the scenario accepts a reply, whatever is switched on."""
    return description.objectors is None or not description.objectors(reply)


def answered_steps(rows: Observation, run: str) -> list[Step]:
    """Return the competitor's steps of a run that somebody was given an answer in."""
    return [step for step in rows.steps if (step.run, step.role) == (run, "competitor") and step.served is not None]


def _asking(
    operation: op.Run | op.Ask | op.Judge | op.Resume | op.Import,
    rows: Observation,
    model: Model,
    memory: Memory,
    description: Description,
) -> LegalAnswers:
    if isinstance(operation, op.Run | op.Ask):
        return _beginning(model)
    if isinstance(operation, op.Import):
        legal = any(is_legal(reply, description) for _, reply in operation.lines)
        return LegalAnswers() if legal else refused("log-empty", because="no answer in it is legal")
    if isinstance(operation, op.Resume):
        due = resuming(operation.run, rows, model, memory)
        begun = _beginning(model)
        return due if begun.accept else replace(begun, kinds=begun.kinds | due.kinds)
    return _judgement(operation, rows)


def _beginning(model: Model) -> LegalAnswers:
    """Judge beginning to ask: somebody must be there who could serve."""
    if model.frontier == MISSING and model.serving("competitor") is None:
        return refused("provider-unavailable", because="the frontier is not there, and the slot is empty")
    return LegalAnswers()


def _judgement(judgement: op.Judge, rows: Observation) -> LegalAnswers:
    grounds = {
        "score-out-of-range": not 0 <= judgement.score <= 1,
        "unknown-call": judgement.refused or not 0 <= judgement.position < len(answered_steps(rows, judgement.run)),
    }
    kinds = [kind for kind, applies in grounds.items() if applies]
    return refused(*kinds, because=f"it is {', '.join(kinds)}") if kinds else LegalAnswers()


def _exporting(wanted: op.Export, rows: Observation, description: Description, model: Model) -> LegalAnswers:
    if wanted.min_score is not None and not 0 <= wanted.min_score <= 1:
        return refused("filter-out-of-range", because=f"no score is {wanted.min_score}")
    if wanted.run is not None and wanted.run not in {step.run for step in rows.steps}:
        return refused("unknown-run", because=f"history has no run {wanted.run}")
    some = eligible(rows, wanted, description, model) or logged(wanted, description, model)
    return LegalAnswers() if some else refused("no-records", because="no row passes the filters")


def _succession(
    model: Model, operation: op.Promote | op.Evaluate | op.Rollback | op.Prune, rows: Observation, memory: Memory
) -> LegalAnswers:
    match operation:
        case op.Promote(bundle=bundle, resume=resume):
            due = again(legality.promotion(model, bundle), resume, rows, memory)
            if model.frontier != MISSING:
                return due
            kinds = due.kinds | {"provider-unavailable"}
            return LegalAnswers(False, kinds, "nobody can be compared with a frontier that is not there")
        case op.Evaluate(bundle=bundle):
            return legality.evaluation(model, bundle)
        case op.Prune(bundle=bundle, keep=keep):
            return legality.pruning(model, bundle, keep)
    if model.target() is None:
        return refused("nothing-to-roll-back", because=f"none of {list(model.behind())} is good")
    return LegalAnswers()


def _records(memory: Memory, dataset: str) -> int | None:
    return len(memory.exported[dataset].records) if dataset in memory.exported else None


@lru_cache(1024)
def limits(policy: Policy) -> Limits:
    """Say a policy in the oracle's own type."""
    return Limits(**{each.name: getattr(policy, each.name) for each in fields(policy)})
