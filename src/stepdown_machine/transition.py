"""One operation as the invariants see it: what was asked, what was answered, and what is durable before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from stepdown_machine import operations as op
from stepdown_machine.model import Breaker, Limits, Objections, Registered
from stepdown_machine.observed import Call, Generation, Observation, Step
from stepdown_machine.protocol import Answer, Description
from stepdown_machine.values import Bundle, Dataset


@dataclass(frozen=True, slots=True)
class Walk:
    """What a step must look like, given what its providers did.

    Attributes:
        providers: Whom it asks, in order.
        errors: How each attempt ended, `None` for a reply that was accepted.
        reason: Why local did not serve.
        served: Who serves.
        error: Why nobody does.
    """

    providers: tuple[str, ...]
    errors: tuple[str | None, ...]
    reason: str | None
    served: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StepReview:
    """A new step beside what the oracle says of it.

    Attributes:
        calls: The traced call of each attempt; `None` where the trace has none.
        due: Objections at that moment.
        bundle: The slot's bundle at that moment.
        open: Whether the policy of that moment let the role's prompts reach the frontier, and the run's budget did.
        now: Epoch seconds at that moment.
        excused: Errors that the environment of that moment explains, by provider; `None` where any is excused.
        limits: The policy of that moment.
        breaker: Of the slot's bundle, at that moment.
        unpriced: Whether the frontier answered as a model that nobody knows the price of.
    """

    step: Step
    calls: tuple[Call | None, ...]
    due: Objections
    walk: Walk
    bundle: Registered | None
    open: bool
    now: float
    excused: Mapping[str, frozenset[str | None]]
    limits: Limits
    breaker: Breaker
    unpriced: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A run as it was asked for, and what was in force then."""

    asked: op.Run
    version: int
    text: str


@dataclass(slots=True)
class Memory:
    """What a session remembers beside its models, none of it needed to decide what should happen.

    Attributes:
        called: Call ids that history has claimed.
        exports: Filters, and row ids with their scores, to the digest of what was exported from them.
        weights: Training job to the weights it gave.
        answered: Bundle id to the system's own answer.
        exported: Dataset id to the system's own answer.
        strays: Bundles that a killed or racing training may have left behind.
        plans: Runs to what was asked for; `seeds` are the seeds of their steps by seed, generation and place.
        ended: Runs that were answered, and so have ended, and whether their budget ended them.
        begun: Trainings that were killed and not done since.
        compared: Comparisons that came to a verdict; `numbers` says of each that was killed how many verdicts were before it.
        steps: By id, each step with what was due where the system does not show it.
    """

    called: set[str] = field(default_factory=set)
    exports: dict[tuple[op.Export, frozenset[tuple[str, float | None]]], str] = field(default_factory=dict)
    weights: dict[tuple[str, str], str] = field(default_factory=dict)
    answered: dict[str, Bundle] = field(default_factory=dict)
    exported: dict[str, Dataset] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)
    plans: dict[str, Begun] = field(default_factory=dict)
    seeds: dict[tuple[int, int, int], int] = field(default_factory=dict)
    ended: dict[str, bool] = field(default_factory=dict)
    begun: int = 0
    compared: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transition:
    """What the invariants look at after one operation."""

    operation: op.Operation
    answer: Answer
    before: Observation
    seen: Observation
    description: Description
    memory: Memory

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps that are new."""
        return self.seen.steps[len(self.before.steps) :]

    @property
    def calls(self) -> tuple[Call, ...]:
        """Traced calls that are new."""
        return self.seen.calls[len(self.before.calls) :]

    @property
    def generations(self) -> tuple[Generation, ...]:
        """Gate decisions that are new."""
        return self.seen.generations[len(self.before.generations) :]

    @property
    def parts(self) -> tuple[op.Plain, ...]:
        """The plain operations in it."""
        return op.parts(self.operation)

    def answered(self) -> Iterator[tuple[op.Plain, Answer]]:
        """Yield each plain operation that was answered with its answer; nobody answers for the killed."""
        match self.operation:
            case op.Crash():
                return
            case op.Rival() | op.Interleave():
                assert isinstance(self.answer, tuple), "two act, and each is answered"
                named = (self.operation.first, self.operation.second)
                dead = [isinstance(each, op.Crash) for each in named] + [False] * (len(self.answer) - 2)
                pairs = zip(self.parts, self.answer, dead, strict=True)
                yield from ((part, answer) for part, answer, killed in pairs if not killed)
            case plain:
                yield plain, self.answer

    @property
    def killed(self) -> bool:
        """Whether a process was killed in it."""
        match self.operation:
            case op.Rival(first=op.Crash()) | op.Rival(second=op.Crash()):
                return True
        return isinstance(self.operation, op.Crash)

    @property
    def orderly(self) -> bool:
        """Whether one thing happened after the other: no kill and no rival."""
        return not isinstance(self.operation, op.Crash | op.Rival | op.Interleave)

    @property
    def running(self) -> bool:
        """Whether steps are all that this operation is about."""
        return all(isinstance(part, op.Run) for part in self.parts)
