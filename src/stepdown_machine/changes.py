"""What an accepted operation changes: the world before anything happened, and after each thing that did."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from stepdown_machine import operations as op
from stepdown_machine.model import REASONS, Model, Registered
from stepdown_machine.model.registered import DAMAGED, GONE, WHOLE, Evaluated
from stepdown_machine.model.registry import anywhere
from stepdown_machine.observed import Observation
from stepdown_machine.protocol import MUTE, START, Answer, Description
from stepdown_machine.semantics import answered_steps, limits
from stepdown_machine.transition import Memory
from stepdown_machine.values import Bundle, Dataset, Imported, Promoted, Pruned, Refusal


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
    if description.draw is not None:
        model.draw = partial(_drawn, description.draw)
    model.lacks, model.grounds = frozenset(REASONS) - description.knows, description.grounds
    for bundle in description.given:
        _register(model, bundle, ("", bundle.bundle), None)
    for bundle in description.given[:1]:
        model.point(bundle.bundle)
    return model


def _drawn(draw: Callable[[int], float], seed: int | None) -> tuple[float, float]:
    """Return a step's draw, as at least and as at most; without a seed nobody knows it."""
    return anywhere(seed) if seed is None else (draw(seed), draw(seed))


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
        case op.Promote() | op.Evaluate() | op.Rollback() | op.Prune(ahead=False):
            _succeed(model, operation, answer)
        case op.Disable() | op.Enable() | op.Retire() | op.Delete():
            _switch(model, operation)
        case op.SetPolicy(policy=policy):
            model.govern(limits(policy))
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


def _succeed(model: Model, operation: op.Promote | op.Evaluate | op.Rollback | op.Prune, answer: Answer) -> None:
    """Change who is the slot's, by evidence or back again, and who is there at all."""
    match operation, answer:
        case op.Promote() | op.Evaluate(), Bundle():
            # In a comparison, what was evaluated before the comparison began.
            model.evaluated(answer.bundle, _evaluation(answer))
        case op.Promote(bundle=bundle), Promoted():
            model.asked |= {bundle, answer.champion or bundle}
            model.compared += 1
            model.verdicts[bundle] = answer.outcome, model.terms
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
            model.measure()
        case op.Disturb(local=local, frontier=frontier):
            model.local, model.frontier = local, frontier
        case op.Advance(seconds=seconds):
            model.now += seconds
        case op.SetBase() | op.Reword() | op.Redecode():
            _replace_below(model, operation)


def _replace_below(model: Model, operation: op.SetBase | op.Reword | op.Redecode) -> None:
    """Let what bundles answer with be something else: their base, their text, or how they are decoded."""
    match operation:
        case op.SetBase(base=base):
            model.base = base
        case op.Reword(text=text):
            model.text = text
        case op.Redecode(how=how):
            model.decoding = how
            model.measure()


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
        case op.Plant(), Bundle() if isinstance(operation, op.Plant):
            _register(model, answer, None, None)
            if operation.kind == MUTE:
                model.alter(answer.bundle, belongs=True, mute=True)
            model.point(answer.bundle)


def _register(model: Model, bundle: Bundle, job: tuple[str, str] | None, base: str | None) -> None:
    old = model.bundles.get(bundle.bundle)
    if old is not None:
        files = old.files if old.deleted else WHOLE
        model.alter(bundle.bundle, files=files)
        model.evaluated(bundle.bundle, _evaluation(bundle))
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
        decoding=bundle.decoding,
    )
    model.evaluated(bundle.bundle, _evaluation(bundle))


def _evaluation(bundle: Bundle) -> Evaluated:
    return Evaluated(bundle.version, bundle.decoding, bundle.score, bundle.valid, bundle.knowledge)
