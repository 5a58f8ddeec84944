"""A question, apart from whoever asks it: a run, a comparison, or somebody who wants one answer now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepdown.history import rows
from stepdown.providers.protocol import Example, Provider
from stepdown.scenarios.guard import guarded
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import seeds_of
from stepdown.scenarios.roles import Role


@dataclass(frozen=True, slots=True)
class Question:
    """What one step is to answer.

    Attributes:
        scenario: Where it is asked.
        role: Who is asked.
        seed: Decides the case, the canary's draw and what a provider proposes.
        knowledge: Version of the knowledge in the prompt.
        prompt: The whole prompt.
        examples: Earlier answers of the run, for providers that propose from history.
        judged_on: Seeds that the answer is judged on; without any, nobody can say yet how good it is.
        judges: The call whose answer is judged by the reply; None for every question but a judge's.
        case: What is to be seen, by name; None for a question about no case.
    """

    scenario: Scenario
    role: Role
    seed: int
    knowledge: int
    prompt: str
    examples: tuple[Example, ...] = ()
    judged_on: Sequence[int] = ()
    judges: str | None = None
    case: Mapping[str, Any] | None = None

    @property
    def instructions(self) -> str:
        """What goes before the prompt for whoever cannot have learned it."""
        own = self.role.instructions
        return self.scenario.rules if own is None else own


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one step is asked to do, and where it stands.

    Attributes:
        run: Id of the run.
        generation: Its generation, from 1.
        position: Place in the generation, from 0.
        question: What is asked, and of whom.
        frontier: Who answers when local does not.
        comparison: The frontier is asked for its own sake, whatever the gates would say.
    """

    run: str
    generation: int
    position: int
    question: Question
    frontier: Provider
    comparison: bool = False

    @property
    def step(self) -> str:
        """The step's id."""
        return f"{self.run}/{self.generation}/{self.position}"


def ask(
    scenario: Scenario, role: Role, knowledge: Knowledge, seed: int, examples: tuple[Example, ...] = ()
) -> Question:
    """Return the question of a seed to a judged role."""
    rendered = rendering(scenario, role, knowledge, seed)
    judged_on, case = seeds_of(scenario, seed), shown(scenario, seed)
    return Question(scenario, role, seed, knowledge.version, rendered, examples, judged_on, case=case)


def shown(scenario: Scenario, seed: int) -> Mapping[str, Any]:
    """Return what is to be seen on a seed.

    Raises:
        InvalidValue: The scenario broke.
    """
    return guarded(scenario, f"showing seed {seed}", lambda: scenario.observation(seed))


def rendering(scenario: Scenario, role: Role, knowledge: Knowledge, seed: int) -> str:
    """Return a judged role's prompt on a seed: the one that is exported, evaluated, compared and served.

    Raises:
        InvalidValue: The scenario broke.
    """
    render = role.prompt
    assert render is not None, "a role that is judged has a prompt"
    return guarded(scenario, f"rendering the prompt of seed {seed}", lambda: render(knowledge, seed))


def examples(steps: Sequence[rows.Step]) -> tuple[Example, ...]:
    """Return the legal answers among steps of one role, in their order, with the scores that a run went by."""
    return tuple(
        Example(step.generation, json.loads(step.answer), step.answer, step.score)
        for step in steps
        if step.answer is not None and step.score is not None
    )
