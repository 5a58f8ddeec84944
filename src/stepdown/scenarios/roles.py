"""Roles: who is asked in a scenario, with which words, and how good an answer is. Values, and the scenario's own. Pure.

A scenario that says nothing of roles has two: its competitor, whose answers are played, and a coach, who is shown what a
generation came to and answers with a lesson. One with a method `roles` has those that it returns, by name.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stepdown.errors import NotFound, Refused
from stepdown.scenarios import judging, prompt
from stepdown.scenarios.guard import guarded
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Answer, IllegalAnswer, Match, Scenario, answer

COMPETITOR, COACH = prompt.COMPETITOR, prompt.COACH

LESSON_LIMIT = 600
"""Characters of a playbook or of hints: they are part of every prompt, and a small model's window is short."""


@dataclass(frozen=True, slots=True)
class Role:
    """Somebody who is asked.

    Attributes:
        name: The role's name, stored with every step.
        schema: JSON Schema of a reply; None where a reply is more, or other, than JSON.
        parse: Reads a reply; raises `IllegalAnswer`.
        prompt: Renders the question of a seed. None for a role that is only asked after a generation.
        play: Says how good an answer is on a seed. None where nobody can say, and then no bundle is trained for the role.
        validated: Whether the scenario's harness judges its replies.
        words: Renders the question of a case that somebody brings, given as `Scenario.observation` returns one. None where only
            seeds are asked.
        instructions: What goes before a question for whoever cannot have learned it; None for the scenario's rules.
        text: What is the same in all its questions, see `prompt.constant`: bundles, evaluations and steps are bound to its
            digest. Empty where nobody says, and then to the scenario's version alone.
        first: The same of the text that was asked before texts had digests.
        written: Returns how an answer, given in canonical form, stands in a reply: what a bundle learns to say. None where it
            stands there as it is.
    """

    name: str
    schema: Mapping[str, Any] | None
    parse: Callable[[str], Answer]
    prompt: Callable[[Knowledge, int], str] | None = None
    play: Callable[[Answer, int], Match] | None = None
    validated: bool = False
    words: Callable[[Knowledge, Mapping[str, Any]], str] | None = None
    instructions: str | None = None
    text: str = ""
    first: str = ""
    written: Callable[[str], str] | None = None

    def reply(self, answer: str) -> str:
        """Return a reply that holds an answer, given in canonical form."""
        return answer if self.written is None else self.written(answer)

    @property
    def judged(self) -> bool:
        """Whether it can be said how good its answers are."""
        return self.play is not None and self.prompt is not None


def roles(scenario: Scenario) -> Mapping[str, Role]:
    """Return a scenario's roles by name."""
    return guarded(scenario, "naming its roles", lambda: _roles(scenario))


def _roles(scenario: Scenario) -> Mapping[str, Role]:
    own = getattr(scenario, "roles", None)
    if own is not None:
        return {each.name: each for each in own()}
    written = getattr(scenario, "written", None)
    competitor = Role(
        COMPETITOR,
        scenario.schema() if written is None else None,
        scenario.parse,
        lambda knowledge, seed: prompt.competitor(scenario, knowledge, seed),
        scenario.play,
        validated=True,
        words=lambda knowledge, case: prompt.of_case(scenario, knowledge, case),
        instructions=prompt.instructions(scenario, COMPETITOR),
        text=prompt.constant(scenario, prompt.question(scenario, COMPETITOR)),
        first=prompt.constant(scenario, prompt.FIRST[COMPETITOR]),
        written=written,
    )
    coached = Role(
        COACH,
        prompt.lesson_schema(),
        parse_lesson,
        instructions=prompt.instructions(scenario, COACH),
        text=prompt.constant(scenario, prompt.question(scenario, COACH)),
        first=prompt.constant(scenario, prompt.FIRST[COACH]),
    )
    both = {COMPETITOR: competitor, COACH: coached}
    if judging.of(scenario) is None:
        return both
    return {**both, judging.JUDGE: Role(judging.JUDGE, judging.schema(), judging.parse, instructions="")}


def role_named(scenario: Scenario, name: str) -> Role:
    """Return one of a scenario's roles.

    Raises:
        NotFound: It has none of that name.
    """
    declared = roles(scenario)
    if name not in declared:
        raise NotFound(
            f"{scenario.name} has no role {name!r}; choose one of {', '.join(declared)}.", kind="unknown-role"
        )
    return declared[name]


def judged_role(scenario: Scenario, name: str) -> Role:
    """Return a role that a bundle can be trained for, evaluated in and compared in.

    Raises:
        NotFound: The scenario has no such role.
        Refused: Nobody can say how good its answers are (kind `role-not-played`).
    """
    role_ = role_named(scenario, name)
    if not role_.judged:
        judged = ", ".join(each.name for each in roles(scenario).values() if each.judged) or "none"
        raise Refused(
            f"Nobody can say how good an answer of the {name} of {scenario.name} is, so no bundle is trained, evaluated or "
            f"compared for it; roles that are judged: {judged}.",
            kind="role-not-played",
        )
    return role_


def proposer(scenario: Scenario) -> Role:
    """Return the role whose answers a run looks for: the first that is judged.

    Raises:
        Refused: None is.
    """
    for each in roles(scenario).values():
        if each.judged:
            return each
    raise Refused(
        f"{scenario.name} has no role whose answers are judged, so no run can be played.", kind="role-not-played"
    )


def coach(scenario: Scenario) -> Role | None:
    """Return the role that learns from each generation, if the scenario has it."""
    return roles(scenario).get(COACH)


def parse_lesson(reply: str) -> Answer:
    """Read a coach's reply strictly: a JSON object of a playbook and hints, both short texts.

    Raises:
        IllegalAnswer: It is no lesson.
    """
    try:
        fields = json.loads(reply)
    except (ValueError, RecursionError):
        fields = None
    fits = isinstance(fields, dict) and fields.keys() == {"playbook", "hints"}
    if not fits or not all(
        isinstance(text, str) and 0 < len(text.strip()) <= LESSON_LIMIT and "\0" not in text for text in fields.values()
    ):
        raise IllegalAnswer("The reply is not a lesson: an object of playbook and hints.")
    return answer(fields)


def lesson(reply: str | None) -> tuple[str, str] | None:
    """Return the playbook and hints of a coach's reply, or None when it holds no lesson."""
    try:
        fields = parse_lesson(reply or "").value
    except IllegalAnswer:
        return None
    return fields["playbook"], fields["hints"]
