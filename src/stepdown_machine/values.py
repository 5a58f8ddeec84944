"""What a system answers: frozen values, equal when their content is equal.

Times are seconds since the epoch (UTC, float). Stored words are kebab-case. A provider is `local` or `frontier`: an
adapter maps its own names onto these two.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from stepdown_machine.governed import Policy as Policy  # noqa: PLC0414 - as if it stood here


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
        step: Id of the step it came from, or log and line with a colon between.
        split: `train` or `valid`.
        prompt: Text the model sees.
        completion: Text the model learns.
        score: The step's own score, 0..1; `None` where nothing is scored.
        served: Who served the step; `imported` for what was logged elsewhere.
        kept: Whether the gate of its generation kept it; `None` where a line does not say it, as with all that follows.
        knowledge: How many lessons its question was put with, and `taught` what was known by them.
        model: Who answered.
    """

    step: str
    split: str
    prompt: str
    completion: str
    score: float | None
    served: str
    kept: bool | None = None
    knowledge: int | None = None
    taught: str | None = None
    model: str | None = None


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
        decoding: Word of `Redecode` for how it was decoded then.
        knowledge: How many lessons its questions were put with.
        dataset: What it says it was trained from; `None` where it does not say.
        plan: What it says it was trained by; `None` where it does not say.
        iterations: How many steps were really taken to make it, in whatever answers it; `None` where nobody counted.
    """

    bundle: str
    weights: str
    trained_at: float
    score: float
    valid: float
    evaluation: tuple[tuple[int, float | None], ...] = ()
    version: int = 1
    decoding: str = "own"
    knowledge: int = 0
    dataset: str | None = None
    plan: str | None = None
    iterations: int | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One seed of a comparison: what the bundle replied, and what both scored there (0..1, an illegal reply 0)."""

    seed: int
    reply: str
    score: float
    frontier: float


@dataclass(frozen=True, slots=True)
class Standing:
    """One seed of a comparison with the slot's bundle: what that one replied, and what it scored there."""

    seed: int
    reply: str
    score: float


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
        rivals: One for each seed that the champion answered, the same as the bundle did; `None` where a system does not say.
        share: What of an error rate this one might spend; `None` likewise.
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
    rivals: tuple[Standing, ...] | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Pointed:
    """The slot holds this bundle now."""

    bundle: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """Bundles that were deleted, oldest first."""

    bundles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Responded:
    """What came of one question: the reply that served, who served, why local did not, and what the reply scored at once.

    Attributes:
        text: Empty where nobody served.
        error: Why nobody did.
        more: What came of the questions after it.
    """

    run: str
    text: str
    served: str | None
    reason: str | None
    score: float | None
    error: str | None
    more: tuple[Responded, ...] = ()


@dataclass(frozen=True, slots=True)
class Routed:
    """Who would be asked first: `local`, `frontier` or `nobody`; and every objection to local, in the order of the list."""

    asks: str
    objections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """Of each change of the policy, oldest first, the names of the values that are other ones since, sorted."""

    policies: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """A log, and what of it can be learned from: number of the line, from 1, the text that a model learns, and its score.

    Attributes:
        models: Who answered in each line, as it is kept; `None` where a line does not say it. Empty where nobody keeps it.
        skipped: How many of its lines teach nothing, as it is kept; `None` where nobody keeps it.
    """

    log: str
    lines: tuple[tuple[int, str, float | None], ...]
    models: tuple[str | None, ...] = ()
    skipped: int | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What the calls of one side of a run took.

    Attributes:
        side: `local`, `frontier` or `shadow`.
        attempts: Calls; `failed` are those without a reply that could be used.
        cost: US dollars of those with a price, which no shadow has.
        unpriced: Calls that were answered and have no price where they should.
    """

    side: str
    attempts: int
    failed: int
    cost: float
    unpriced: int


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens at the frontier, from an instant (epoch seconds) on.

    Attributes:
        most: Input tokens up to which it holds; what a longer question costs nobody knows.
    """

    since: float
    input: float
    output: float
    most: float = inf


@dataclass(frozen=True, slots=True)
class RunReport:
    """What the report says of a run; shares of steps by who served and why, tokens summed over attempts.

    Attributes:
        served: Count of steps by provider; failed and interrupted steps are in neither.
        reasons: Count of steps by stated reason; steps that local served have none.
        best: Best score of the run's served steps; `None` when none was scored.
        saved: US dollars by each role that local served, in the alphabet's order: what as many steps that the frontier served
            cost on the mean of the whole history, less what local's cost. A step has a price if all its attempts but the
            shadow have; steps of the frontier without one are left out, and `None` says that it has no other or that local
            has such a step. `None` for all of it where a system tells no money, or asks several frontiers.
        ending: How it ended: `stopped` by its budget, or another word; `None` where a system does not say.
        share: Of the steps of roles that local might serve then and that somebody served, the share that local did. Empty where
            there are none and in whatever is no work; `None` where a system does not say.
        spent: By side, in the alphabet's order; `None` where a system does not say.
        measured: Of each bundle that it names, score and legal share of an evaluation of its own; `None` likewise.
        lessons: What its coach taught, in the order in which it was learned; `None` likewise.
    """

    run: str
    steps: int
    served: tuple[tuple[str, int], ...]
    reasons: tuple[tuple[str, int], ...]
    best: float | None
    input_tokens: int
    output_tokens: int
    saved: tuple[tuple[str, float | None], ...] | None = None
    ending: str | None = None
    share: tuple[float, ...] | None = None
    spent: tuple[Spent, ...] | None = None
    measured: tuple[tuple[str, tuple[float | None, float]], ...] | None = None
    lessons: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Audited:
    """Differences between the two witnesses, one line each; none when all is true."""

    differences: tuple[str, ...] = ()
