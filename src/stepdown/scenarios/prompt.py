"""The prompt. One function renders it for discovery, export, evaluation and serving."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stepdown.scenarios.protocol import Scenario

FORMAT = 1
"""Bump it with any change of what `competitor` returns: a bundle is evaluated for one format and serves no other."""


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
    """Return what the competitor is asked on a seed. It carries no score and no earlier strategy, so nothing leaks."""
    return of_case(scenario, knowledge, scenario.observation(seed))


def of_case(scenario: Scenario, knowledge: Knowledge, case: Mapping[str, Any]) -> str:
    """Return what the competitor is asked about a case, whoever brings it."""
    return (
        f"{scenario.name} v{scenario.version} competitor\n"
        f"playbook: {one_line(knowledge.playbook)}\n"
        f"hints: {one_line(knowledge.hints)}\n"
        f"observation: {in_one_line(case)}\n"
        "strategy:"
    )


def seen(scenario: Scenario, seed: int) -> str:
    """Return what is seen on a seed, in one line."""
    return in_one_line(scenario.observation(seed))


def in_one_line(case: Mapping[str, Any]) -> str:
    """Return a case's names and values, with a space between them."""
    return " ".join(f"{name}={one_line(str(value))}" for name, value in case.items())


def coach(scenario: Scenario, knowledge: Knowledge, results: Mapping[str, float]) -> str:
    """Return what the coach is asked after a generation: the knowledge so far and each answer's score."""
    table = "\n".join(f"{score:.4f} {text}" for text, score in results.items()) or "no legal strategy"
    return (
        f"{scenario.name} v{scenario.version} coach\n"
        f"playbook: {one_line(knowledge.playbook)}\n"
        f"hints: {one_line(knowledge.hints)}\n"
        f"results:\n{table}\n"
        'lesson, a JSON object of "playbook" and "hints":'
    )


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
