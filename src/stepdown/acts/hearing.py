"""A model says how good held-out answers are: in steps of a run, announced and traced like any other."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from stepdown.acts.concurrent import take_all
from stepdown.acts.examine import Examined, record_evaluation
from stepdown.acts.judging import Bench
from stepdown.acts.question import Assignment, Question
from stepdown.acts.run import fail, start
from stepdown.errors import ProviderError, StepdownError
from stepdown.history import endings, ledger, reader, rows
from stepdown.scenarios import judging, roles
from stepdown.scenarios.generation import step_seed
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.training import hearing
from stepdown.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Hearing:
    """Where somebody's held-out answers are judged: a generation of a run, with a place for each seed.

    Attributes:
        workspace: The run's.
        bench: Who judges, and in which run.
        role: Whose answers.
        generation: Of the run.
        knowledge: In the prompts that were answered.
        standing: Steps that judged some of them before: of the run itself, which had ended and goes on, or of an evaluation of
            the very same answers that came to no end.
    """

    workspace: Workspace
    bench: Bench
    role: roles.Role
    generation: int
    knowledge: Knowledge
    standing: Sequence[rows.Step] = ()

    def judged(self, replies: Mapping[int, rows.Holdout]) -> dict[int, rows.Holdout]:
        """Return replies by place, with the scores that the judge gives them; nobody is asked twice about one place."""
        bench = self.bench
        prompts = hearing.asked(bench.scenario, self.role, self.knowledge, replies)
        standing = [step for step in self.standing if step.generation == self.generation and step.position in replies]
        done = {step.position for step in standing}
        assignments = (self._assignment(place, prompt) for place, prompt in prompts.items() if place not in done)
        return hearing.heard(replies, prompts, [*standing, *take_all(self.workspace, assignments, bench.at_once)])

    def _assignment(self, place: int, prompt: str) -> Assignment:
        run, scenario = self.bench.run, self.bench.scenario
        seed, role = step_seed(run.seed, self.generation, place), roles.role_named(scenario, judging.JUDGE)
        question = Question(scenario, role, seed, self.knowledge.version, prompt)
        compared = run.purpose == rows.COMPARISON
        return Assignment(run.id, self.generation, place, question, self.bench.provider, comparison=compared)


def conclude(workspace: Workspace, scenario: Scenario, examined: Examined) -> rows.Evaluation:
    """Record what a bundle answered on held-out seeds, once it has scores: the scenario's, or those of a model that judges.

    The model is asked in a run of its own, and the evaluation and the end of that run are one transaction. What it said of the
    very same answers in evaluations that came to no end is not asked again.

    Raises:
        ProviderError: The judge was silent on too many answers (kind `judging-incomplete`); what it said stays in its run.
    """
    judge = judging.of(scenario)
    if judge is None:
        with workspace.writing() as connection:
            return record_evaluation(connection, examined.evaluation(workspace.now()), examined.held_out)
    who, role = judge.word, examined.role.name
    under_way = start(
        workspace, scenario.name, generations=1, candidates=1, frontier=who, purpose=rows.EVALUATION, role=role
    )
    try:
        assert under_way.bench is not None, "a model judges here"
        replies = dict(enumerate(examined.held_out))
        before = _before(
            workspace, under_way.bench, hearing.asked(scenario, examined.role, examined.knowledge, replies)
        )
        standing = [step for steps in before.values() for step in steps]
        sitting = Hearing(workspace, under_way.bench, examined.role, 1, examined.knowledge, standing)
        heard = sitting.judged(replies)
        check_heard(workspace, under_way.run, heard.values(), f"`stepdown bundles evaluate {examined.bundle[:12]}`")
    except StepdownError as error:
        fail(under_way, error)
        raise
    examined = replace(examined, held_out=list(heard.values()))
    run = under_way.run.id
    with workspace.writing() as connection:
        row = examined.evaluation(workspace.now(), judged=" ".join([hearing.where(run, 1), *before]))
        evaluation = record_evaluation(connection, row, examined.held_out)
        ledger.append(connection, rows.Ending(run, "completed", None, workspace.now()))
    return evaluation


def _before(workspace: Workspace, bench: Bench, prompts: Mapping[int, str]) -> dict[str, list[rows.Step]]:
    """Return by place, the newest first, what the judge said of these very answers in evaluations that came to no end.

    What an evaluation counted already is left out: whoever asks for another one wants to hear anew.
    """
    run, said = bench.run, dict[str, list[rows.Step]]()
    same = {"purpose": rows.EVALUATION, "scenario": run.scenario, "frontier": run.frontier}
    with workspace.reading() as connection:
        counted = {place for row in reader.all_of(connection, rows.Evaluation) for place in hearing.places(row.judged)}
        for earlier in reversed(reader.all_of(connection, rows.Run, **same)):
            place, ended = hearing.where(earlier.id, 1), endings.last(connection, earlier.id)
            if place in counted or ended is None or ended.outcome == "completed":
                continue
            steps = reader.steps(connection, earlier.id)
            if earlier.scenario_version == run.scenario_version and hearing.same_answers(prompts, steps):
                said[place] = hearing.given(steps)
    return dict(islice(((place, steps) for place, steps in said.items() if steps), hearing.MOST - 1))


def check_heard(workspace: Workspace, run: rows.Run, replies: Iterable[rows.Holdout], again: str) -> None:
    """Refuse to say anything of answers on too many of which the judge was silent.

    Args:
        workspace: The run's.
        run: In which it was asked.
        replies: With the scores that there are.
        again: The command that asks again.

    Raises:
        ProviderError: Fewer of the legal ones than `hearing.ENOUGH` have a score.
    """
    held = list(replies)
    if hearing.enough(held):
        return
    with workspace.reading() as connection:
        steps = [step for step in reader.steps(connection, run.id) if step.role == judging.JUDGE]
    silent = Counter(step.error for step in steps if step.error is not None).most_common()
    legal = [reply for reply in held if reply.legal]
    given = sum(reply.score is not None for reply in legal)
    raise ProviderError(
        f"The judge gave a verdict on {given} of {len(legal)} legal answers, and {hearing.ENOUGH:.0%} are needed "
        f"({', '.join(f'{error} ×{times}' for error, times in silent)}); `stepdown report {run.id}` shows its calls, and "
        f"{again} asks again.",
        error_type="unjudged",
    )
