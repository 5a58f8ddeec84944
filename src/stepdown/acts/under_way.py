"""A run that was begun and has not ended: generations of steps, tournaments, gate decisions and knowledge."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from stepdown.acts.concurrent import take_all
from stepdown.acts.judging import Bench, bench
from stepdown.acts.question import Assignment, Question, ask, examples
from stepdown.acts.step import take
from stepdown.errors import WorkspaceError
from stepdown.history import ledger, reader, rows
from stepdown.providers.protocol import Example, Provider
from stepdown.scenarios import prompt, roles
from stepdown.scenarios.generation import gate, outcome, step_seed
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import own_case
from stepdown.scenarios.roles import Role
from stepdown.workspace import Workspace
from stepdown.workspace.marker import write_atomically


def nobody(_step: rows.Step) -> None:
    """Tell nobody: what a run does with each finished step unless somebody wants to watch."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The best answer of a run so far, and the version of the knowledge that it was found with."""

    step: str
    score: float
    knowledge: int


@dataclass(slots=True)
class RunUnderWay:
    """A run that was started and not ended. Two of them may be interleaved, in one process or in two.

    Attributes:
        workspace: Where it is recorded.
        run: Its first row.
        scenario: What is played.
        role: Whose answers are looked for.
        frontier: Who answers when local does not.
        at_once: How many of a generation's calls may be under way at the frontier together.
        champion: The best so far.
        number: Generations finished.
        served: Candidates that somebody's reply was used for.
        troubles: Why the others have none.
        examples: What it has found so far, which nobody has to read again.
        standing: By generation, the steps of a run that goes on which were taken before it had ended.
        wanted: How many calls somebody wants under way together, of whomever; None for what each takes.
        bench: Where its answers are judged, if a model judges them.
    """

    workspace: Workspace
    run: rows.Run
    scenario: Scenario
    role: Role
    frontier: Provider
    at_once: int = 1
    champion: Champion | None = None
    number: int = 0
    served: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    examples: tuple[Example, ...] = ()
    standing: dict[int, Sequence[rows.Step]] = field(default_factory=dict)
    wanted: int | None = None
    bench: Bench | None = field(init=False)

    def __post_init__(self) -> None:
        self.bench = bench(self.workspace, self.run, self.scenario, self.role, self.wanted)

    def advance(self, watch: Callable[[rows.Step], None] = nobody) -> None:
        """Play one generation."""
        for step in self.steps():
            watch(step)

    def steps(self) -> Iterator[rows.Step]:
        """Play one generation, a step at a time: ask for candidates, decide between them, and let the coach learn."""
        self.number += 1
        knowledge = self._knowledge()
        before = self.standing.pop(self.number, ())
        taken = [step for step in before if step.position < self.run.candidates]
        standing = {step.position for step in taken}
        assignments = (
            self._assignment(position, self._question(knowledge, position))
            for position in range(self.run.candidates)
            if position not in standing
        )
        for step in take_all(self.workspace, assignments, self.at_once):
            taken.append(step)
            self.count(step)
            yield step
        taken.sort(key=lambda step: step.position)
        if self.bench is not None:
            judged = [step for step in before if step.position >= self.run.candidates]
            for step in take_all(self.workspace, self.bench.assignments(taken, knowledge, judged), self.bench.at_once):
                judged.append(step)
                yield step
            taken = self.bench.scored(taken, judged)
        self._decide(taken)
        self.examples += examples(taken)
        self.workspace.reached("generation-decided")
        coach = roles.coach(self.scenario)
        if coach is not None:
            yield self._coach(coach, taken)

    def count(self, step: rows.Step) -> None:
        """Count a candidate, and what was wrong with it."""
        self.served += step.outcome == "served"
        if step.outcome != "served":
            self.troubles[step.error or step.outcome] += 1

    def catch_up(self) -> Iterator[rows.Step]:
        """Let the coach learn from the last generation that was decided, where the run had ended before that was done."""
        steps, coach = self.standing.pop(self.number, ()), roles.coach(self.scenario)
        if self.bench is not None:
            steps = self.bench.scored(steps, steps)
        if not steps or coach is None:
            return
        taught = next((step for step in steps if step.position == self.run.candidates), None)
        if taught is None:
            yield self._coach(coach, steps)
            return
        with self.workspace.reading() as connection:
            kept = any(row.step == taught.id for row in reader.lessons_of(connection, self.run.id))
        if not kept:
            self._keep(taught)

    def _question(self, knowledge: Knowledge, position: int) -> Question:
        return ask(self.scenario, self.role, knowledge, step_seed(self.run.seed, self.number, position), self.examples)

    def _knowledge(self) -> Knowledge:
        with self.workspace.reading() as connection:
            return self.workspace.knowledge(connection, self.scenario.name)

    def _assignment(self, position: int, question: Question) -> Assignment:
        return Assignment(self.run.id, self.number, position, question, self.frontier)

    def _decide(self, steps: Sequence[rows.Step]) -> None:
        """Decide against the best so far, record it, and on a rollback return to what the champion knew."""
        scores = {step.id: step.score for step in steps if step.answer is not None and step.score is not None}
        best, score = outcome(scores, own_case=own_case(self.scenario))
        decision = gate(score, self.champion.score if self.champion else None)
        if decision == "advance" and best is not None and score is not None:
            self.champion = Champion(best, score, next(step.knowledge for step in steps if step.id == best))
        champion = self.champion
        generation = rows.Generation(
            run=self.run.id,
            number=self.number,
            decision=decision,
            best=best,
            score=score,
            champion=champion.step if champion else None,
            champion_score=champion.score if champion else None,
            at=self.workspace.now(),
        )
        with self.workspace.writing() as connection:
            ledger.append(connection, generation)
            if decision == "rollback" and champion is not None and best is not None:
                then = reader.knowledge(connection, self.scenario.name, champion.knowledge) or Knowledge()
                self._learn(connection, best, then.playbook, then.hints)

    def _coach(self, coach: Role, steps: Sequence[rows.Step]) -> rows.Step:
        """Ask the coach what the generation teaches, and keep it if it is a lesson."""
        knowledge = self._knowledge()
        position = self.run.candidates
        seed = step_seed(self.run.seed, self.number, position)
        text = prompt.coach(self.scenario, knowledge, self._results(steps))
        question = Question(self.scenario, coach, seed, knowledge.version, text, self.examples)
        step = take(self.workspace, self._assignment(position, question))
        self._keep(step)
        return step

    def _keep(self, step: rows.Step) -> None:
        """Keep what a coach said, if it is a lesson."""
        lesson = roles.lesson(step.reply)
        if lesson is not None:
            with self.workspace.writing() as connection:
                self._learn(connection, step.id, *lesson)
            self.workspace.reached("knowledge-learned")
            write_knowledge(self.workspace, self.scenario.name)

    def _results(self, steps: Sequence[rows.Step]) -> Mapping[str, float]:
        scored = [
            (step.seed, step.answer, step.score) for step in steps if step.answer is not None and step.score is not None
        ]
        return prompt.results(self.scenario, scored, own_case=own_case(self.scenario))

    def _learn(self, connection: Connection, step: str, playbook: str, hints: str) -> None:
        """Append a version of the knowledge, unless it says what is known already."""
        knowledge = self.workspace.knowledge(connection, self.scenario.name)
        if (knowledge.playbook, knowledge.hints) != (playbook, hints):
            version = knowledge.version + 1
            at = self.workspace.now()
            ledger.append(connection, rows.Lesson(self.scenario.name, version, playbook, hints, step, at))

    def end(self, outcome: str = "completed", error: str | None = None) -> rows.Ending:
        """Record how the run ended."""
        ending = rows.Ending(self.run.id, outcome, error, self.workspace.now())
        with self.workspace.writing() as connection:
            ledger.append(connection, ending)
        return ending


def write_knowledge(workspace: Workspace, scenario: str) -> None:
    """Write playbook and hints as files, each replaced in one step, from the newest row.

    Raises:
        WorkspaceError: They cannot be written; the row is kept all the same.
    """
    with workspace.reading() as connection:
        knowledge = workspace.knowledge(connection, scenario)
    directory = workspace.root / "knowledge" / scenario
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(
            directory / "playbook.md",
            f"# Playbook of {scenario}, version {knowledge.version}\n\n{knowledge.playbook}\n",
        )
        write_atomically(
            directory / "hints.md", f"# Hints for {scenario}, version {knowledge.version}\n\n{knowledge.hints}\n"
        )
    except OSError as error:
        raise WorkspaceError(
            f"{directory} cannot be written ({error.strerror}); the knowledge is kept in history."
        ) from error
