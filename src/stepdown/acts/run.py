"""A run is generations of steps, tournaments, gate decisions and knowledge. Discovery and routed work are the same run."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy import Connection

from stepdown.acts.concurrent import take_all
from stepdown.acts.ending import budget_spent, nothing_served
from stepdown.acts.preparation import check, check_served
from stepdown.acts.question import Question, ask, found
from stepdown.acts.step import Task, take
from stepdown.errors import StepdownError, WorkspaceError
from stepdown.history import ledger, reader, rows
from stepdown.providers.protocol import Example, Provider
from stepdown.routing.reasons import FrontierObjection
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
    """The best strategy of a run so far, and the knowledge it was found with."""

    step: str
    score: float
    knowledge: Knowledge


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

    def advance(self, watch: Callable[[rows.Step], None] = nobody) -> None:
        """Play one generation."""
        for step in self.steps():
            watch(step)

    def steps(self) -> Iterator[rows.Step]:
        """Play one generation, a step at a time: ask for candidates, decide between them, and let the coach learn."""
        self.number += 1
        known = self._known()
        questions = (
            ask(self.scenario, self.role, known, step_seed(self.run.seed, self.number, position), self.examples)
            for position in range(self.run.candidates)
        )
        taken = []
        for step in take_all(self.workspace, map(self._task, count(), questions), self.at_once):
            taken.append(step)
            self.served += step.outcome == "served"
            if step.outcome != "served":
                self.troubles[step.error or step.outcome] += 1
            yield step
        self._decide(taken, known)
        self.examples += found(self.role, taken)
        self.workspace.reached("generation-decided")
        coach = roles.coach(self.scenario)
        if coach is not None:
            yield self._coach(coach, taken)

    def _known(self) -> Knowledge:
        with self.workspace.reading() as connection:
            return self.workspace.knowledge(connection, self.scenario.name)

    def _task(self, position: int, question: Question) -> Task:
        return Task(self.run.id, self.number, position, question, self.frontier)

    def _decide(self, steps: Sequence[rows.Step], known: Knowledge) -> None:
        """Decide against the best so far, record it, and on a rollback return to what the champion knew."""
        scores = {step.id: step.score for step in steps if step.strategy is not None and step.score is not None}
        best, score = outcome(scores, own_case=own_case(self.scenario))
        decision = gate(score, self.champion.score if self.champion else None)
        if decision == "advance" and best is not None and score is not None:
            self.champion = Champion(best, score, known)
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
                self._learn(connection, best, champion.knowledge.playbook, champion.knowledge.hints)

    def _coach(self, coach: Role, steps: Sequence[rows.Step]) -> rows.Step:
        """Ask the coach what the generation teaches, and keep it if it is a lesson."""
        known = self._known()
        position = self.run.candidates
        seed = step_seed(self.run.seed, self.number, position)
        text = prompt.coach(self.scenario, known, self._results(steps))
        question = Question(self.scenario, coach, seed, known.version, text, self.examples)
        step = take(self.workspace, self._task(position, question))
        lesson = roles.lesson(step.reply)
        if lesson is not None:
            with self.workspace.writing() as connection:
                self._learn(connection, step.id, *lesson)
            self.workspace.reached("knowledge-learned")
            write_knowledge(self.workspace, self.scenario.name)
        return step

    def _results(self, steps: Sequence[rows.Step]) -> Mapping[str, float]:
        """Return what each answer scored; where it was judged on its own case, the case belongs to it."""
        scored = [step for step in steps if step.strategy is not None and step.score is not None]
        cases = own_case(self.scenario)
        return {
            f"{prompt.seen(self.scenario, step.seed)} -> {step.strategy}" if cases else step.strategy or "": step.score
            or 0.0
            for step in scored
        }

    def _learn(self, connection: Connection, step: str, playbook: str, hints: str) -> None:
        """Append a version of the knowledge, unless it says what is known already."""
        known = self.workspace.knowledge(connection, self.scenario.name)
        if (known.playbook, known.hints) != (playbook, hints):
            version = known.version + 1
            at = self.workspace.now()
            ledger.append(connection, rows.Lesson(self.scenario.name, version, playbook, hints, step, at))

    def end(self, outcome: str = "completed", error: str | None = None) -> rows.Ending:
        """Record how the run ended."""
        ending = rows.Ending(self.run.id, outcome, error, self.workspace.now())
        with self.workspace.writing() as connection:
            ledger.append(connection, ending)
        return ending


def start(
    workspace: Workspace,
    scenario_name: str,
    *,
    seed: int = 0,
    generations: int = 8,
    candidates: int = 8,
    frontier: str = "search",
    purpose: str = rows.WORK,
    at_once: int | None = None,
    role: str | None = None,
) -> RunUnderWay:
    """Start a run.

    Args:
        workspace: Where it is recorded.
        scenario_name: What is played.
        seed: Decides everything that is drawn.
        generations: How many, at least 1.
        candidates: How many in each.
        frontier: Word for the frontier provider.
        purpose: What it is for, see `rows.Run`.
        at_once: Calls under way at the frontier together, see `concurrent.calls_at_once`.
        role: Whose answers are looked for; the first that is judged, if nobody says.

    Raises:
        NotFound: No such scenario, role or provider.
        InvalidValue: A number is out of range.
        Unavailable: The frontier cannot be had now, and no bundle stands in the slot.
    """
    plan = scenario_name, seed, generations, candidates, frontier
    scenario, asked, provider, together = check(workspace.settings, *plan, at_once=at_once, role=role, routed=True)
    check_served(workspace, scenario, asked, provider)
    with workspace.writing() as connection:
        run = rows.Run(
            id=f"run-{reader.count(connection, rows.Run) + 1}",
            scenario=scenario.name,
            scenario_version=scenario.version,
            seed=seed,
            generations=generations,
            candidates=candidates,
            frontier=frontier,
            session=workspace.session.begin(),
            at=workspace.now(),
            purpose=purpose,
        )
        ledger.append(connection, run)
    return RunUnderWay(workspace, run, scenario, asked, provider, together)


def play(under_way: RunUnderWay, watch: Callable[[rows.Step], None] = nobody) -> rows.Run:
    """Play every generation of a started run, and record its end.

    Raises:
        StepdownError: A broken promise; the run is recorded as failed where that is still possible.
    """
    try:
        for _ in range(under_way.run.generations):
            under_way.advance(watch)
            if under_way.troubles[FrontierObjection.OVER_BUDGET]:
                break
    except StepdownError as error:
        fail(under_way, error)
        raise
    if under_way.troubles[FrontierObjection.OVER_BUDGET]:
        under_way.end("stopped", budget_spent(under_way.workspace, under_way.run, under_way.number))
    elif under_way.served:
        under_way.end()
    else:
        under_way.end("failed", nothing_served(under_way.troubles, under_way.run.frontier, under_way.frontier))
    return under_way.run


def fail(under_way: RunUnderWay, error: StepdownError) -> None:
    """Record that a run failed, where that is still possible."""
    with under_way.workspace.reading() as connection:
        unfinished = any(call.run == under_way.run.id for call in reader.unfinished(connection))
    # A call that is still open is closed with the run by recovery, when this session ends.
    if not unfinished:
        under_way.end("failed", str(error))


def write_knowledge(workspace: Workspace, scenario: str) -> None:
    """Write playbook and hints as files, each replaced in one step, from the newest row.

    Raises:
        WorkspaceError: They cannot be written; the row is kept all the same.
    """
    with workspace.reading() as connection:
        known = workspace.knowledge(connection, scenario)
    directory = workspace.root / "knowledge" / scenario
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(
            directory / "playbook.md", f"# Playbook of {scenario}, version {known.version}\n\n{known.playbook}\n"
        )
        write_atomically(directory / "hints.md", f"# Hints for {scenario}, version {known.version}\n\n{known.hints}\n")
    except OSError as error:
        raise WorkspaceError(
            f"{directory} cannot be written ({error.strerror}); the knowledge is kept in history."
        ) from error
