"""ONE step of a role: gather facts, decide, ask, judge, record. Discovery and routed runs share it; there is no other path."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from stepdown.acts.attempt import answered, unanswered, verdicts, with_breaker
from stepdown.acts.question import Assignment
from stepdown.errors import ProviderError
from stepdown.history import ledger, reader, rows
from stepdown.providers.missing import Missing
from stepdown.providers.prices import cost
from stepdown.providers.protocol import Completion, Provider, Request
from stepdown.providers.reply import word
from stepdown.providers.traced import Call, Traced
from stepdown.routing.decide import Decision, Target, decide, shadowed, walk
from stepdown.routing.policy import Mode
from stepdown.routing.reasons import local_failure
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import Judgement, judge
from stepdown.workspace import Workspace
from stepdown.workspace.facts import Scene, SlotLook, gather, look_ahead, look_at, look_back

INVALID = "invalid-output"

LOOKS = 3
"""How often a bundle is looked at ahead of a step's transaction, before it is looked at inside it."""


def take(workspace: Workspace, assignment: Assignment) -> rows.Step:
    """Take one step, and return what was recorded of it.

    A refusal, a failed call and an illegal reply are outcomes of the step, not exceptions.

    Raises:
        WorkspaceError: History or trace cannot be written; what was announced is closed at the next opening.
    """
    return begin(workspace, assignment).finish()


def begin(workspace: Workspace, assignment: Assignment) -> "StepUnderWay":
    """Gather, decide, announce and start a step; nobody waits for its answer yet.

    Facts, decision and announcement are one transaction: nothing can change between looking and saying so. A bundle whose bytes
    have to be read is read before it, so that no other writer waits for that; what changes meanwhile is looked at again.

    Raises:
        WorkspaceError: History or trace cannot be written.
    """
    slot = assignment.question.scenario, assignment.question.role.name
    begun = _begin(workspace, assignment, lambda connection: look_back(workspace, connection, *slot))
    for _ in range(LOOKS):
        if begun is None:
            seen = look_ahead(workspace, *slot)
            workspace.reached("looked")
            begun = _begin(workspace, assignment, _while_it_holds(workspace, seen, slot))
    # A look inside the transaction always holds.
    inside = begun or _begin(workspace, assignment, lambda connection: look_at(workspace, connection, *slot))
    return inside or begin(workspace, assignment)


def _while_it_holds(
    workspace: Workspace, seen: SlotLook, slot: tuple[Scenario, str]
) -> Callable[[Connection], SlotLook | None]:
    """Return what gives a look again for as long as nothing changed since."""
    return lambda connection: seen if seen.holds(workspace, connection, *slot) else None


def _begin(
    workspace: Workspace, assignment: Assignment, look: Callable[[Connection], SlotLook | None]
) -> "StepUnderWay | None":
    """Begin a step on a look at the slot's bundle; None, and nothing written, when there is none that holds."""
    question = assignment.question
    slot = question.scenario, question.role.name
    with workspace.announcing:
        with workspace.writing() as connection:
            seen = look(connection)
            if seen is None:
                return None
            scene = gather(workspace, connection, *slot, question.seed, seen, knowledge=question.knowledge)
            over = scene.policy.budgeted and scene.policy.overspent(*reader.spent(connection, assignment.run))
            facts = replace(scene.facts, over_budget=over, unavailable=isinstance(assignment.frontier, Missing))
            scene = replace(scene, facts=replace(facts, mode=Mode.FRONTIER_ONLY) if assignment.comparison else facts)
            decision = decide(scene.facts)
            targets = walk(decision, scene.facts.frontier_objection)
            asking = _Asking(workspace, assignment, scene, decision)
            if not targets:
                return StepUnderWay(asking, targets, None, asking.record(connection, []))
            announcement = asking.announce(connection, targets[0], ordinal=1)
        return StepUnderWay(asking, targets, asking.start(announcement))


@dataclass(frozen=True, slots=True)
class _Asking:
    """What was decided for one step, and the acts that follow from it."""

    workspace: Workspace
    assignment: Assignment
    scene: Scene
    decision: Decision

    def announce(
        self, connection: Connection, target: Target, *, ordinal: int, shadow: bool = False
    ) -> rows.Announcement:
        """Say durably who is about to be asked."""
        assignment, provider, facts = self.assignment, self._provider(target), self.scene.facts
        announcement = rows.Announcement(
            call=f"{assignment.step}/{ordinal}",
            **self._circumstances(),
            target=target.value,
            shadow=shadow,
            provider=word(str(provider.name)),
            model=word(str(provider.model)),
            bundle=facts.bundle if target is Target.LOCAL else None,
            session=self.workspace.session.begin(),
            # The first is announced at the very moment that its facts are of.
            at=self.scene.at if ordinal == 1 else self.workspace.now(),
        )
        ledger.append(connection, announcement)
        return announcement

    def _circumstances(self) -> dict[str, Any]:
        """Return what announcement and step both say of the question and of what was decided."""
        assignment, question = self.assignment, self.assignment.question
        return {
            "step": assignment.step,
            "run": assignment.run,
            "generation": assignment.generation,
            "position": assignment.position,
            "role": question.role.name,
            "seed": question.seed,
            "knowledge": question.knowledge,
            "policy": self.scene.policy_number,
            "validators": sorted(self.scene.validators),
            "prompt": question.prompt,
            "facts": self.scene.facts.as_json(),
            "objections": list(self.decision.objections),
        }

    def start(self, announcement: rows.Announcement) -> "_Asked":
        """Let the trace say that the announced provider is about to be asked."""
        self.workspace.reached("announced")
        target = Target(announcement.target)
        question, policy, settings = self.assignment.question, self.scene.policy, self.workspace.settings
        request = Request(
            call=announcement.call,
            role=question.role.name,
            prompt=question.prompt,
            schema=question.role.schema,
            seed=question.seed,
            time_limit=policy.local_timeout if target is Target.LOCAL else policy.frontier_timeout,
            examples=question.examples,
            instructions=question.instructions,
            case=question.case,
        )
        side = self._provider(target), target, announcement.bundle
        witness = Traced(*side, self.workspace.trace, settings.clock, durable=settings.durability == "full")
        began = settings.clock.monotonic()
        return _Asked(announcement, witness.start(request), began)

    def answer(self, asked: "_Asked") -> "_Tried":
        """Wait for the answer, and judge it."""
        try:
            completion: Completion | ProviderError = asked.call.answer()
        except ProviderError as error:
            completion = error
        latency = max(0.0, self.workspace.settings.clock.monotonic() - asked.began)
        self.workspace.reached("answered")
        return self._tried(replace(unanswered(asked.announcement, self.workspace), latency=latency), completion)

    def ask_next(self, target: Target, *, ordinal: int, shadow: bool = False) -> "_Tried":
        """Announce and ask, after an earlier attempt of the same step."""
        with self.workspace.announcing:
            with self.workspace.writing() as connection:
                announcement = self.announce(connection, target, ordinal=ordinal, shadow=shadow)
            asked = self.start(announcement)
        return self.answer(asked)

    def _tried(self, attempt: rows.Attempt, completion: Completion | ProviderError) -> "_Tried":
        if isinstance(completion, ProviderError):
            return _Tried(replace(attempt, error_type=completion.error_type, error=str(completion)))
        question = self.assignment.question
        judgement = judge(question.scenario, question.role, completion.reply, question.judged_on, self.scene.validators)
        refusals = judgement.refusals
        attempt = replace(
            attempt,
            error_type=INVALID if refusals else None,
            error=refusals[0] if refusals else None,
            refusals=list(refusals),
            score=judgement.score,
            cost=None if attempt.shadow else cost(completion, attempt.at),
            **answered(completion),
        )
        return _Tried(attempt, judgement)

    def _provider(self, target: Target) -> Provider:
        if target is Target.FRONTIER:
            return self.assignment.frontier
        return self.workspace.local(self.scene.facts.bundle or "", self.scene.look)

    def record(self, connection: Connection, tried: Sequence["_Tried"]) -> rows.Step:
        """Append the step, its attempts and the matches of the answer that was used, together."""
        counted = [each for each in tried if not each.attempt.shadow]
        served = next((each for each in counted if each.attempt.accepted), None)
        step = self._step([each.attempt for each in counted], served)
        ledger.append(connection, step)
        for each in tried:
            ledger.append(connection, with_breaker(connection, each.attempt, self.scene))
        played = served.judgement.matches if served is not None and served.judgement is not None else ()
        ledger.append_all(connection, [rows.PlayedMatch(step.id, m.seed, m.score, m.won, m.parts) for m in played])
        ledger.append_all(connection, verdicts(self.assignment.question, step))
        self.workspace.reached("step-appended")
        return step

    def _step(self, counted: Sequence[rows.Attempt], served: "_Tried | None") -> rows.Step:
        reason = self.decision.reason
        if reason is None and not counted[0].accepted:
            reason = local_failure(counted[0].error_type or "")
        used = served.attempt if served else None
        judged = self.assignment.question.role.judged
        answer = served.judgement.answer if served and served.judgement and judged else None
        identity = self._circumstances()
        return rows.Step(
            id=identity.pop("step"),
            **identity,
            requested=(Target.LOCAL if self.decision.local else Target.FRONTIER).value,
            reason=reason,
            outcome="served" if used else "failed",
            error=None if used else self._error(counted),
            served=used.target if used else None,
            served_call=used.call if used else None,
            reply=used.reply if used else None,
            answer=answer.text if answer else None,
            score=used.score if used else None,
            recovered=False,
            at=self.workspace.now() if counted else self.scene.at,
        )

    def _error(self, counted: Sequence[rows.Attempt]) -> str:
        return self.scene.facts.frontier_objection or counted[-1].error_type or INVALID


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that both witnesses know of, and that nobody waits for yet."""

    announcement: rows.Announcement
    call: Call
    began: float


@dataclass(frozen=True, slots=True)
class _Tried:
    """A call that ended, and what was said of its reply, if there was one."""

    attempt: rows.Attempt
    judgement: Judgement | None = None


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
        tried = [asking.answer(self.first)]
        if not tried[0].attempt.accepted and len(self.targets) > 1:
            tried.append(asking.ask_next(self.targets[1], ordinal=2))
        if shadowed(asking.decision):
            tried.append(asking.ask_next(Target.LOCAL, ordinal=len(tried) + 1, shadow=True))
        with workspace.writing() as connection:
            step = asking.record(connection, tried)
        workspace.reached("step-finished")
        return step
