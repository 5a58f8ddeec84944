"""What is done to a system, each operation in a sentence for somebody who has never seen the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from stepdown_machine import operations as op
from stepdown_machine.values import Policy


def sentence(operation: op.Operation) -> str:
    """Say what is done, in the imperative."""
    match operation:
        case op.Crash(operation=inner, point=point):
            return f"{sentence(inner)}; kill that process at the point {point!r}, and open the system again"
        case op.Rival():
            return _rival(operation)
        case op.Interleave(first=first, second=second):
            return f"in one process, a step of each in turn: {sentence(first)}; and {sentence(second)}"
        case plain:
            return SENTENCES[type(plain)](plain)


def _rival(rival: op.Rival) -> str:
    """Say what two processes do at once."""
    first, second, then = sentence(rival.first), sentence(rival.second), "; ".join(map(sentence, rival.then))
    later = f"{rival.later:g} seconds pass" if rival.later else ""
    if rival.held is None:
        return "; then ".join(
            filter(None, (f"in two processes at once: {first}; and in the second: {second}", later, then))
        )
    meanwhile = "; then ".join(filter(None, (first, then, later)))
    return f"in a second process: {second}; while that is held at the point {rival.held!r}, in the first: {meanwhile}"


def _run(each: op.Run) -> str:
    return f"run {counted(each.generations, 'generation')} of {counted(each.candidates, 'question')}, seed {each.seed}"


def _export(each: op.Export) -> str:
    which = {
        f"of {each.run}": each.run is not None,
        f"of the scenario {each.scenario}": each.scenario is not None,
        f"with a score of {each.min_score} or more": each.min_score is not None,
        "that were kept": each.kept_only,
    }
    also = {"those of local": each.include_local, "what was logged elsewhere": each.imported}
    told = " ".join(word for word, wanted in which.items() if wanted)
    more = " and ".join(word for word, wanted in also.items() if wanted)
    return " ".join(filter(None, ("export the answers", told, f"(also {more})" if more else "")))


def _train(each: op.Train) -> str:
    how = " afresh" * each.fresh + ", going on where an equal training was killed" * each.resume
    return f"train a bundle from {each.dataset} by the plan {each.plan!r}{how}"


def _promote(each: op.Promote) -> str:
    begun = f"go on comparing {each.bundle} in {each.resume}" if each.resume else f"compare {each.bundle}"
    return f"{begun} with the frontier, and put it in the slot if it is at most {each.margin:g} worse"


def _prune(each: op.Prune) -> str:
    did = "say what would be deleted of" if each.ahead else "delete"
    what = each.bundle or "the bundles that nobody needs"
    return f"{did} {what}" + ("" if each.keep is None else f", keeping {each.keep or 'no'} runs")


def _policy(each: op.SetPolicy) -> str:
    return f"set the policy: {_changed(each.policy, Policy()) or 'the usual one'}"


def _disturb(each: op.Disturb) -> str:
    sides = {"local": each.local, "the frontier": each.frontier}
    bad = [f"{side} {BEHAVES.get(how, how)}" for side, how in sides.items() if how != "calm"]
    return f"from now on {' and '.join(bad)}" if bad else "from now on local and the frontier answer as they should"


BEHAVES = {
    "error": "fails",
    "timeout": "is too late",
    "load-failed": "cannot be loaded",
    "garbage": "answers garbage",
    "illegal": "answers what is not allowed",
    "missing": "is not there",
    "unpriced": "answers at a price that nobody knows",
}


def _ask(each: op.Ask) -> str:
    return f"ask {counted(1 + len(each.more), 'question')}, live: {', '.join(map(str, (each.seed, *each.more)))}"


def _judge(each: op.Judge) -> str:
    what = "the call before answer" if each.refused else "answer"
    return f"say later that {what} {each.position + 1} of {each.run} was worth {each.score:g}"


def _advance(each: op.Advance) -> str:
    return (
        f"let {each.seconds:g} seconds pass" if each.seconds >= 0 else f"set the clock back {-each.seconds:g} seconds"
    )


SENTENCES: Mapping[type, Callable[[Any], str]] = {
    op.Run: _run,
    op.Export: _export,
    op.Train: _train,
    op.Activate: lambda each: f"put {each.bundle} in the slot" + " if its verdict allows it" * each.proven,
    op.Disable: lambda each: f"switch {each.bundle} off",
    op.Enable: lambda each: f"switch {each.bundle} on",
    op.Retire: lambda each: f"retire {each.bundle}",
    op.Delete: lambda each: f"delete {each.bundle}",
    op.Promote: _promote,
    op.Evaluate: lambda each: f"measure {each.bundle} again",
    op.Rollback: lambda _: "roll back: put the bundle before in the slot again",
    op.Prune: _prune,
    op.SetPolicy: _policy,
    op.SetValidator: lambda each: f"switch the validator {each.name!r} {'on' if each.enabled else 'off'}",
    op.Report: lambda each: f"tell {each.run}",
    op.Audit: lambda each: "audit" if each.falsified is None else f"audit a copy, in which is false: {each.falsified}",
    op.Reopen: lambda _: "close the system and open it again",
    op.Damage: lambda each: f"do to the files of {each.bundle}, behind the system's back: {each.how}",
    op.Restore: lambda each: f"put the files of {each.bundle} back as they were",
    op.Plant: lambda each: f"put a bundle in the slot that is no good: {each.kind}",
    op.Tamper: lambda each: f"do to the files of {each.dataset}, behind the system's back: {each.how}",
    op.Revise: lambda each: f"give the scenario version {each.version}",
    op.Disturb: _disturb,
    op.Advance: _advance,
    op.SetBase: lambda each: f"let the base below the tuned bundles be: {each.base}",
    op.Reword: lambda each: f"ask with the text {each.text!r} from now on",
    op.Redecode: lambda each: f"decode in the way {each.how!r} from now on",
    op.Judge: _judge,
    op.Ask: _ask,
    op.Route: lambda each: f"say who would be asked on seed {each.seed} as {each.role}",
    op.Resume: lambda each: f"go on with {each.run}",
    op.Import: lambda each: f"bring in a log of {counted(len(each.lines), 'answer')} by {each.model!r}",
    op.Changes: lambda _: "tell how the policy was changed",
}
"""How each operation that is not made of others is said."""


def _changed(policy: Policy, usual: Policy) -> str:
    """Say what of a policy is not as usual."""
    pairs = [(field.name, getattr(policy, field.name)) for field in fields(policy)]
    return ", ".join(f"{name} {_value(value)}" for name, value in pairs if value != getattr(usual, name))


def _value(value: object) -> str:
    match value:
        case None:
            return "no limit"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
        case tuple():
            return " and ".join(map(str, value)) or "nobody"
    return str(value)


def counted(number: int, thing: str) -> str:
    """Say how many there are."""
    return f"{number} {thing}" + "s" * (number != 1)
