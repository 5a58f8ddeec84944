"""The judging call: a step like any other, of a role of its own, about an answer that was served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stepdown.acts.preparation import frontier_of
from stepdown.acts.question import Assignment, Question
from stepdown.history import rows
from stepdown.providers.protocol import Provider
from stepdown.scenarios import judging, roles
from stepdown.scenarios.generation import step_seed
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import judging_prompt
from stepdown.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a run's answers are judged by a model.

    Attributes:
        run: Whose answers.
        scenario: Of the run.
        role: Whose answers.
        provider: Who judges; what stands for it while it cannot be had.
    """

    run: rows.Run
    scenario: Scenario
    role: roles.Role
    provider: Provider

    def assignments(
        self, answers: Sequence[rows.Step], knowledge: Knowledge, judged: Sequence[rows.Step] = ()
    ) -> list[Assignment]:
        """Return the steps that judge answers which were served, apart from those that were judged already."""
        done = {(step.generation, step.position) for step in judged if step.role == judging.JUDGE}
        return [
            self._assignment(step, knowledge)
            for step in answers
            if step.answer is not None and step.served_call is not None and self._place(step) not in done
        ]

    def _assignment(self, step: rows.Step, knowledge: Knowledge) -> Assignment:
        generation, position = self._place(step)
        question = Question(
            self.scenario,
            roles.role_named(self.scenario, judging.JUDGE),
            step_seed(self.run.seed, generation, position),
            step.knowledge,
            judging_prompt(self.scenario, self.role, step.seed, knowledge, step.prompt, step.answer or ""),
            judges=step.served_call,
        )
        return Assignment(self.run.id, generation, position, question, self.provider)

    def _place(self, step: rows.Step) -> tuple[int, int]:
        live = self.run.purpose == rows.LIVE
        return judging.place(step.generation, step.position, self.run.candidates, live=live)

    def scored(self, answers: Sequence[rows.Step], judged: Sequence[rows.Step]) -> list[rows.Step]:
        """Return the answers with the scores that their judging steps gave; what was not judged has none."""
        verdicts: Mapping[tuple[int, int], tuple[float, str] | None] = {
            (step.generation, step.position): judging.verdict(step.reply) for step in judged if step.reply is not None
        }
        given = [(step, verdicts.get(self._place(step))) for step in answers]
        return [replace(step, score=verdict[0] if verdict is not None else None) for step, verdict in given]


def bench(workspace: Workspace, run: rows.Run, scenario: Scenario, role: roles.Role) -> Bench | None:
    """Return where a run's answers are judged by a model; None where the scenario scores by itself.

    Raises:
        NotFound: The judge's provider is not installed any more.
    """
    judge = judging.of(scenario)
    if judge is None:
        return None
    return Bench(run, scenario, role, frontier_of(workspace.settings, judge.word, scenario, routed=True))


def unjudged(step: rows.Step) -> str | None:
    """Return why a judging step gave no score, in a sentence; None when it gave one."""
    return None if step.outcome == "served" else f"The answer stays unjudged: the judge's call ended with {step.error}."
