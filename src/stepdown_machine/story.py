"""A failing program as a story: what was done, one after the other, and what came of it, in words that need no machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from textwrap import TextWrapper
from typing import Any

from stepdown_machine.names import Names
from stepdown_machine.observed import Step
from stepdown_machine.operations import Crash, Operation
from stepdown_machine.protocol import Answer, One
from stepdown_machine.sentences import counted, sentence
from stepdown_machine.values import (
    Audited,
    Bundle,
    Changed,
    Dataset,
    Imported,
    Pointed,
    Promoted,
    Pruned,
    Refusal,
    Responded,
    Routed,
    RunReport,
)

LONGEST = 40
"""Operations that are told of a longer program: those that speak of what the failure does, and the last ones."""
LAST = 12
WIDTH = 100
NAME = re.compile(r"\b(?:run|dataset|bundle)-\d+\b")

Came = tuple[Answer, tuple[Step, ...]]
"""What came of an operation: its answer, and the steps that history has since."""


def told(operations: Sequence[Operation], came: Sequence[Came], names: Names, failure: str = "") -> str:
    """Tell operations in sentences, numbered from 1, each with what came of it.

    Args:
        operations: With readable names.
        came: Of each; of the last one nothing where it was never answered.
        names: Of the system's ids.
        failure: What was said in the end.
    """
    ended = [outcome(*each) for each in zip(operations, came, strict=False)]
    ended += [["it was not answered: something was raised"]] * (len(operations) - len(ended))
    stories = [
        (names.readable(sentence(operation)), list(map(names.readable, each)))
        for operation, each in zip(operations, ended, strict=True)
    ]
    lines, left_out, kept = list[str](), 0, _kept(stories, set(NAME.findall(failure)))
    for number, (said, came_of_it) in enumerate(stories, 1):
        if number not in kept:
            left_out += 1
            continue
        lines += [f"     ({left_out} left out)"] if left_out else []
        left_out = 0
        lines += _wrapped(f"{number:3}  ", said)
        for each in came_of_it:
            lines += _wrapped("     -> ", each)
    return "\n".join(lines)


def _kept(stories: Sequence[tuple[str, Sequence[str]]], names: set[str]) -> set[int]:
    """Return the numbers of the operations that are told."""
    numbers = range(1, len(stories) + 1)
    if len(stories) <= LONGEST:
        return set(numbers)
    speaking = [
        number
        for number, (said, came) in zip(numbers, stories, strict=True)
        if names & set(NAME.findall(" ".join((said, *came))))
    ]
    return {*speaking[-LONGEST + LAST :], *numbers[-LAST:]}


def _wrapped(begin: str, text: str) -> list[str]:
    wrapper = TextWrapper(WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin), break_on_hyphens=False)
    return wrapper.wrap(text)


def outcome(operation: Operation, came: Came) -> list[str]:
    """Say what came of an operation; nothing where it was done and there is no more to say."""
    answer, steps = came
    if isinstance(answer, tuple):
        # What comes after the two is the first one's.
        which = ("first", "second", *["first"] * len(answer))
        said = [f"the {one}: {_answered(part) or 'done'}" for one, part in zip(which, answer, strict=False)]
    else:
        said = [each for each in (_answered(answer),) if each]
    before = "until the process was killed, " * isinstance(operation, Crash)
    return [*said, *(f"{before}{each}" for each in _served(steps))]


def _answered(answer: One) -> str:
    return ANSWERS[type(answer)](answer) if type(answer) in ANSWERS else ""


def _bundle(each: Bundle) -> str:
    return f"{each.bundle}: it scores {each.score:.3g} at least, and {each.valid:.0%} of what it says is legal"


def _promoted(each: Promoted) -> str:
    rival = f", and with {each.champion}" if each.champion else ""
    return f"verdict {each.outcome!r} after {counted(len(each.pairs), 'comparison')} with the frontier{rival}"


def _reported(each: RunReport) -> str:
    return f"{counted(each.steps, 'step')}, " + (
        ", ".join(f"{times} by {who}" for who, times in each.served) or "none served"
    )


def _audited(each: Audited) -> str:
    first = f", the first: {each.differences[0]}" if each.differences else ""
    return f"{counted(len(each.differences), 'difference')}{first}"


ANSWERS: Mapping[type, Callable[[Any], str]] = {
    Refusal: lambda each: f"refused: {each.kind}",
    Dataset: lambda each: f"{each.dataset} with {counted(len(each.records), 'record')}",
    Bundle: _bundle,
    Promoted: _promoted,
    Pointed: lambda each: f"the slot holds {each.bundle}",
    Pruned: lambda each: f"these: {', '.join(each.bundles) or 'none'}",
    Routed: lambda each: each.asks + (f", for {', '.join(each.objections)}" if each.objections else ""),
    Changed: lambda each: counted(len(each.policies), "change"),
    Imported: lambda each: f"{counted(len(each.lines), 'answer')} to learn from",
    RunReport: _reported,
    Audited: _audited,
    Responded: lambda each: f"nobody answered: {each.error}" if each.error else "",
}
"""How each answer is said; of any other its steps say enough."""


def _served(steps: Sequence[Step]) -> list[str]:
    """Say who served each step, run by run; equal ones in a row are counted."""
    said = []
    for run, own in groupby(steps, key=lambda step: step.run):
        alike = [(word, len(list(same))) for word, same in groupby(map(_step, own))]
        words = [f"{word} ×{times}" if times > 1 else word for word, times in alike]
        said.append(f"{run} was served by {', '.join(words)}")
    return said


def _step(step: Step) -> str:
    """Say who served a step, and in brackets why nobody or not local did."""
    failed = any(each.provider == "local" and not each.shadow and each.error for each in step.attempts)
    why = [step.error or step.outcome] if step.served is None else []
    why += [f"not local: {step.reason}"] if step.reason and step.role != "coach" else []
    why += ["local was asked first, and failed"] if failed else []
    told = (step.served or "nobody") + (f" ({'; '.join(why)})" if why else "")
    return f"{told} for the coach" if step.role == "coach" else told
