"""I14: who follows whom in a slot, and who goes, is what was measured and what was done before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isnan
from statistics import fmean

from stepdown_machine import operations as op
from stepdown_machine.findings import Finding
from stepdown_machine.model import ERROR_RATE, Model, grid_ctf, outcome, share, surest
from stepdown_machine.model.registered import WHOLE
from stepdown_machine.observed import Step
from stepdown_machine.protocol import Answer
from stepdown_machine.transition import StepReview, Transition
from stepdown_machine.values import Pointed, Promoted, Pruned

Bounds = Callable[[Sequence[float], float], tuple[float, float]]
SLACK = 1e-9
"""For sums in another order."""


def succession_follows_its_evidence(
    transition: Transition, model: Model, _reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I14: a verdict rests on scores that replay, on the seeds that the frontier really answered, and on honest bounds.

    Whether the verdict follows from them, where a rollback leads and what prune deletes is asked while the operation is
    told to the model: see `answer_is_due`. Blind to an activation that did not follow (I10).
    """
    verdicts = [answer for _, answer in transition.answered() if isinstance(answer, Promoted)]
    # A comparison that was broken off has spent its share as well; of that nobody knows here.
    rate = (
        share(max(1, model.compared - len(verdicts) + 1)) if verdicts and transition.description.shared else ERROR_RATE
    )
    for asked, answer in transition.answered():
        if not isinstance(answer, Promoted):
            continue
        if isinstance(asked, op.Promote) and asked.resume in transition.memory.numbers:
            # It goes on with what it might spend from the beginning.
            rate = share(transition.memory.numbers[asked.resume] + 1) if transition.description.shared else ERROR_RATE
        yield from _replayed(answer, transition)
        yield from _bounded(answer, transition.description.objectors, rate)
        yield from _promised(answer, transition.description.bounds, rate if answer.share is None else answer.share)
        if answer.share is not None and answer.share > rate + SLACK:
            yield Finding("I14", f"an error rate of {rate} at most", f"{answer.share}", "all of a slot share one")
        yield from _unchanged(answer, transition)
        yield from _standing(answer, transition, rate)


def _replayed(promoted: Promoted, transition: Transition) -> Iterator[Finding]:
    steps = [step for step in transition.seen.steps if step.run == promoted.run]
    texts = {call.call: call.text for call in transition.seen.calls if call.ended and call.error is None}
    replies = {step.seed: reply for step in steps if (reply := _reply(step, texts)) is not None}
    compared = (sorted(pair.seed for pair in promoted.pairs), promoted.unanswered)
    due = (sorted(replies), len(steps) - len(replies))
    if compared != due:
        yield Finding(
            "I14",
            f"seeds {due[0]}, {due[1]} unanswered",
            f"{compared[0]}, {compared[1]}",
            "that is what the frontier answered",
        )
    if len(put := {step.knowledge for step in steps if step.role == "competitor"}) > 1:
        yield Finding("I14", "every seed asked with the same lessons", f"{sorted(put)}", "else they are not matched")
    if not transition.description.scores:
        return
    for pair in promoted.pairs:
        mine = grid_ctf.score(pair.reply, pair.seed)
        its = grid_ctf.score(replies.get(pair.seed, ""), pair.seed)
        if abs(pair.score - mine) > SLACK or abs(pair.frontier - its) > SLACK:
            did = f"{pair.score} against {pair.frontier}"
            yield Finding("I14", f"{mine} against {its} on seed {pair.seed}", did, f"{pair.reply} scores so")


def _reply(step: Step, texts: dict[str, str]) -> str | None:
    """Return what a frontier said in a step; what was cut off is nothing."""
    if step.recovered:
        return None
    return next((texts[attempt.call] for attempt in step.attempts if attempt.call in texts), None)


def _bounded(promoted: Promoted, objectors: Callable[[str], frozenset[str]] | None, rate: float) -> Iterator[Finding]:
    if not promoted.pairs:
        if not (isnan(promoted.mean) and isnan(promoted.lower) and isnan(promoted.upper)):
            yield Finding("I14", "nothing is shown", f"{promoted.lower} to {promoted.upper}", "nothing was compared")
        return
    seeds, mean = len(promoted.pairs), fmean(pair.score - pair.frontier for pair in promoted.pairs)
    least, most = surest(mean, seeds, rate), -surest(-mean, seeds, rate)
    if abs(promoted.mean - mean) > SLACK:
        yield Finding("I14", f"mean {mean}", f"mean {promoted.mean}", f"{seeds} pairs say so")
    if not (promoted.lower <= least + SLACK and promoted.upper >= most - SLACK):
        did = f"{promoted.lower} to {promoted.upper}"
        yield Finding("I14", f"at most {least} to at least {most}", did, f"{seeds} seeds cannot show more")
    legal = [not objectors(pair.reply) for pair in promoted.pairs] if objectors is not None else [True]
    if objectors is not None and not promoted.unanswered and abs(promoted.valid - fmean(legal)) > SLACK:
        yield Finding("I14", f"legal share {fmean(legal)}", f"{promoted.valid}", "its own replies say so")


def _promised(promoted: Promoted, bounds: Bounds | None, rate: float) -> Iterator[Finding]:
    """Check that the bounds are those that the system says it has, where it says so."""
    if bounds is None or not promoted.pairs:
        return
    lower, upper = bounds([pair.score - pair.frontier for pair in promoted.pairs], rate)
    if abs(promoted.lower - lower) > SLACK or abs(promoted.upper - upper) > SLACK:
        did = f"{promoted.lower} to {promoted.upper}"
        yield Finding("I14", f"{lower} to {upper}", did, f"these {len(promoted.pairs)} differences show that at {rate}")
    ahead = _ahead(promoted)
    if ahead and not promoted.unanswered and abs(promoted.ahead - (due := bounds(ahead, rate)[1])) > SLACK:
        yield Finding("I14", f"not above {due}", f"{promoted.ahead}", f"{promoted.champion} on the same seeds")


def _ahead(promoted: Promoted) -> list[float]:
    """Return how far the bundle lies before the slot's on each seed."""
    its = {each.seed: each.score for each in promoted.rivals or ()}
    return [pair.score - its[pair.seed] for pair in promoted.pairs if pair.seed in its]


def _standing(promoted: Promoted, transition: Transition, rate: float) -> Iterator[Finding]:
    """The slot's bundle answers the very seeds that the other one answers, now, and is scored alike."""
    if promoted.rivals is None:
        return
    asked = [step.seed for step in transition.seen.steps if step.run == promoted.run]
    seeds = sorted(asked) if promoted.champion else []
    if sorted(each.seed for each in promoted.rivals) != seeds:
        did = f"{sorted(each.seed for each in promoted.rivals)}"
        yield Finding(
            "I14",
            f"{promoted.champion} on seeds {seeds}",
            did,
            "challenger and champion answer every seed that the frontier is asked on",
        )
        return
    for each in promoted.rivals if transition.description.scores else ():
        if abs((due := grid_ctf.score(each.reply, each.seed)) - each.score) > SLACK:
            yield Finding("I14", f"{due} on seed {each.seed}", f"{promoted.champion} got {each.score}", each.reply)
    ahead = _ahead(promoted)
    least = -surest(-fmean(ahead), len(ahead), rate) if ahead and not promoted.unanswered else -1.0
    if promoted.ahead < least - SLACK:
        yield Finding("I14", f"not below {least}", f"{promoted.ahead}", f"{len(ahead)} seeds cannot show more")


def _unchanged(promoted: Promoted, transition: Transition) -> Iterator[Finding]:
    """A bundle whose evaluation counts keeps it: an examination is no other one."""
    before = transition.memory.answered.get(promoted.now.bundle)
    terms = [(each.version, each.decoding, each.knowledge) for each in (before, promoted.now) if each is not None]
    if before is not None and len(set(terms)) == 1 and repr(before) != repr(promoted.now):
        yield Finding(
            "I14", f"evaluated as {before}", f"{promoted.now}", "its evaluation counted, and a comparison is another"
        )


def answer_is_due(operation: op.Plain, answer: Answer, model: Model, transition: Transition) -> Iterator[Finding]:
    """I14: the verdict, the way back and what nobody needs are what this world makes them."""
    match operation, answer:
        case op.Promote(), Promoted():
            yield from _outcome_follows(operation, answer, model)
            yield from _finished(operation, answer, transition.description.compares)
            if transition.orderly:
                yield from _matched(operation, answer, model)
                yield from _measured(answer, model)
        case op.Rollback(), Pointed(bundle=bundle) if bundle != model.target():
            yield Finding("I14", f"back to {model.target()}", f"{bundle}", f"the way back is {list(model.behind())}")
        case op.Prune(bundle=None, keep=keep, ahead=ahead), Pruned(bundles=gone):
            most = model.unneeded(keep)
            if ahead:
                most &= {bundle for kind, bundle, *_ in map(str.split, transition.before.acts) if kind != "register"}
            least = most - (model.unsure if keep is None else frozenset())
            # A killed training may have registered a bundle that nobody was told of.
            if not least <= set(gone) <= most | transition.memory.strays:
                due = f"{sorted(least)} {'would be' if ahead else 'are'} deleted"
                yield Finding("I14", due, f"{sorted(gone)}", f"these are needed: {_needed(model, keep)}")
        case op.Prune(bundle=str(named)), Pruned(bundles=gone) if gone != (named,):
            yield Finding("I14", f"{named} is deleted", f"{sorted(gone)}", "that one was named")


def _needed(model: Model, keep: int | None) -> str:
    """Say which bundles are needed, and what for."""
    named: dict[str | None, str] = {model.target(): "a rollback leads to it"}
    named |= dict.fromkeys(model.slots.values(), "it holds the slot")
    needed = sorted(model.needed(keep))
    return ", ".join(f"{each} ({named.get(each, 'a kept run asked or compared it')})" for each in needed) or "none"


def _matched(asked: op.Promote, promoted: Promoted, model: Model) -> Iterator[Finding]:
    """Check whom it was compared with; between rivals that is whoever held the slot when the comparison began."""
    held = model.serving("competitor")
    fit = held is not None and held.files == WHOLE and model.fits(held) and not held.mute
    rival = held is not None and held.bundle != asked.bundle and fit
    champion = held.bundle if held is not None and rival else None
    if promoted.champion != champion:
        yield Finding("I14", f"compared with {champion}", f"{promoted.champion}", "that is whole and holds the slot")


def _measured(promoted: Promoted, model: Model) -> Iterator[Finding]:
    """Check that the bundle's evaluation counts: one that nobody measured as things are now would not serve."""
    now = promoted.now
    if (now.version, now.decoding) != (model.version, model.decoding):
        due = f"evaluated at version {model.version}, decoded {model.decoding}"
        yield Finding("I14", due, f"at {now.version}, {now.decoding}", "that is how things are now")
    away = abs(model.known - now.knowledge)
    if model.limits.max_lessons is not None and away > model.limits.max_lessons:
        did = f"{away} lessons away"
        yield Finding("I14", f"evaluated within {model.limits.max_lessons} lessons", did, "it would not serve")


def _finished(asked: op.Promote, promoted: Promoted, most: int) -> Iterator[Finding]:
    """Check that a comparison which shows nothing yet went on for as long as it may: silence alone ends it sooner."""
    shown = promoted.lower > -asked.margin or promoted.upper < -asked.margin
    if most and not shown and not promoted.unanswered and len(promoted.pairs) < most:
        because = f"{promoted.lower} to {promoted.upper} shows nothing at a margin of {asked.margin}"
        yield Finding("I14", f"{most} seeds", f"{len(promoted.pairs)}", because)


def _outcome_follows(asked: op.Promote, promoted: Promoted, model: Model) -> Iterator[Finding]:
    shown = {"lower": promoted.lower, "upper": promoted.upper, "ahead": promoted.ahead, "valid": promoted.valid}
    due = outcome(model.limits, asked.margin, coverage=model.coverage(), **shown)
    if promoted.outcome != due:
        because = f"margin {asked.margin}, {shown}, coverage {model.coverage()}"
        yield Finding("I14", due, promoted.outcome, because)
