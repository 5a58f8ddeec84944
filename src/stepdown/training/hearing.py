"""Held-out answers that a model judges: what it is asked about each, and what follows from what it said. Pure.

Each has a place, its position among the seeds that were asked, and the step that judges it stands at that position. A verdict
counts for the words that the judge was shown and for no others. An answer without a verdict has no score, and is left out of
mean and bound; where the judge was silent on more than one legal answer in ten, what is left may be another choice than chance
would make, and nothing is said of a bundle.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from stepdown.history import rows
from stepdown.scenarios import judging, referee
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import Role

ENOUGH = 0.9
"""Share of the legal answers that must have a verdict."""

FRONTIER, CHALLENGER, CHAMPION = 2, 3, 4
"""Generations of a comparison in which answers are judged: the frontier's, and those of the two bundles."""

MOST = 8
"""Places that an evaluation names at most: its own, and the newest of those before it that came to no end."""


def where(run: str, generation: int) -> str:
    """Return what an evaluation calls the place of its judging steps."""
    return f"{run}/{generation}"


def places(judged: str | None) -> list[str]:
    """Return the places that an evaluation names: its own, and behind it those of earlier ones that came to no end."""
    return (judged or "").split()


def same_answers(prompts: Mapping[int, str], steps: Iterable[rows.Step]) -> bool:
    """Tell whether steps judged these very answers and no others, each in its place."""
    return all(prompts.get(step.position) == step.prompt for step in steps)


def given(steps: Iterable[rows.Step]) -> list[rows.Step]:
    """Return the steps in which the judge gave a verdict."""
    return [step for step in steps if step.reply is not None and judging.verdict(step.reply) is not None]


def asked(
    scenario: Scenario, role: Role, knowledge: Knowledge, replies: Mapping[int, rows.Holdout]
) -> Mapping[int, str]:
    """Return by place what the judge is asked about each legal reply.

    Args:
        scenario: Of the bundle.
        role: Whose replies.
        knowledge: In their prompts.
        replies: By place.
    """
    render = role.prompt
    assert render is not None, "a role that is judged has a prompt"
    prompts = {}
    for place, reply in replies.items():
        answer = referee.judge(scenario, role, reply.reply, ()).answer
        if answer is not None:
            question = render(knowledge, reply.seed)
            prompts[place] = referee.judging_prompt(scenario, role, reply.seed, knowledge, question, answer.text)
    return prompts


def heard(
    replies: Mapping[int, rows.Holdout], prompts: Mapping[int, str] | None, steps: Iterable[rows.Step]
) -> dict[int, rows.Holdout]:
    """Return replies by place with the scores that the judge gave; None for a legal one that it gave none.

    Args:
        replies: By place.
        prompts: What the judge was to be asked, by place; None where that cannot be said any more.
        steps: Those that asked it; where one place was asked about twice, the last counts.
    """
    said = {
        step.position: judging.verdict(step.reply)
        for step in steps
        if step.reply is not None and (prompts is None or prompts.get(step.position) == step.prompt)
    }
    scored = {}
    for place, reply in replies.items():
        verdict = said.get(place)
        scored[place] = replace(reply, score=verdict[0] if verdict is not None else None) if reply.legal else reply
    return scored


def enough(replies: Iterable[rows.Holdout]) -> bool:
    """Tell whether so many of the legal replies have a score that the others can be left out."""
    legal = [reply for reply in replies if reply.legal]
    return sum(reply.score is not None for reply in legal) >= ENOUGH * len(legal)
