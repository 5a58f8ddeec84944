"""I4, I5, I12: history, trace and report are three tellings of the same calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from math import isclose
from statistics import fmean

from stepdown_machine import operations as op
from stepdown_machine.findings import Finding
from stepdown_machine.model import Model
from stepdown_machine.observed import Attempt, Call, Step
from stepdown_machine.protocol import START
from stepdown_machine.transition import StepReview, Transition
from stepdown_machine.values import Price, RunReport, Spent


def history_equals_trace(transition: Transition, _model: Model, reviews: tuple[StepReview, ...]) -> Iterator[Finding]:
    """I4: attempts in history are the calls in the trace, field by field, in order, nothing twice, nothing missing.

    Blind to a fault that both witnesses share (I5).
    """
    claimed = [attempt.call for step in transition.steps for attempt in step.attempts]
    traced = [call.call for call in transition.calls]
    yield from _sets(claimed, traced, transition)
    if transition.orderly and claimed != traced and Counter(claimed) == Counter(traced):
        yield Finding("I4", f"order {traced}", f"order {claimed}", "nothing ran at the same time")
    for one in reviews:
        for attempt, call in zip(one.step.attempts, one.calls, strict=True):
            yield from _pair(one.step, attempt, call)
        yield from _reply(one)
    if not transition.killed:
        for step in transition.steps:
            if step.recovered:
                own, other = f"{step.step} is closed by the process that began it", "closed as interrupted by another"
                yield Finding("I4", own, other, "that process was alive")
    if transition.seen.announced:
        yield Finding("I4", "no call is left open", f"open: {transition.seen.announced}", "no operation is under way")


def _sets(claimed: list[str], traced: list[str], transition: Transition) -> Iterator[Finding]:
    twice = {call for call, times in Counter(claimed).items() if times > 1} | (set(claimed) & transition.memory.called)
    if twice:
        yield Finding("I4", "one attempt for each call", f"again: {sorted(twice)}", "a call id is used once")
    if doubled := {call for call, times in Counter(traced).items() if times > 1}:
        yield Finding("I4", "one trace entry for each call", f"again: {sorted(doubled)}", "a call is traced once")
    if missing := set(traced) - set(claimed):
        yield Finding("I4", "every traced call is an attempt", f"not in history: {sorted(missing)}", "the trace has it")
    # A call that was announced and killed before its provider heard of it is in history alone.
    unheard = {a.call for step in transition.steps if step.recovered for a in step.attempts if a.error == "interrupted"}
    if invented := set(claimed) - set(traced) - unheard:
        yield Finding("I4", "every attempt is traced", f"not in the trace: {sorted(invented)}", "history has it")


def _pair(step: Step, attempt: Attempt, call: Call | None) -> Iterator[Finding]:
    if call is None:
        return
    ending = {call.error} if call.error else {None, "invalid-output"}
    facts = {
        "provider": (attempt.provider, {call.provider}),
        "error": (attempt.error, ending if call.ended else {"interrupted"}),
        "weights": (attempt.weights, {call.weights}),
        "model": (attempt.model, {call.model}),
        "input tokens": (attempt.input_tokens, {call.input_tokens}),
        "output tokens": (attempt.output_tokens, {call.output_tokens}),
    }
    for name, (recorded, traced) in facts.items():
        if recorded not in traced:
            words = " or ".join(sorted(str(value) for value in traced))
            yield Finding("I4", f"{name} {words}", f"{step.step} has {recorded}", f"the trace of {call.call} says so")
    if not call.ended and not step.recovered:
        yield Finding("I4", "a closed step's calls ended", f"{call.call} never ended", "nothing was killed")


def _reply(one: StepReview) -> Iterator[Finding]:
    """Check that what served is what was said; only recovery may close a step without an answer."""
    texts = {call.text for call in one.calls if call is not None and call.provider == one.step.served}
    if one.step.served is not None and texts and one.step.text not in texts:
        yield Finding("I4", f"reply {sorted(texts)}", f"{one.step.step} stored {one.step.text!r}", "the trace says so")
    if one.step.recovered != (one.step.outcome == "interrupted"):
        yield Finding("I4", "recovered steps are interrupted", f"{one.step.step}: {one.step.outcome}", "and no others")


def trace_names_the_weights_that_answered(
    _scene: Transition, _model: Model, reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I5: the digest in the trace is the digest of the slot's bundle.

    Blind to a digest that history copied wrongly (I4).
    """
    for one in reviews:
        for call in one.calls:
            if call is None or call.provider != "local" or one.bundle is None:
                continue
            legal = {one.bundle.weights} | ({None} if call.error or not call.ended else set())
            if call.weights not in legal:
                yield Finding("I5", f"weights {one.bundle.weights}", f"trace names {call.weights}", one.bundle.bundle)


def totals_add_up(transition: Transition, _model: Model, reviews: tuple[StepReview, ...]) -> Iterator[Finding]:
    """I12: tokens and money of a report follow from attempts, and a step is dated with the moment it happened.

    Blind to tokens that an attempt itself has wrong (I4).
    """
    for one in reviews:
        yield from _dated(one, transition)
    for _, answer in transition.answered():
        if isinstance(answer, RunReport):
            attempts = [each for step in transition.seen.steps if step.run == answer.run for each in step.attempts]
            sums = (sum(each.input_tokens for each in attempts), sum(each.output_tokens for each in attempts))
            reported = (answer.input_tokens, answer.output_tokens)
            if reported != sums:
                yield Finding("I12", f"tokens {sums}", f"tokens {reported}", f"the sum over {len(attempts)} attempts")
            saved = savings(transition.seen.steps, answer.run)
            if answer.saved is not None and not _same_money(answer.saved, saved):
                yield Finding("I12", f"saved {saved}", f"saved {answer.saved}", "that is what the attempts cost")
            if answer.spent is not None:
                yield from _sides(answer.spent, attempts)


def _moment(one: StepReview) -> str:
    return f"such were the prices {one.now - START:g} s after the beginning, for as many tokens"


def _dated(one: StepReview, transition: Transition) -> Iterator[Finding]:
    """Check a step's moment, and what its calls took at that moment. One that was held was decided before time passed."""
    held = transition.operation.later if isinstance(transition.operation, op.Rival) else 0.0
    if not one.now - held <= one.step.at <= one.now:
        yield Finding("I12", f"at {one.now}", f"{one.step.step} at {one.step.at}", "that is what the clock showed")
    for attempt in one.step.attempts:
        known, due = _due(attempt, one, transition.description.prices)
        if known and not _same(attempt.cost, due):
            did = f"{attempt.call} cost {attempt.cost}"
            yield Finding("I12", "no known price" if due is None else f"{due} dollars", did, _moment(one))
        if attempt.seconds:
            did = f"{attempt.call} took {attempt.seconds} s"
            yield Finding("I12", "no time passed", did, "the clock stood still")


def _due(attempt: Attempt, one: StepReview, prices: tuple[Price, ...]) -> tuple[bool, float | None]:
    """Return whether the price of a frontier's reply is stated here, and what it then cost, where anybody knows it."""
    answered = attempt.error in (None, "invalid-output") and not one.step.recovered
    price = next((each for each in reversed(prices) if one.now >= each.since), None)
    if attempt.provider != "frontier" or not answered or price is None:
        return False, None
    if one.unpriced or attempt.input_tokens > price.most:
        return True, None
    return True, (attempt.input_tokens * price.input + attempt.output_tokens * price.output) / 1e6


def _sides(told: tuple[Spent, ...], attempts: list[Attempt]) -> Iterator[Finding]:
    """Check what each side's calls are said to have taken; sides that nobody asked may be left out."""
    for side in ("frontier", "local", "shadow"):
        mine = [each for each in attempts if ("shadow" if each.shadow else each.provider) == side]
        answered = [each.cost for each in mine if each.error in (None, "invalid-output") and not each.shadow]
        priced = [cost for cost in answered if cost is not None]
        failed = sum(each.error is not None for each in mine)
        due = Spent(side, len(mine), failed, sum(priced), len(answered) - len(priced))
        said = next((each for each in told if each.side == side), Spent(side, 0, 0, 0.0, 0))
        if replace(said, cost=due.cost) != due or not _same(said.cost, due.cost):
            yield Finding("I12", f"{due}", f"{said}", "that is what its attempts took")


def savings(steps: tuple[Step, ...], run: str) -> tuple[tuple[str, float | None], ...]:
    """Return what local saved in a run, by role, as `RunReport.saved` says it."""
    saved: list[tuple[str, float | None]] = []
    for role in sorted({step.role for step in steps if (step.run, step.served) == (run, "local")}):
        local = [_price(step) for step in steps if (step.run, step.role, step.served) == (run, role, "local")]
        frontier = [_price(step) for step in steps if (step.role, step.served) == (role, "frontier")]
        spent = [price for price in local if price is not None]
        priced = [price for price in frontier if price is not None]
        sure = priced and len(spent) == len(local)
        saved.append((role, len(local) * fmean(priced) - sum(spent) if sure else None))
    return tuple(saved)


def _price(step: Step) -> float | None:
    costs = [attempt.cost for attempt in step.attempts if not attempt.shadow]
    priced = [cost for cost in costs if cost is not None]
    return sum(priced) if len(priced) == len(costs) else None


def _same_money(reported: tuple[tuple[str, float | None], ...], due: tuple[tuple[str, float | None], ...]) -> bool:
    """Compare, but for the order in which floats were added."""
    one, two = dict(reported), dict(due)
    return one.keys() == two.keys() and all(_same(one[role], two[role]) for role in one)


def _same(one: float | None, two: float | None) -> bool:
    return one is two if one is None or two is None else isclose(one, two, abs_tol=1e-12)
