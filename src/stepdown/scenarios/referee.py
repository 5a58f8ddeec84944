"""What a reply is worth: what the harness says against it, what the scenario makes of it. Pure."""

import json
from collections.abc import Collection
from statistics import fmean

from stepdown.errors import InvalidValue
from stepdown.scenarios import harness
from stepdown.scenarios.protocol import IllegalStrategy, Match, Scenario, Strategy

COACH = "coach"
"""The role that answers with a lesson; every other role answers with a strategy."""

LESSON_LIMIT = 600
"""Characters of a playbook or of hints: they are part of every prompt, and a small model's window is short."""


def refusals(scenario: Scenario, role: str, validators: Collection[str], reply: str) -> tuple[str, ...]:
    """Return what is said against a reply: the harness judges strategies, and a lesson must be one."""
    if role == COACH:
        return () if lesson(reply) else ("The reply is not a lesson: an object of playbook and hints.",)
    return harness.objections(scenario, validators, reply)


def strategy(scenario: Scenario, role: str, reply: str | None) -> Strategy | None:
    """Return the legal strategy in a reply, or None."""
    if reply is None or role == COACH:
        return None
    try:
        return scenario.parse(reply)
    except IllegalStrategy:
        return None


def score(scenario: Scenario, role: str, reply: str) -> float | None:
    """Return a reply's mean score over the tournament; 0 for an illegal one that a weak harness accepted; None for a lesson."""
    if role == COACH:
        return None
    found = strategy(scenario, role, reply)
    return round(fmean(match.score for match in tournament(scenario, found)), 6) if found else 0.0


def tournament(scenario: Scenario, played: Strategy) -> list[Match]:
    """Play a strategy on every tournament seed."""
    return [play(scenario, played, seed) for seed in scenario.tournament_seeds()]


def play(scenario: Scenario, played: Strategy, seed: int) -> Match:
    """Play one match, and take no score that cannot be compared.

    Raises:
        InvalidValue: The scenario gave no number from 0 to 1; NaN is none.
    """
    match = scenario.play(played, seed)
    if not 0 <= match.score <= 1:
        raise InvalidValue(
            f"{scenario.name} gave a score of {match.score!r} on seed {seed}, which cannot be compared; scores are numbers "
            "from 0 to 1.",
            kind="score-out-of-range",
        )
    return match


def lesson(reply: str) -> tuple[str, str] | None:
    """Return the playbook and hints of a coach's reply, or None when it holds no lesson."""
    try:
        found = json.loads(reply)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.keys() != {"playbook", "hints"}:
        return None
    playbook, hints = found["playbook"], found["hints"]
    fits = all(isinstance(text, str) and 0 < len(text.strip()) <= LESSON_LIMIT for text in (playbook, hints))
    return (playbook, hints) if fits else None
