"""A part of I8: what was logged elsewhere is brought in whole, once, and exported as what it is."""

from __future__ import annotations

from collections.abc import Iterator
from json import loads

from stepdown_machine import operations as op
from stepdown_machine.findings import Finding
from stepdown_machine.model import Model
from stepdown_machine.protocol import Description
from stepdown_machine.semantics import is_legal, logged
from stepdown_machine.values import Dataset, Imported

ELSEWHERE = "imported"


def brought_in(asked: op.Import, answer: Imported, description: Description, model: Model) -> Iterator[Finding]:
    """Check that the legal answers of a log were taken, each as it is, under one name however often it comes."""
    due = [(number, reply) for number, (_, reply) in enumerate(asked.lines, 1) if is_legal(reply, description)]
    taken = [(number, text) for number, text, _ in answer.lines]
    if [(number, loads(text)) for number, text in taken] != [(number, loads(text)) for number, text in due]:
        yield Finding("I8", f"lines {due}", f"lines {taken}", "these are what the scenario accepts")
    if wrong := [score for _, _, score in answer.lines if score is not None and not 0 <= score <= 1]:
        yield Finding("I8", "scores from 0 to 1", f"{wrong}", "no other is one")
    unknown = {number for number, (seed, _) in enumerate(asked.lines, 1) if seed in description.strange}
    if scored := [number for number, _, score in answer.lines if number in unknown and score is not None]:
        yield Finding("I8", "no score", f"lines {scored} have one", "their questions are no cases of the scenario")
    told = tuple(asked.model if number > 1 else None for number, _ in taken)
    if answer.skipped not in (None, rest := len(asked.lines) - len(due)):
        yield Finding("I8", f"{rest} lines that teach nothing", f"{answer.skipped}", "each line is taken or counted")
    if answer.models and answer.models != told:
        yield Finding("I8", f"answers of {told}", f"of {answer.models}", "every line but the first says who answered")
    if model.brought[asked.lines] != answer.log:
        yield Finding(
            "I8", f"log {model.brought[asked.lines]}", f"log {answer.log}", "the same bytes were brought in before"
        )
    if any(log == answer.log and lines != asked.lines for lines, log in model.brought.items()):
        yield Finding("I8", "a log of its own", f"{answer.log}", "other bytes have that name")


def exported(asked: op.Export, dataset: Dataset, description: Description, model: Model) -> Iterator[Finding]:
    """Check that exactly the lines that pass are in a dataset, each with its own facts."""
    due = sorted(logged(asked, description, model), key=lambda line: line[0])
    mine = [record for record in dataset.records if record.served == ELSEWHERE]
    held = sorted(((record.step, record.completion, record.score) for record in mine), key=lambda line: line[0])
    if held != due:
        yield Finding(
            "I8", f"lines {due}", f"lines {held}", f"{len(model.logs)} logs, and imported is {asked.imported}"
        )
