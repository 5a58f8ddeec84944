"""What a system answers and what an adapter observes: frozen values, equal when their content is equal.

Times are seconds since the epoch (UTC, float). Stored words are kebab-case. A provider is `local` or `frontier`: an
adapter maps its own names onto these two.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """When local may serve. Limits are inclusive: a number at the limit passes.

    Attributes:
        mode: `auto`, `frontier-only` (reason `frontier-forced`) or `local-only` (the frontier is never called).
        local_roles: Roles that local may serve.
        local_never: Roles whose prompts must not reach local, whatever `local_roles` says.
        frontier_never: Roles whose prompts must not reach the frontier, whatever happens.
        min_score: Least lower bound of the held-out mean score, 0..1.
        min_valid: Least share of legal held-out replies, 0..1.
        min_coverage: Least measured harness coverage, 0..1.
        max_age: Seconds since training; `None` is no limit, 0 is really 0.
        breaker_threshold: Failures within the window that open the breaker, at least 1.
        breaker_window: Seconds, at least 0.
        breaker_cooldown: Seconds, at least 0; 0 is really 0.
        breaker_probes: Successes in a row that close a half-open breaker; 0 closes it when the cooldown is over.
        shadow: A fit local answers beside the frontier, is judged, and never serves.
        canary: Share of steps that a fit local may serve, 0..1, chosen by the step's seed: the same in every replay.
    """

    mode: str = "auto"
    local_roles: tuple[str, ...] = ("competitor",)
    local_never: tuple[str, ...] = ()
    frontier_never: tuple[str, ...] = ()
    min_score: float = 0.0
    min_valid: float = 0.0
    min_coverage: float = 0.0
    max_age: float | None = None
    breaker_threshold: int = 3
    breaker_window: float = 60.0
    breaker_cooldown: float = 30.0
    breaker_probes: int = 1
    shadow: bool = False
    canary: float = 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused operation. The kind is a stable kebab-case word; the sentence is for people and not compared."""

    kind: str
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished run."""

    run: str


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a dataset.

    Attributes:
        step: Id of the step it came from.
        split: `train` or `valid`.
        prompt: Text the model sees.
        completion: Text the model learns.
        score: The step's own score, 0..1.
        served: Who served the step.
    """

    step: str
    split: str
    prompt: str
    completion: str
    score: float
    served: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """An exported dataset.

    Attributes:
        digest: Of the bytes of all its record files, hex.
        text: All its record files, concatenated, exactly as written.
    """

    dataset: str
    digest: str
    records: tuple[Record, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A registered bundle, as the system answered it.

    Attributes:
        bundle: Its id.
        weights: SHA-256 of its weights, hex.
        trained_at: Epoch seconds.
        score: Lower bound of the held-out mean score; NaN when it could not be measured.
        valid: Share of legal held-out replies, 0..1.
        evaluation: Held-out seed and score for each reply; `None` for an illegal reply.
        version: Scenario version the evaluation was made at.
    """

    bundle: str
    weights: str
    trained_at: float
    score: float
    valid: float
    evaluation: tuple[tuple[int, float | None], ...] = ()
    version: int = 1


@dataclass(frozen=True, slots=True)
class Pair:
    """One seed of a comparison: what the bundle replied, and what both scored there (0..1, an illegal reply 0)."""

    seed: int
    reply: str
    score: float
    frontier: float


@dataclass(frozen=True, slots=True)
class Promoted:
    """The verdict on a bundle, and what it rests on.

    Attributes:
        run: The run in which the frontier was asked.
        outcome: `promote`, `hold` or `reject`.
        pairs: One for each seed that the frontier answered.
        unanswered: Seeds that it did not answer.
        mean: Of the differences, bundle minus frontier, -1..1; NaN when nothing could be compared.
        lower: What the mean is not below, at the error rate; NaN likewise.
        upper: What it is not above; NaN likewise.
        valid: Share of the bundle's legal replies, 0..1.
        champion: The slot's bundle, when it was compared too.
        ahead: What the mean difference to the champion is not above; NaN without one.
        now: The bundle as it is evaluated now: one whose evaluation no longer counted was evaluated again first.
    """

    run: str
    outcome: str
    pairs: tuple[Pair, ...]
    unanswered: int
    mean: float
    lower: float
    upper: float
    valid: float
    champion: str | None
    ahead: float
    now: Bundle


@dataclass(frozen=True, slots=True)
class Pointed:
    """The slot holds this bundle now."""

    bundle: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """Bundles that were deleted, oldest first."""

    bundles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunReport:
    """What the report says of a run; shares of steps by who served and why, tokens summed over attempts.

    Attributes:
        served: Count of steps by provider; failed and interrupted steps are in neither.
        reasons: Count of steps by stated reason; steps that local served have none.
        best: Best score of the run's served steps; `None` when none was scored.
    """

    run: str
    steps: int
    served: tuple[tuple[str, int], ...]
    reasons: tuple[tuple[str, int], ...]
    best: float | None
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Audited:
    """Differences between the two witnesses, one line each; none when all is true."""

    differences: tuple[str, ...] = ()


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
    """

    call: str
    provider: str
    error: str | None
    weights: str | None
    input_tokens: int
    output_tokens: int
    shadow: bool = False
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One provider call as the trace has it, in order of its start.

    Attributes:
        ended: The trace holds its end; a killed process leaves calls that never ended.
        error: What the provider raised: `None`, `load-failed`, `error`, `timeout`.
        text: The reply as it came; empty when there was none.
    """

    call: str
    provider: str
    ended: bool
    error: str | None
    weights: str | None
    text: str
    input_tokens: int
    output_tokens: int


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
        error: Why a failed step failed: `frontier-forbidden`, or the last attempt's error.
        text: The reply that served, byte for byte as stored; empty otherwise.
        matches: Seed and score of each match played with it.
        score: Mean of the matches, four decimals; `None` for the coach and for steps not served.
        recovered: Closed by recovery after a crash.
        seed: What the canary's draw depends on.
        purpose: `work`, or `comparison` with the frontier, for a promotion's verdict.
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
    """A registered bundle, whether its directory is there, and whether all its bytes hash to what was registered."""

    bundle: str
    present: bool
    whole: bool
    weights: str | None


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
        datasets: Dataset id and digest of its record files as they are on disk now.
        leftovers: Files and directories in the rooms of datasets and bundles that belong to neither.
    """

    steps: tuple[Step, ...]
    calls: tuple[Call, ...]
    announced: tuple[str, ...]
    generations: tuple[Generation, ...]
    holdings: tuple[Holding, ...]
    shelf: tuple[Shelved, ...]
    policy: Policy
    validators: frozenset[str]
    acts: tuple[str, ...]
    datasets: tuple[tuple[str, str], ...]
    leftovers: tuple[str, ...] = ()
