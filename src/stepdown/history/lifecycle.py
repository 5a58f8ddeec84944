"""The rows of a bundle's life: what was exported, trained and measured, who changed what, and what promotion said.

Import them from `history.rows`, where all rows are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dataset:
    """An export, by the digest of its bytes."""

    digest: str
    scenario: str
    filters: Json
    records: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle was registered. Its directory is named after its id.

    Attributes:
        job: Digest of dataset, plan and backend: an equal job gives equal weights.
        weights_digest: SHA-256 of the weights file.
    """

    id: str
    scenario: str
    role: str
    job: str
    dataset: str
    weights_digest: str
    trained_at: datetime
    session: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A bundle was evaluated on held-out seeds.

    Attributes:
        terms: Scenario version, prompt format, decoding settings and seeds: it counts while these are the same.
        terms_digest: SHA-256 of the terms.
        knowledge: Version of the knowledge in the prompts.
        lower: Lower 95 % bound of the mean score; None when it cannot be said.
        run: The comparison it was a part of; None for an evaluation of its own, and routing counts no other.
        call: What the trace calls the batches that it was made of; None for one that an earlier version made.
        judged: Where a model judged its replies, `RUN/GENERATION`, a step's position for each seed of the terms; behind it,
            after spaces, the places of evaluations that came to no end after they had asked about the very same replies. None
            where the scenario scores by itself.
    """

    id: str
    bundle: str
    terms: Json
    terms_digest: str
    knowledge: int
    seeds: int
    mean: float | None
    lower: float | None
    valid: float | None
    at: datetime
    run: str | None = None
    call: str | None = None
    judged: str | None = None


@dataclass(frozen=True, slots=True)
class Holdout:
    """One held-out seed of an evaluation; an illegal reply scores 0, and one that a model gave no verdict on has no score."""

    evaluation: str
    seed: int
    score: float | None
    legal: bool
    reply: str


@dataclass(frozen=True, slots=True)
class Act:
    """Something changed a bundle's standing: `activate`, `disable`, `enable`, `retire` or `delete`.

    Attributes:
        by: Who or what did it: an operator's name, `promotion`, `rollback`, `prune`.
        forced: An operator overrode the evidence.
    """

    kind: str
    scenario: str
    role: str
    bundle: str
    forced: bool
    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """The policy, whole, as it is from here on (table `policy`); numbered from 1."""

    number: int
    settings: Json
    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class HarnessSwitch:
    """A validator was switched on or off (table `harness`)."""

    scenario: str
    validator: str
    enabled: bool
    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class GivenScore:
    """What somebody said later of an answer that was served; the newest of a call counts.

    Attributes:
        call: The call that served.
        score: How good the answer was, 0..1.
    """

    call: str
    score: float
    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """A promotion's answer for a bundle.

    Attributes:
        run: The run in which the frontier was asked.
        terms_digest: Of the terms in force, see `Evaluation`: the verdict stands while these are the same.
        outcome: `promote`, `hold` or `reject`.
        evidence: What it follows from, as `training.promotion.Grounds.as_json` says it.
        policy: Number of the policy it was judged by; 0 is the default one.
        validators: Those that were switched on then, sorted.
    """

    bundle: str
    run: str
    terms_digest: str
    outcome: str
    evidence: Json
    policy: int
    validators: list[str]
    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Spending:
    """Before a challenger is compared: what its verdict may err of all that a slot's promotions may err together.

    Attributes:
        run: The comparison's run, not yet begun.
        scenario: The slot's, with `role`.
        number: The slot's comparisons, this one included.
        share: The chance of a false verdict, each way, that this one may take.
    """

    run: str
    scenario: str
    role: str
    number: int
    share: float


@dataclass(frozen=True, slots=True)
class Loss:
    """One point of a bundle's training: the loss of a batch (nats per token) after so many of the optimizer's steps."""

    bundle: str
    iteration: int
    loss: float
