"""The prompt. One function renders it for discovery, export, evaluation and serving, from the texts of the scenario."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stepdown.scenarios import texts
from stepdown.scenarios.protocol import Scenario

FORMAT = 1
"""Bump it with any change of a competitor's text or of how blanks are filled: a bundle is evaluated for one format alone."""

COMPETITOR, COACH = "competitor", "coach"

FIRST = {
    COMPETITOR: "$scenario v$version competitor\nplaybook: $playbook\nhints: $hints\nobservation: $case\nstrategy:",
    COACH: (
        "$scenario v$version coach\nplaybook: $playbook\nhints: $hints\nresults:\n$results\n"
        'lesson, a JSON object of "playbook" and "hints":'
    ),
}
"""What everybody was asked with before texts had digests, whatever the files say by now: rows, bundles and datasets that name
no digest are of these. They never change."""

CHANGING = ("version", "playbook", "hints", "case", "results")
"""Blanks whose filling may change while a question's text stays; an evaluation is bound to the version by its own terms."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the coach has learned so far.

    Attributes:
        version: 0 before the first lesson; grows by one with each.
        playbook: How to play, in a sentence or two.
        hints: What to try next, in a sentence.
    """

    version: int = 0
    playbook: str = "Nothing is known yet."
    hints: str = "Explore."


def competitor(scenario: Scenario, knowledge: Knowledge, seed: int) -> str:
    """Return what the competitor is asked on a seed. It carries no score and no earlier answer, so nothing leaks."""
    return of_case(scenario, knowledge, scenario.observation(seed))


def of_case(scenario: Scenario, knowledge: Knowledge, case: Mapping[str, Any]) -> str:
    """Return what the competitor is asked about a case, whoever brings it."""
    return _filled(scenario, question(scenario, COMPETITOR), knowledge, case=in_one_line(case))


def question(scenario: Scenario, role: str) -> str:
    """Return the text that a role's questions are made from: the scenario's own, or the one of those that bring none."""
    return _text(scenario, role)


def constant(scenario: Scenario, text: str) -> str:
    """Return a question's text as it is rendered, but for the blanks of case, knowledge and version, which hold constants.

    No text can hold the constants itself: a NUL stands in no prompt.
    """
    schema = json.dumps(scenario.schema()) if "schema" in texts.blanks(text) else ""
    return _constant(text, scenario.name, scenario.rules, schema)


@lru_cache(maxsize=64)
def _constant(text: str, name: str, rules: str, schema: str) -> str:
    """Fill a text once, which each step asks for again."""
    changing = {blank: f"\0{blank}\0" for blank in CHANGING}
    return texts.filled(text, {"scenario": name, "rules": rules, "schema": schema, **changing})


def instructions(scenario: Scenario, role: str) -> str:
    """Return what goes before a role's question for whoever cannot have learned it; nothing where the question says it all."""
    if role == COMPETITOR and "rules" in texts.blanks(question(scenario, role)):
        return ""
    text = _text(scenario, f"{role}.instructions")
    schema = json.dumps(scenario.schema()) if "schema" in texts.blanks(text) else ""
    return _instructions(text, scenario.name, scenario.version, scenario.rules, schema)


@lru_cache(maxsize=64)
def _instructions(text: str, name: str, version: int, rules: str, schema: str) -> str:
    """Fill a text of instructions once: they are before the first lesson's knowledge, and each step asks for them again."""
    return texts.filled(text, _values(name, version, rules, Knowledge()) | {"schema": schema})


def interface(schema: str) -> str:
    """Return how a schema is put to a model whose service has no other place for it."""
    return texts.filled(texts.named()["schema"], {"schema": schema})


def _own(scenario: Scenario) -> Mapping[str, str]:
    return getattr(scenario, "prompts", {})


def _text(scenario: Scenario, name: str) -> str:
    own = _own(scenario)
    return own[name] if name in own else texts.named()[name]


def _filled(scenario: Scenario, text: str, knowledge: Knowledge, **more: str) -> str:
    values = _values(scenario.name, scenario.version, scenario.rules, knowledge) | more
    if "schema" in texts.blanks(text):
        values["schema"] = json.dumps(scenario.schema())
    return texts.filled(text, values)


def _values(name: str, version: int, rules: str, knowledge: Knowledge) -> dict[str, object]:
    return {
        "scenario": name,
        "version": version,
        "rules": rules,
        "playbook": one_line(knowledge.playbook),
        "hints": one_line(knowledge.hints),
    }


def seen(scenario: Scenario, seed: int) -> str:
    """Return what is seen on a seed, in one line."""
    return in_one_line(scenario.observation(seed))


def in_one_line(case: Mapping[str, Any]) -> str:
    """Return a case's names and values, with a space between them."""
    return " ".join(f"{name}={one_line(str(value))}" for name, value in case.items())


def coach(scenario: Scenario, knowledge: Knowledge, results: Mapping[str, float]) -> str:
    """Return what the coach is asked after a generation: the knowledge so far and each answer's score."""
    table = "\n".join(f"{score:.4f} {text}" for text, score in results.items()) or "no legal strategy"
    return _filled(scenario, question(scenario, COACH), knowledge, results=table)


def results(scenario: Scenario, answers: Iterable[tuple[int, str, float]], *, own_case: bool) -> Mapping[str, float]:
    """Return what each answer scored, as the coach is told; where it was judged on its own case, the case belongs to it.

    Args:
        scenario: Where they were given.
        answers: Seed, text and score of each, by their places.
        own_case: See `scenarios.protocol.Scenario`.
    """
    return {f"{seen(scenario, seed)} -> {text}" if own_case else text: score for seed, text, score in answers}


def lesson_schema() -> Mapping[str, Any]:
    """Return the JSON Schema of the coach's reply."""
    text = {"type": "string", "minLength": 1, "maxLength": 600}
    return {
        "type": "object",
        "properties": {"playbook": text, "hints": text},
        "required": ["playbook", "hints"],
        "additionalProperties": False,
    }


def one_line(text: str) -> str:
    """Return a text with every run of white space made one space, so that it cannot forge another line of the prompt."""
    return " ".join(text.split())
