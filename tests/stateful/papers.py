"""A task in files under the machine: what invoices asks, as an author without Python would write it down.

Its version is what stepdown makes of the files, so a revision is another file: turn about a label, and a judge that is as
strict. The same files ask for the policy that the machine begins with, and for the training that it names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stepdown.scenarios.invoice_cases import case
from stepdown.scenarios.invoices import Invoices
from stepdown.scenarios.prompt import COMPETITOR
from stepdown.scenarios.tasks import TASK, Task
from stepdown.workspace import task
from stepdown_machine.values import Policy

NAME = "papers"
CASES = 96
"""So many that each side of the split has what the machine asks of it."""
ILLEGAL = '{"amount":-1.0,"currency":"EUR","date":"2023-02-28","number":"7"}'
"""What the last validator alone objects to."""
EARLIEST = 12
"""Versions of which one can say who is who: no example revises so often."""


@cache
def read(label: int, text: str, training: str) -> Task:
    """Write the files of a version and read them as stepdown does.

    Args:
        label: Of the version, from 1.
        text: Of a competitor's question.
        training: The plan that the files ask for, as JSON; empty where they ask for none.
    """
    listed = [{"input": case(seed).text, "expected": dict(case(seed).expected)} for seed in range(CASES)]
    # Two in a row differ in one thing alone: who dropped either from the version would not see the other change.
    fields = {**dict.fromkeys(("currency", "number"), "text"), "date": "date"}
    near = {"compare": "number", "tolerance": label // 2 / 1000}
    settings = {
        "policy": {name: _allowed(value) for name, value in asdict(Policy()).items()},
        "judge": {"kind": "fields", "fields": {**fields, "amount": near}},
        "training": json.loads(training or "{}"),
    }
    with TemporaryDirectory() as made:
        place = Path(made)
        (place / TASK).write_text(
            f'name = "{NAME}"\nversion = {(label + 1) // 2}\nprompt = "prompt.txt"\n{tables(settings)}', "utf-8"
        )
        (place / "cases.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in listed), "utf-8")
        (place / "instructions.txt").write_text(Invoices.rules, "utf-8")
        (place / "answer.schema.json").write_text(json.dumps(Invoices().schema()), "utf-8")
        (place / "prompt.txt").write_text(text, "utf-8")
        found = task.read(place)
    assert found is not None, "its file was written"
    return found


def _allowed(value: Any) -> Any:
    """Say a value of the machine's policy as a file does."""
    return float("inf") if value is None else ",".join(value) if isinstance(value, tuple) else value


def tables(settings: Mapping[str, Any]) -> str:
    """Write tables as TOML."""
    return "".join(f"[{name}]\n{''.join(_line(*each) for each in values.items())}" for name, values in settings.items())


def _line(name: str, value: Any) -> str:
    return f"{name} = {_value(value)}\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_value(each)}" for name, each in value.items()) + "}"
    return "inf" if value == float("inf") else json.dumps(value)


@cache
def labels() -> Mapping[int, int]:
    """Return what the machine calls each version that stepdown makes of the files; the first of those that are alike."""
    question = Invoices.prompts[COMPETITOR]
    return {read(label, question, "").version: label for label in range(EARLIEST, 0, -1)}
