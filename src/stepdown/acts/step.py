"""ONE step of a role: gather facts, decide, ask, judge, record. Discovery and routed runs share it; there is no other path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from stepdown.acts.attempt import answered, unanswered, with_breaker
from stepdown.errors import ProviderError
from stepdown.history import ledger, reader, rows
from stepdown.providers.prices import cost
from stepdown.providers.protocol import Completion, Example, Provider, Request
from stepdown.providers.traced import Call, Traced
from stepdown.routing.decide import Decision, Target, decide, shadowed, walk
from stepdown.routing.policy import Mode
from stepdown.routing.reasons import local_failure
from stepdown.scenarios import referee
from stepdown.scenarios.protocol import Scenario, Strategy
from stepdown.workspace import Workspace
from stepdown.workspace.facts import Scene, gather

INVALID = "invalid-output"
FORBIDDEN = "frontier-forbidden"


@dataclass(frozen=True, slots=True)
class Task:
    """What one step is asked to do.

    Attributes:
        run: Id of the run.
        generation: Its generation, from 1.
        position: Place in the generation, from 0.
        role: Who is asked.
        scenario: What is played.
        frontier: Who answers when local does not.
        seed: Decides observation, draws and proposals.
        knowledge: Version of the knowledge in the prompt.
        prompt: The whole prompt.
        schema: JSON Schema of the reply.
        examples: Earlier strategies of the run, for providers that propose from history.
        comparison: The frontier is asked for its own sake, whatever the gates would say.
    """

    run: str
    generation: int
    position: int
    role: str
    scenario: Scenario
    frontier: Provider
    seed: int
    knowledge: int
    prompt: str
    schema: Mapping[str, Any]
    examples: tuple[Example, ...] = ()
    comparison: bool = False

    @property
    def step(self) -> str:
        """The step's id."""
        return f"{self.run}/{self.generation}/{self.position}"


def take(workspace: Workspace, task: Task) -> rows.Step:
    """Take one step, and return what was recorded of it.

    A refusal, a failed call and an illegal reply are outcomes of the step, not exceptions.

    Raises:
        WorkspaceError: History or trace cannot be written; what was announced is closed at the next opening.
    """
    return begin(workspace, task).finish()


def begin(workspace: Workspace, task: Task) -> "StepUnderWay":
    """Gather, decide, announce and start a step; nobody waits for its answer yet.

    Facts, decision and announcement are one transaction: nothing can change between looking and saying so.

    Raises:
        WorkspaceError: History or trace cannot be written.
    """
    with workspace.announcing:
        with workspace.writing() as connection:
            scene = gather(workspace, connection, task.scenario, task.role, task.seed)
            if task.comparison:
                scene = replace(scene, facts=replace(scene.facts, mode=Mode.FRONTIER_ONLY))
            decision = decide(scene.facts)
            targets = walk(decision, frontier_allowed=scene.facts.frontier_allowed)
            asking = _Asking(workspace, task, scene, decision)
            if not targets:
                return StepUnderWay(asking, targets, None, asking.record(connection, []))
            announcement = asking.announce(connection, targets[0], ordinal=1)
        return StepUnderWay(asking, targets, asking.start(announcement))


@dataclass(frozen=True, slots=True)
class _Asking:
    """What was decided for one step, and the acts that follow from it."""

    workspace: Workspace
    task: Task
    scene: Scene
    decision: Decision

    def announce(
        self, connection: Connection, target: Target, *, ordinal: int, shadow: bool = False
    ) -> rows.Announcement:
        """Say durably who is about to be asked."""
        task, provider = self.task, self._provider(target)
        announcement = rows.Announcement(
            call=f"{task.step}/{ordinal}",
            step=task.step,
            run=task.run,
            generation=task.generation,
            position=task.position,
            role=task.role,
            seed=task.seed,
            knowledge=task.knowledge,
            policy=self.scene.policy_number,
            validators=sorted(self.scene.validators),
            prompt=task.prompt,
            facts=self.scene.facts.as_json(),
            objections=list(self.decision.objections),
            target=target.value,
            shadow=shadow,
            provider=provider.name,
            model=provider.model,
            bundle=self.scene.facts.bundle if target is Target.LOCAL else None,
            session=self.workspace.session.begin(),
            at=self.workspace.now(),
        )
        ledger.append(connection, announcement)
        return announcement

    def start(self, announcement: rows.Announcement) -> "_Asked":
        """Let the trace say that the announced provider is about to be asked."""
        self.workspace.reached("announced")
        target = Target(announcement.target)
        task, policy, settings = self.task, self.scene.policy, self.workspace.settings
        limit = policy.local_timeout if target is Target.LOCAL else policy.frontier_timeout
        request = Request(announcement.call, task.role, task.prompt, task.schema, task.seed, limit, task.examples)
        durable = settings.durability == "full"
        provider = self._provider(target)
        witness = Traced(provider, target, announcement.bundle, self.workspace.trace, settings.clock, durable)
        began = settings.clock.monotonic()
        return _Asked(announcement, witness.start(request), began)

    def answer(self, asked: "_Asked") -> rows.Attempt:
        """Wait for the answer, and judge it."""
        try:
            answer: Completion | ProviderError = asked.call.answer()
        except ProviderError as error:
            answer = error
        latency = max(0.0, self.workspace.settings.clock.monotonic() - asked.began)
        self.workspace.reached("answered")
        return self._attempt(asked.announcement, answer, latency)

    def ask_next(self, target: Target, *, ordinal: int, shadow: bool = False) -> rows.Attempt:
        """Announce and ask, after an earlier attempt of the same step."""
        with self.workspace.announcing:
            with self.workspace.writing() as connection:
                announcement = self.announce(connection, target, ordinal=ordinal, shadow=shadow)
            asked = self.start(announcement)
        return self.answer(asked)

    def _attempt(
        self, announcement: rows.Announcement, answer: Completion | ProviderError, latency: float
    ) -> rows.Attempt:
        attempt = unanswered(announcement, self.workspace)
        attempt = replace(attempt, latency=latency)
        if isinstance(answer, ProviderError):
            return replace(attempt, error_type=answer.error_type, error=str(answer))
        refusals = referee.refusals(self.task.scenario, self.task.role, self.scene.validators, answer.text)
        return replace(
            attempt,
            error_type=INVALID if refusals else None,
            error=refusals[0] if refusals else None,
            refusals=list(refusals),
            score=None if refusals else referee.score(self.task.scenario, self.task.role, answer.text),
            cost=None if announcement.shadow else cost(answer, attempt.at),
            **answered(answer),
        )

    def _provider(self, target: Target) -> Provider:
        if target is Target.FRONTIER:
            return self.task.frontier
        assert self.scene.manifest is not None, "local is asked only for a bundle that was just found whole"
        return self.workspace.local(self.scene.facts.bundle or "", self.scene.manifest)

    def record(self, connection: Connection, attempts: Sequence[rows.Attempt]) -> rows.Step:
        """Append the step, its attempts and its matches, together."""
        counted = [attempt for attempt in attempts if not attempt.shadow]
        served = next((attempt for attempt in counted if attempt.accepted), None)
        strategy = referee.strategy(self.task.scenario, self.task.role, served.text) if served else None
        step = self._step(counted, served, strategy)
        matches = _matches(self.task, strategy) if served else []
        ledger.append(connection, step)
        for attempt in attempts:
            ledger.append(connection, with_breaker(connection, attempt, self.scene))
        ledger.append_all(connection, matches)
        self.workspace.reached("step-appended")
        return step

    def _step(
        self, counted: Sequence[rows.Attempt], served: rows.Attempt | None, strategy: Strategy | None
    ) -> rows.Step:
        task, facts = self.task, self.scene.facts
        reason = self.decision.reason
        if reason is None and not counted[0].accepted:
            reason = local_failure(counted[0].error_type or "")
        return rows.Step(
            id=task.step,
            run=task.run,
            generation=task.generation,
            position=task.position,
            role=task.role,
            seed=task.seed,
            knowledge=task.knowledge,
            policy=self.scene.policy_number,
            validators=sorted(self.scene.validators),
            prompt=task.prompt,
            facts=facts.as_json(),
            objections=list(self.decision.objections),
            requested=(Target.LOCAL if self.decision.local else Target.FRONTIER).value,
            reason=reason,
            outcome="served" if served else "failed",
            error=None if served else self._error(counted),
            served=served.target if served else None,
            served_call=served.call if served else None,
            reply=served.text if served else None,
            strategy=strategy.text if strategy else None,
            score=served.score if served else None,
            recovered=False,
            at=self.workspace.now(),
        )

    def _error(self, counted: Sequence[rows.Attempt]) -> str:
        if not self.scene.facts.frontier_allowed:
            return FORBIDDEN
        return counted[-1].error_type or INVALID


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that both witnesses know of, and that nobody waits for yet."""

    announcement: rows.Announcement
    call: Call
    began: float


@dataclass(frozen=True, slots=True)
class StepUnderWay:
    """A step whose first call is announced and started, or that was refused and is recorded already."""

    asking: _Asking
    targets: tuple[Target, ...]
    first: _Asked | None
    refused: rows.Step | None = None

    @property
    def asks_local(self) -> bool:
        """Whether local is asked, to serve or in the shadow."""
        return self.targets[:1] == (Target.LOCAL,) or shadowed(self.asking.decision)

    def finish(self) -> rows.Step:
        """Wait for the answer, ask whoever is next if it cannot be used, and record the step."""
        if self.first is None:
            assert self.refused is not None, "a step that asks nobody is recorded at once"
            return self.refused
        asking, workspace = self.asking, self.asking.workspace
        attempts = [asking.answer(self.first)]
        if not attempts[0].accepted and len(self.targets) > 1:
            attempts.append(asking.ask_next(self.targets[1], ordinal=2))
        if shadowed(asking.decision):
            attempts.append(asking.ask_next(Target.LOCAL, ordinal=len(attempts) + 1, shadow=True))
        with workspace.writing() as connection:
            step = asking.record(connection, attempts)
        workspace.reached("step-finished")
        return step


def _matches(task: Task, strategy: Strategy | None) -> list[rows.Match]:
    if strategy is None:
        return []
    played = referee.tournament(task.scenario, strategy)
    return [rows.Match(task.step, match.seed, match.score, match.won, match.parts) for match in played]


def examples(connection: Connection, scenario: Scenario, run: str) -> tuple[Example, ...]:
    """Return a run's legal strategies so far and their scores, oldest first."""
    return tuple(
        Example(generation, scenario.parse(text).values, text, score)
        for generation, text, score in reader.strategies(connection, run)
    )
