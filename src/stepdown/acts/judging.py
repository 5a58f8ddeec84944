"""The judging call: a step like any other, of a role of its own, about an answer that was served."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stepdown.acts.concurrent import calls_at_once
from stepdown.acts.preparation import frontier_of
from stepdown.acts.question import Assignment, Question
from stepdown.errors import Refused
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
        at_once: How many of its calls may be under way together.
    """

    run: rows.Run
    scenario: Scenario
    role: roles.Role
    provider: Provider
    at_once: int = 1

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
        return _place(self.run, step)

    def scored(self, answers: Sequence[rows.Step], judged: Sequence[rows.Step]) -> list[rows.Step]:
        """Return the answers, each with the score that its judging step gave; what was not judged has none."""
        return scored(self.run, answers, judged)


def _place(run: rows.Run, step: rows.Step) -> tuple[int, int]:
    return judging.place(step.generation, step.position, run.candidates, live=run.purpose == rows.LIVE)


def scored(run: rows.Run, answers: Sequence[rows.Step], judged: Sequence[rows.Step]) -> list[rows.Step]:
    """Return steps of a run that a model judges, each answer with the score that its judging step gave, if it gave one."""
    said = {
        (step.generation, step.position): judging.verdict(step.reply)
        for step in judged
        if step.role == judging.JUDGE and step.reply is not None
    }
    # Where held-out answers are judged, those that judge stand side by side: one is no answer that the next one judges.
    given = [(step, said.get(_place(run, step)) if step.role != judging.JUDGE else None) for step in answers]
    return [step if verdict is None else replace(step, score=verdict[0]) for step, verdict in given]


def found(scenario: Scenario, run: rows.Run, role: roles.Role, steps: Sequence[rows.Step]) -> list[rows.Step]:
    """Return a run's own answers of a role, each with the score that the run went by.

    Args:
        scenario: Of the run.
        run: The run.
        role: Whose answers it looks for.
        steps: All of the run's, or of some generations of it.
    """
    own = [step for step in steps if step.role == role.name]
    return own if judging.of(scenario) is None else scored(run, own, steps)


def bench(
    workspace: Workspace, run: rows.Run, scenario: Scenario, role: roles.Role, at_once: int | None = None
) -> Bench | None:
    """Return where a run's answers are judged by a model; None where the scenario scores by itself.

    Args:
        workspace: Where the run is recorded.
        run: The run.
        scenario: Of the run.
        role: Whose answers it looks for.
        at_once: How many of the judge's calls are wanted under way together; by default what it takes.

    Raises:
        NotFound: The judge's provider is not installed any more.
    """
    judge = judging.of(scenario)
    if judge is None:
        return None
    provider = frontier_of(workspace.settings, judge.word, scenario, routed=True)
    return Bench(run, scenario, role, provider, calls_at_once(provider, at_once))


def check_judge(workspace: Workspace, scenario: Scenario) -> None:
    """Refuse what needs the verdicts of a model that cannot be asked now; say nothing where a scenario scores by itself.

    Raises:
        NotFound: Its provider is not installed any more.
        Unavailable: It cannot be had now.
        Refused: The policy lets no prompt of the judge leave.
    """
    judge = judging.of(scenario)
    if judge is None:
        return
    frontier_of(workspace.settings, judge.word, scenario, routed=False)
    with workspace.reading() as connection:
        _, policy = workspace.policy(connection)
    if not policy.allows_frontier(judging.JUDGE):
        raise Refused(
            f"A model judges the answers of {scenario.name}, and the policy keeps the judge's prompts from the frontier; allow "
            "it the role, or name a judge that scores by itself.",
            kind="frontier-forbidden",
        )


def unjudged(step: rows.Step) -> str | None:
    """Return why a judging step gave no score, in a sentence; None when it gave one."""
    return None if step.outcome == "served" else f"The answer stays unjudged: the judge's call ended with {step.error}."
