"""I9: a bundle is whole or invisible, and what is said of it is so."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, sqrt
from statistics import fmean, stdev

from stepdown_machine import operations as op
from stepdown_machine.findings import Finding
from stepdown_machine.model import Model
from stepdown_machine.model.registered import GONE, WHOLE, Registered
from stepdown_machine.observed import Shelved
from stepdown_machine.transition import StepReview, Transition
from stepdown_machine.values import Bundle


def bundles_are_whole_or_invisible(
    transition: Transition, model: Model, _reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I9: a bundle is whole or invisible, its promises follow from its evaluation, and equal jobs give equal weights.

    Blind to weights that are equal and bad.
    """
    shelf = {shelved.bundle: shelved for shelved in transition.seen.shelf}
    for registered in model.bundles.values():
        yield from _shelved(registered, shelf.get(registered.bundle))
        if registered.bundle in shelf:
            yield from _shown(registered, shelf[registered.bundle], model)
    for bundle in shelf.keys() - model.bundles.keys():
        if bundle not in transition.memory.strays or not shelf[bundle].whole:
            yield Finding("I9", f"no bundle {bundle}", f"{shelf[bundle]}", "no training answered it")
    if len(transition.seen.checkpoints) > transition.memory.begun:
        yield Finding(
            "I9",
            f"{transition.memory.begun} checkpoints at most",
            f"{transition.seen.checkpoints}",
            "no more were killed",
        )
    if transition.seen.leftovers:
        yield Finding(
            "I9", "no files beside datasets and bundles", f"{transition.seen.leftovers}", "nothing is under way"
        )
    for operation, answer in transition.answered():
        if isinstance(operation, op.Train | op.Evaluate) and isinstance(answer, Bundle):
            yield from _made(operation, answer, transition, model)


def _made(asked: op.Train | op.Evaluate, bundle: Bundle, transition: Transition, model: Model) -> Iterator[Finding]:
    """Check what came of a training, or of measuring again."""
    yield from _promises(bundle, transition.description.sure)
    if isinstance(asked, op.Evaluate):
        yield from _measured(asked, bundle, transition, model)
    elif bundle.bundle in model.bundles:
        yield from _repeats(asked, bundle, transition, model)


def _measured(asked: op.Evaluate, bundle: Bundle, transition: Transition, model: Model) -> Iterator[Finding]:
    """Check that the very bundle was measured, as things are now."""
    registered = model.bundles[asked.bundle]
    named = (bundle.bundle, bundle.weights, bundle.trained_at)
    if named != (due := (asked.bundle, registered.weights, registered.trained_at)):
        yield Finding("I9", f"{due}", f"{named}", "that one was to be measured")
    found = (bundle.version, bundle.decoding, bundle.knowledge)
    if transition.orderly and found != (now := (model.version, model.decoding, model.known)):
        yield Finding("I9", f"version, decoding and lessons {now}", f"{found}", "so they are now")


def _shelved(registered: Registered, shelved: Shelved | None) -> Iterator[Finding]:
    if registered.deleted:
        if shelved is not None:
            yield Finding("I9", f"{registered.bundle} is gone", "it is still on the shelf", "it was deleted")
        return
    if shelved is None:
        yield Finding("I9", f"{registered.bundle} is on the shelf", "it is not", "it was registered and not deleted")
    elif shelved.listed not in (None, registered.files):
        did = f"it is listed as {shelved.listed}"
        yield Finding("I9", f"{registered.bundle} is {registered.files}", did, "that is what happened to its files")
    elif (shelved.present, shelved.whole) != (registered.files != GONE, registered.files == WHOLE):
        did = f"present {shelved.present}, whole {shelved.whole}"
        yield Finding("I9", f"{registered.bundle} is {registered.files}", did, "that is what happened to its files")
    elif registered.files == WHOLE and shelved.weights != registered.weights:
        yield Finding(
            "I9", f"weights {registered.weights}", f"weights {shelved.weights}", f"{registered.bundle} was made so"
        )


def _shown(registered: Registered, shelved: Shelved, model: Model) -> Iterator[Finding]:
    """Check what people are told of a bundle: how it did in an evaluation of its own, and whether it is missed."""
    own = own_measures(registered)
    if own and shelved.measured is not None and shelved.measured not in own:
        yield Finding(
            "I9", f"one of {sorted(own, key=str)}", f"{registered.bundle} did {shelved.measured}", "it did so"
        )
    missed = not registered.retired and not (registered.files == WHOLE and model.based(registered))
    # Of what does not belong here, and may be of a form that nobody reads yet, a warning is as good as none.
    if registered.belongs and shelved.missed not in (None, missed):
        why = f"its files are {registered.files}, and it is {model.standing(registered)}"
        yield Finding("I9", f"{registered.bundle} missed: {missed}", f"missed: {shelved.missed}", why)


def own_measures(registered: Registered) -> set[tuple[float | None, float]]:
    """Return score and legal share of each evaluation of a bundle's own; a comparison is none."""
    return {(_number(each.score), each.valid) for each in registered.evaluations}


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


def _promises(bundle: Bundle, sure: tuple[float, float]) -> Iterator[Finding]:
    scores = [score or 0.0 for _, score in bundle.evaluation]
    if not scores:
        return
    legal = sum(score is not None for _, score in bundle.evaluation) / len(scores)
    if abs(bundle.valid - legal) > 1e-9:
        yield Finding("I9", f"valid share {legal}", f"{bundle.valid}", "its own evaluation says so")
    # Of one that could not be measured nothing is claimed: NaN is not above anything.
    spread = stdev(scores) / sqrt(len(scores)) if len(scores) > 1 else 0.0
    most, least = (max(0.0, fmean(scores) - errors * spread) if spread else fmean(scores) for errors in sure)
    if bundle.score > most + 1e-9:
        yield Finding("I9", f"score at most {most}", f"{bundle.score}", "a lower bound is below its mean")
    if bundle.score < least - 1e-9:
        yield Finding("I9", f"score at least {least}", f"{bundle.score}", "it is no lower than it has to be")


def _repeats(asked: op.Train, bundle: Bundle, transition: Transition, model: Model) -> Iterator[Finding]:
    job = model.job(transition.memory.exported[asked.dataset].digest, asked.plan)
    due = transition.memory.weights.get(job, bundle.weights)
    if bundle.weights != due:
        yield Finding("I9", f"weights {due}", f"weights {bundle.weights}", f"the same job {job} gave them before")
    if model.bundles[bundle.bundle].job != job:
        yield Finding(
            "I9", f"a bundle of {job}", f"{bundle.bundle}", f"that one is of {model.bundles[bundle.bundle].job}"
        )
    whole = [
        registered.bundle for registered in model.equals(job) if registered.files == WHOLE and not registered.retired
    ]
    usable = [name for name in whole if model.counts(model.bundles[name]) and name in transition.memory.answered]
    if transition.orderly and bundle.bundle in transition.memory.answered and bundle.bundle not in usable:
        old = model.bundles[bundle.bundle]
        why = f"it is {model.standing(old)}, its files are {old.files}, its evaluation counts: {model.counts(old)}"
        yield Finding("I9", "a bundle that can serve", f"{bundle.bundle} again", why)
    if usable and bundle.bundle not in transition.memory.answered:
        yield Finding("I9", f"the bundle {usable[0]}", f"a new one, {bundle.bundle}", "an equal job's bundle is whole")
    named = transition.memory.exported.get(bundle.dataset or "")
    if bundle.dataset is not None and (named is None or named.digest != job[0]):
        yield Finding("I9", f"trained from {asked.dataset}", f"it says {bundle.dataset}", "that is what it learned")
    if bundle.plan not in (None, asked.plan):
        yield Finding("I9", f"trained by the plan {asked.plan}", f"it says {bundle.plan}", "that is how it learned")
    fresh = bundle.bundle not in transition.memory.answered.keys() | transition.memory.strays
    if transition.orderly and fresh and bundle.knowledge != model.known:
        yield Finding(
            "I9",
            f"evaluated with {model.known} lessons",
            f"with {bundle.knowledge}",
            "so many are known to whoever asks",
        )
    if asked.fresh and bundle.iterations == 0:
        yield Finding("I9", f"{asked.plan} is trained again", "no step was taken", "it was asked for afresh")
    before = transition.memory.answered.get(bundle.bundle)
    if before is not None and (bundle.weights, bundle.trained_at) != (before.weights, before.trained_at):
        yield Finding("I9", f"{before}", f"{bundle}", "what a bundle is never changes")
