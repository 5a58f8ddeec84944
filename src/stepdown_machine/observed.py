"""What an adapter observes, without the system's own readers: frozen values, equal when their content is equal."""

from __future__ import annotations

from dataclasses import dataclass

from stepdown_machine.values import Policy


@dataclass(frozen=True, slots=True)
class Attempt:
    """One provider call as history has it.

    Attributes:
        call: Id shared with the trace.
        provider: `local` or `frontier`.
        error: `None`, `load-failed`, `error`, `timeout`, `invalid-output`, or `interrupted` (outcome unknown).
        weights: Digest of the weights that answered; `None` for frontier and for a load that failed.
        shadow: Its reply was judged and never served.
        cost: US dollars; `None` where nobody knows the price, and for a shadow, which is not priced.
        seconds: How long it took by the system's clock, which stands still; `None` where nobody measured.
        model: Who answered, as the provider said itself and whoever was asked; `None` where nobody did or nobody keeps it.
    """

    call: str
    provider: str
    error: str | None = None
    weights: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    shadow: bool = False
    cost: float | None = None
    seconds: float | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One provider call as the trace has it, in order of its start.

    Attributes:
        ended: The trace holds its end; a killed process leaves calls that never ended.
        error: What the provider raised: `None`, `load-failed`, `error`, `timeout`.
        text: The reply as it came; empty when there was none.
        model: As in `Attempt`.
    """

    call: str
    provider: str
    ended: bool = True
    error: str | None = None
    weights: str | None = None
    text: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one role as history has it: requested, attempted and served are three facts.

    Attributes:
        at: Epoch seconds of its decision.
        requested: What the decision named, `local` or `frontier`; `none` when nobody could be asked.
        objections: Every gate that objected, in the order of the closed list.
        reason: Why local did not serve; `None` when it did.
        served: Who served; `None` unless the outcome is `served`.
        outcome: `served`, `failed`, or `interrupted` (closed by recovery).
        error: Why a failed step failed: `frontier-forbidden`, `frontier-over-budget`, `frontier-unavailable`, or the last
            attempt's error.
        text: The reply that served, byte for byte as stored; empty otherwise.
        matches: Seed and score of each match played with it.
        score: Mean of the matches, four decimals; `None` for the coach and for steps not served.
        recovered: Closed by recovery after a crash.
        seed: What the canary's draw depends on.
        purpose: `work`, `comparison` with the frontier, for a promotion's verdict, or `live`: see `operations.Ask`.
        knowledge: How many lessons its question was put with.
        answer: What an export holds of the reply, where it is spelled in one way only; empty for the reply itself.
    """

    step: str
    run: str
    generation: int
    role: str
    at: float
    requested: str
    objections: tuple[str, ...]
    reason: str | None
    attempts: tuple[Attempt, ...]
    served: str | None
    outcome: str
    error: str | None
    text: str
    matches: tuple[tuple[int, float], ...]
    score: float | None
    recovered: bool = False
    seed: int = 0
    purpose: str = "work"
    answer: str = ""
    knowledge: int = 0

    @property
    def learned(self) -> str:
        """The text that a model learns from it."""
        return self.answer or self.text


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation's gate decision (`advance`, `retry`, `rollback`) and the steps it kept."""

    run: str
    index: int
    gate: str
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holding:
    """One observer (the database, a reader, another process) sees one bundle active in one slot."""

    observer: str
    role: str
    bundle: str


@dataclass(frozen=True, slots=True)
class Shelved:
    """A registered bundle, whether its directory is there, and whether all its bytes hash to what was registered.

    Attributes:
        listed: `whole`, `damaged` or `gone`, as the system lists it; `None` when it lists nothing.
        standing: `candidate`, `active`, `disabled` or `retired`, as the system lists it; `None` when it lists nothing.
        measured: Lower bound of its score (`None` where it is no number) and legal share, as people are shown them; `None`
            when they are not.
        missed: Whether people are warned that it is not as it was; `None` when they are not told either way.
    """

    bundle: str
    present: bool
    whole: bool
    weights: str | None
    standing: str | None = None
    listed: str | None = None
    measured: tuple[float | None, float] | None = None
    missed: bool | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learned: its number, from 1, what is known then, and the step that it came of."""

    version: int
    text: str
    step: str


@dataclass(frozen=True, slots=True)
class Signature:
    """Who answers for an act, and whether evidence was overridden for it."""

    by: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything durable, read without the system's own readers.

    Attributes:
        steps: Every closed step, in the order of closing.
        calls: Every traced call, in the order of starting.
        announced: Ids of calls that history announced and has not finished.
        holdings: Who sees which bundle active where; the machine tests one scenario.
        shelf: Registered bundles that are not deleted.
        acts: One line for each recorded act (registration, switch, policy, ...), oldest first.
        signed: Of each act, who asked for it; `None` for what nobody has to answer for.
        datasets: Dataset id and digest of its record files as they are on disk now.
        leftovers: Files and directories in the rooms of datasets and bundles that belong to neither.
        lessons: What was learned, oldest first.
        judgements: Step and score of each judgement that arrived late, oldest first.
        checkpoints: Names of killed trainings that can be gone on with.
    """

    steps: tuple[Step, ...]
    calls: tuple[Call, ...]
    announced: tuple[str, ...] = ()
    generations: tuple[Generation, ...] = ()
    holdings: tuple[Holding, ...] = ()
    shelf: tuple[Shelved, ...] = ()
    policy: Policy = Policy()
    validators: frozenset[str] = frozenset()
    acts: tuple[str, ...] = ()
    signed: tuple[Signature | None, ...] = ()
    datasets: tuple[tuple[str, str], ...] = ()
    leftovers: tuple[str, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    judgements: tuple[tuple[str, float], ...] = ()
    checkpoints: tuple[str, ...] = ()
