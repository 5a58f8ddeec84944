"""A model that judges: what it is asked, and what it says. Pure.

::

    [judge]
    kind = "model"
    provider = "openai"      # any that is installed, yours too
    model = "gpt-5"          # what stands behind the colon in a frontier's word; may be left out
    prompt = "judge.txt"     # a text with the blanks $case, $answer, $expected and $instructions

Such a judge gives no score twice. So an answer has none until the judging call, a step of a role of its own, has said one; who
served the answer is no part of what that call is asked.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

from stepdown.digest import canonical
from stepdown.errors import InvalidValue
from stepdown.scenarios import texts
from stepdown.scenarios.protocol import Answer, IllegalAnswer, Scenario, answer

KIND, JUDGE = "model", "judge"

BLANKS = ("case", "answer", "expected", "instructions")

UNKNOWN = "not known"
"""What is said to be expected where nobody knows it."""

BY = "judge:"
"""How `by` of a judgement begins that a judging call gave; its id follows. Nobody else may call themselves so."""

LONGEST_WHY = 2000
"""Characters of a verdict's reason."""


@dataclass(frozen=True, slots=True)
class Judging:
    """Who judges, and with which words.

    Attributes:
        word: Names the provider and its model, as a frontier is named.
        text: The prompt, with its blanks.
    """

    word: str
    text: str


def by_model(settings: Mapping[str, Any]) -> bool:
    """Tell whether the settings of a judge name a model."""
    return settings.get("kind") == KIND


def checked(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of a judging model, if they are whole.

    Raises:
        InvalidValue: One is unknown, missing or no text.
    """
    if unknown := sorted(settings.keys() - {"kind", "provider", "model", "prompt", "text"}):
        raise InvalidValue(f"judge: {KIND} has no setting {unknown[0]!r}; it has provider, model, prompt.")
    for name in ("provider", "prompt"):
        if name not in settings:
            raise InvalidValue(f"judge: a judging model needs {name}, a text.")
    for name, value in settings.items():
        if not isinstance(value, str) or not value:
            raise InvalidValue(f"judge: {name} must be a text, not {value!r}.")
    return settings


def checked_text(text: str, file: str) -> str:
    """Return the prompt of a judging model, if its blanks are those that are filled.

    Raises:
        InvalidValue: It has another blank, a lone $, or no $answer; with file and line.
    """
    written = texts.plain(text)
    if "\0" in written:
        raise InvalidValue(f"{file} holds a NUL, which no prompt can.")
    for number, line in enumerate(written.split("\n"), start=1):
        try:
            unknown = [name for name in Template(line).get_identifiers() if name not in BLANKS]
            texts.filled(line, dict.fromkeys([*BLANKS, *unknown], ""))
        except ValueError:
            raise InvalidValue(f"{file} line {number} has a $ that begins no blank; write $$ for the sign.") from None
        if unknown:
            choices = ", ".join(f"${name}" for name in BLANKS)
            raise InvalidValue(
                f"{file} line {number} has the blank ${unknown[0]}, which there is not; it has {choices}."
            )
    if "answer" not in texts.blanks(written):
        raise InvalidValue(f"{file} has no $answer, so the judge would not see what it judges.")
    return written


def judging_of(settings: Mapping[str, Any]) -> Judging | None:
    """Return who judges, where the settings of a judge name a model and its prompt was read."""
    if not by_model(settings):
        return None
    model = settings.get("model")
    return Judging(f"{settings['provider']}:{model}" if model else settings["provider"], settings["text"])


def of(scenario: Scenario) -> Judging | None:
    """Return who judges the answers of a scenario, if a model does."""
    judging: Judging | None = getattr(scenario, "judging", None)
    return judging


def prompt(judging: Judging, instructions: str, case: str, expected: Any, given: str) -> str:
    """Return what the judge is asked about an answer, whoever gave it."""
    wanted = UNKNOWN if expected is None else canonical(expected).decode()
    return texts.filled(judging.text, {"case": case, "answer": given, "expected": wanted, "instructions": instructions})


def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of a verdict."""
    return {
        "type": "object",
        "properties": {"score": {"type": "number", "minimum": 0, "maximum": 1}, "why": {"type": "string"}},
        "required": ["score", "why"],
        "additionalProperties": False,
    }


def parse(reply: str) -> Answer:
    """Read a judge's reply strictly; a score is never guessed.

    Raises:
        IllegalAnswer: It is no verdict.
    """
    try:
        fields = json.loads(reply)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or fields.keys() != {"score", "why"}:
        raise IllegalAnswer("The reply is not a verdict: an object of score and why.")
    score, why = fields["score"], fields["why"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise IllegalAnswer("The score of the verdict is no number from 0 to 1.")
    if not isinstance(why, str) or len(why) > LONGEST_WHY or "\0" in why:
        raise IllegalAnswer("The reason of the verdict is no short text.")
    return answer(fields)


def verdict(reply: str | None) -> tuple[float, str] | None:
    """Return score and reason of a judge's reply, or None when it holds no verdict."""
    try:
        fields = parse(reply or "").value
    except IllegalAnswer:
        return None
    return round(float(fields["score"]), 6), fields["why"]


def place(generation: int, position: int, candidates: int, *, live: bool) -> tuple[int, int]:
    """Return generation and position of the step that judges another: behind the coach's, or beside all that was asked live."""
    return (generation + 1, position) if live else (generation, candidates + 1 + position)
