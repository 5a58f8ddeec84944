"""A run is generations of steps, tournaments, gate decisions and knowledge. Discovery and routed work are the same run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from stepdown.acts.concurrent import calls_at_once, take_all
from stepdown.acts.step import Task, examples, take
from stepdown.errors import InvalidValue, StepdownError, WorkspaceError
from stepdown.history import ledger, reader, rows
from stepdown.providers.protocol import Example, Provider
from stepdown.scenarios import prompt, referee
from stepdown.scenarios.generation import gate, step_seed
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
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
        frontier: Who answers when local does not.
        at_once: How many of a generation's calls may be under way at the frontier together.
        champion: The best so far.
        number: Generations finished.
    """

    workspace: Workspace
    run: rows.Run
    scenario: Scenario
    frontier: Provider
    at_once: int = 1
    champion: Champion | None = None
    number: int = 0

    def advance(self, watch: Callable[[rows.Step], None] = nobody) -> None:
        """Play one generation."""
        for step in self.steps():
            watch(step)

    def steps(self) -> Iterator[rows.Step]:
        """Play one generation, a step at a time: ask for candidates, decide between them, and let the coach learn."""
        self.number += 1
        with self.workspace.reading() as connection:
            known = self.workspace.knowledge(connection, self.scenario.name)
            told = examples(connection, self.scenario, self.run.id)
        tasks = (self._candidate(position, known, told) for position in range(self.run.candidates))
        taken = []
        for step in take_all(self.workspace, tasks, self.at_once):
            taken.append(step)
            yield step
        self._decide(taken, known)
        self.workspace.reached("generation-decided")
        yield self._coach(taken)

    def _candidate(self, position: int, known: Knowledge, told: tuple[Example, ...]) -> Task:
        seed = step_seed(self.run.seed, self.number, position)
        text = prompt.competitor(self.scenario, known, seed)
        return self._task("competitor", position, seed, known, text, told)

    def _task(
        self, role: str, position: int, seed: int, known: Knowledge, text: str, told: tuple[Example, ...]
    ) -> Task:
        schema = prompt.lesson_schema() if role == referee.COACH else self.scenario.schema()
        return Task(
            run=self.run.id,
            generation=self.number,
            position=position,
            role=role,
            scenario=self.scenario,
            frontier=self.frontier,
            seed=seed,
            knowledge=known.version,
            prompt=text,
            schema=schema,
            examples=told,
        )

    def _decide(self, steps: Sequence[rows.Step], known: Knowledge) -> None:
        """Decide against the best so far, record it, and on a rollback return to what the champion knew."""
        scored = [step for step in steps if step.strategy is not None and step.score is not None]
        best = max(scored, key=lambda step: step.score or 0.0, default=None)
        score = best.score if best is not None else None
        decision = gate(score, self.champion.score if self.champion else None)
        if decision == "advance" and best is not None and score is not None:
            self.champion = Champion(best.id, score, known)
        champion = self.champion
        generation = rows.Generation(
            run=self.run.id,
            number=self.number,
            decision=decision,
            best=best.id if best is not None else None,
            score=score,
            champion=champion.step if champion else None,
            champion_score=champion.score if champion else None,
            at=self.workspace.now(),
        )
        with self.workspace.writing() as connection:
            ledger.append(connection, generation)
            if decision == "rollback" and champion is not None and best is not None:
                self._learn(connection, best.id, champion.knowledge.playbook, champion.knowledge.hints)

    def _coach(self, steps: Sequence[rows.Step]) -> rows.Step:
        """Ask the coach what the generation teaches, and keep it if it is a lesson."""
        with self.workspace.reading() as connection:
            known = self.workspace.knowledge(connection, self.scenario.name)
            told = examples(connection, self.scenario, self.run.id)
        results = {step.strategy: step.score for step in steps if step.strategy is not None and step.score is not None}
        text = prompt.coach(self.scenario, known, results)
        position = self.run.candidates
        seed = step_seed(self.run.seed, self.number, position)
        step = take(self.workspace, self._task(referee.COACH, position, seed, known, text, told))
        found = referee.lesson(step.reply) if step.reply is not None else None
        if found is not None:
            with self.workspace.writing() as connection:
                self._learn(connection, step.id, *found)
            self.workspace.reached("knowledge-learned")
            write_knowledge(self.workspace, self.scenario.name)
        return step

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

    Raises:
        NotFound: No such scenario or provider.
        InvalidValue: A number is out of range.
    """
    _check_size(generations, candidates, seed)
    scenario = workspace.scenario(scenario_name)
    provider = workspace.settings.frontier(frontier, scenario)
    together = calls_at_once(provider, at_once)
    with workspace.writing() as connection:
        number = reader.count(connection, rows.Run) + 1
        run = rows.Run(
            id=f"run-{number}",
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
    return RunUnderWay(workspace, run, scenario, provider, together)


def _check_size(generations: int, candidates: int, seed: int) -> None:
    if not (1 <= generations <= 10_000 and 1 <= candidates <= 1_000 and 0 <= seed < 2**63):
        raise InvalidValue(
            f"A run needs 1 to 10000 generations of 1 to 1000 candidates and a seed of at least 0, not {generations} of "
            f"{candidates} with seed {seed}."
        )


def play(under_way: RunUnderWay, watch: Callable[[rows.Step], None] = nobody) -> rows.Run:
    """Play every generation of a started run, and record its end.

    Raises:
        StepdownError: A broken promise; the run is recorded as failed where that is still possible.
    """
    try:
        for _ in range(under_way.run.generations):
            under_way.advance(watch)
    except StepdownError as error:
        fail(under_way, error)
        raise
    under_way.end()
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
