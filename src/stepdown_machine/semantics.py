"""The bridge between operations and the oracle: which answers are legal, and what an accepted one changes."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache

from stepdown_machine import operations as op
from stepdown_machine.model import REASONS, LegalAnswers, Limits, Model, Registered
from stepdown_machine.model.legal_answers import refused
from stepdown_machine.model.registered import DAMAGED, GONE, OWN, WHOLE
from stepdown_machine.observed import Observation, Step
from stepdown_machine.protocol import START, Answer, Description
from stepdown_machine.resuming import resuming
from stepdown_machine.transition import Memory
from stepdown_machine.values import Bundle, Dataset, Imported, Policy, Promoted, Pruned, Refusal


def initial_model(description: Description) -> Model:
    """Return the world before anything happened: what a fresh system has, in the hands of its first bundle."""
    probes = tuple((probe.legal, probe.objectors) for probe in description.probes)
    model = Model(
        START,
        limits(description.policy),
        frozenset(description.validators),
        probes=probes,
        tuned=frozenset(description.tuned),
    )
    model.lacks, model.grounds = frozenset(REASONS) - description.knows, description.grounds
    for bundle in description.given:
        _register(model, bundle, ("", bundle.bundle), None)
    for bundle in description.given[:1]:
        model.point(bundle.bundle)
    return model


def eligible(rows: Observation, wanted: op.Export, description: Description, model: Model) -> list[Step]:
    """Return the steps an export must hold: a function of committed rows, and of the text that is asked with now."""
    kept = {step for generation in rows.generations for step in generation.kept}
    later, objectors = dict(rows.judgements), description.objectors
    return [
        step
        for step in rows.steps
        if step.role == "competitor"
        and step.purpose != "comparison"
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
            return model.training(dataset, plan, _records(memory, dataset), description.min_records)
        case op.Judge() | op.Resume() | op.Import():
            return _afterwards(operation, rows, model, memory, description)
        case op.Activate(bundle=bundle, proven=proven):
            return model.activation(bundle, proven=proven)
        case op.Enable(bundle=bundle) | op.Disable(bundle=bundle):
            return model.switching(bundle)
        case op.Retire(bundle=bundle) | op.Delete(bundle=bundle):
            return model.removal(bundle)
        case op.Promote() | op.Rollback() | op.Prune():
            return _succession(model, operation)
        case op.SetPolicy(policy=policy):
            return model.governing(limits(policy), dict(description.most))
        case _:
            return LegalAnswers()


def is_legal(reply: str, description: Description) -> bool:
    """Tell whether the scenario accepts a reply, whatever is switched on."""
    return description.objectors is None or not description.objectors(reply)


def answered_steps(rows: Observation, run: str) -> list[Step]:
    """Return the competitor's steps of a run that somebody was given an answer in."""
    return [step for step in rows.steps if (step.run, step.role) == (run, "competitor") and step.served is not None]


def _afterwards(
    operation: op.Judge | op.Resume | op.Import,
    rows: Observation,
    model: Model,
    memory: Memory,
    description: Description,
) -> LegalAnswers:
    if isinstance(operation, op.Import):
        legal = any(is_legal(reply, description) for _, reply in operation.lines)
        return LegalAnswers() if legal else refused("log-empty", because="no answer in it is legal")
    if isinstance(operation, op.Resume):
        return resuming(operation.run, rows, model, memory)
    return _judgement(operation, rows)


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


def _succession(model: Model, operation: op.Promote | op.Rollback | op.Prune) -> LegalAnswers:
    match operation:
        case op.Promote(bundle=bundle):
            return model.promotion(bundle)
        case op.Prune(bundle=bundle, keep=keep):
            return model.pruning(bundle, keep)
    if model.target() is None:
        return refused("nothing-to-roll-back", because=f"none of {list(model.behind())} is good")
    return LegalAnswers()


def _records(memory: Memory, dataset: str) -> int | None:
    return len(memory.exported[dataset].records) if dataset in memory.exported else None


@lru_cache(1024)
def limits(policy: Policy) -> Limits:
    """Say a policy in the oracle's own type."""
    return Limits(**{each.name: getattr(policy, each.name) for each in fields(policy)})


def apply(model: Model, operation: op.Plain, answer: Answer, memory: Memory, rows: Observation) -> None:
    """Change the model as an accepted operation changes the world. Unknown answers (`None`) change what they can.

    Args:
        model: Changes.
        operation: What was done.
        answer: To it.
        memory: What the trial remembers.
        rows: Committed before it.
    """
    if isinstance(answer, Refusal):
        return
    match operation:
        case op.Activate(bundle=bundle):
            model.point(bundle)
        case op.Promote() | op.Rollback() | op.Prune():
            _succeed(model, operation, answer)
        case op.Disable() | op.Enable() | op.Retire() | op.Delete():
            _switch(model, operation)
        case op.SetPolicy(policy=policy):
            model.limits = limits(policy)
        case op.Judge(run=run, position=position, score=score):
            model.judgements += ((answered_steps(rows, run)[position].step, score),)
        case op.SetValidator(name=name, enabled=True):
            model.validators |= {name}
        case op.SetValidator(name=name):
            model.validators -= {name}
        case op.Export() | op.Train() | op.Plant() | op.Import():
            _shelve(model, operation, answer, memory)
        case _:
            _change_environment(model, operation)


def _switch(model: Model, operation: op.Disable | op.Enable | op.Retire | op.Delete) -> None:
    match operation:
        case op.Disable(bundle=bundle):
            model.alter(bundle, enabled=False)
        case op.Enable(bundle=bundle):
            model.alter(bundle, enabled=True)
        case op.Retire(bundle=bundle) | op.Delete(bundle=bundle):
            model.retire(bundle, deleted=isinstance(operation, op.Delete))


def _succeed(model: Model, operation: op.Promote | op.Rollback | op.Prune, answer: Answer) -> None:
    """Change who is the slot's, by evidence or back again, and who is there at all."""
    match operation, answer:
        case op.Promote(), Bundle():
            # What was evaluated before the comparison began.
            model.alter(answer.bundle, version=answer.version, score=answer.score, valid=answer.valid)
        case op.Promote(bundle=bundle), Promoted():
            model.asked |= {bundle, answer.champion or bundle}
            model.compared += 1
            model.verdicts[bundle] = answer.outcome, model.version, model.text
            if answer.outcome == "promote":
                model.point(bundle)
        case op.Promote(bundle=bundle), None:
            model.unsure |= {bundle, *model.slots.values()}
            model.verdicts[bundle] = None
            model.point(bundle)
        case op.Rollback(), _:
            model.retreat()
        case op.Prune(), Pruned():
            for bundle in model.bundles.keys() & set(answer.bundles):
                model.retire(bundle, deleted=True)
        case op.Prune(bundle=named, keep=keep), _:
            for bundle in model.unneeded(keep) if named is None else {named}:
                model.retire(bundle, deleted=True)


def _change_environment(model: Model, operation: op.Plain) -> None:
    """Apply what happens around the system and not in it."""
    match operation:
        case op.Damage(bundle=bundle, how="delete-directory"):
            model.alter(bundle, files=GONE)
        case op.Damage(bundle=bundle):
            model.alter(bundle, files=DAMAGED)
        case op.Restore(bundle=bundle):
            model.alter(bundle, files=WHOLE)
        case op.Tamper(dataset=dataset):
            model.tampered |= {dataset}
        case op.Revise(version=version):
            model.version = version
        case op.Disturb(local=local, frontier=frontier):
            model.local, model.frontier = local, frontier
        case op.Advance(seconds=seconds):
            model.now += seconds
        case op.SetBase(base=base):
            model.base = base
        case op.Reword(text=text):
            model.text = text


def _shelve(model: Model, operation: op.Plain, answer: Answer, memory: Memory) -> None:
    """Remember what was made."""
    match operation, answer:
        case op.Export(), Dataset():
            model.datasets[answer.dataset] = answer.digest
            model.written_with[answer.dataset] = model.text
            model.tampered -= {answer.dataset}
        case op.Train(dataset=dataset, plan=plan), Bundle():
            base = model.base if plan in model.tuned else None
            _register(model, answer, model.job(memory.exported[dataset].digest, plan), base)
        case op.Import(lines=lines), Imported(log=log, lines=learned):
            model.brought.setdefault(lines, log)
            model.logs.setdefault(log, tuple((f"{log}:{number}", text, score) for number, text, score in learned))
        case op.Plant(), Bundle():
            _register(model, answer, None, None)
            model.point(answer.bundle)


def _register(model: Model, bundle: Bundle, job: tuple[str, str] | None, base: str | None) -> None:
    old = model.bundles.get(bundle.bundle)
    if old is not None:
        files = old.files if old.deleted else WHOLE
        model.alter(bundle.bundle, files=files, version=bundle.version, score=bundle.score, valid=bundle.valid)
        return
    model.bundles[bundle.bundle] = Registered(
        bundle.bundle,
        bundle.weights,
        bundle.score,
        bundle.valid,
        bundle.trained_at,
        bundle.version,
        job,
        belongs=job is not None,
        base=base,
        text=model.text,
    )
