"""The rows as frozen values. A field is a column of the table of the same name, so one list says both.

`Ledger` functions insert these and `reader` functions return these; nothing else crosses the database's edge.
"""

from dataclasses import dataclass
from datetime import datetime

from stepdown.history.lifecycle import (
    Act,
    Bundle,
    Dataset,
    Evaluation,
    GivenScore,
    HarnessSwitch,
    Holdout,
    Json,
    Loss,
    PolicyChange,
    Spending,
    Verdict,
)
from stepdown.history.logs import Exchange, Log

__all__ = (
    "Act", "Announcement", "Attempt", "Bundle", "Dataset", "Ending", "Evaluation", "Exchange", "Generation", "GivenScore",
    "HarnessSwitch", "Holdout", "Json", "Lesson", "Log", "Loss", "PlayedMatch", "PolicyChange", "Resumption", "Run",
    "Spending", "Step", "Unsound", "Verdict",
)  # fmt: skip


WORK, COMPARISON, LIVE, EVALUATION = "work", "comparison", "live", "evaluation"
"""What a run can be for."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run began. Whether it ended is an `Ending`.

    Attributes:
        purpose: `work`; `comparison`: the frontier alone, asked on held-out seeds for a promotion's verdict; `live`: one
            question after another, as they come, whose answers may be judged later; or `evaluation`: a model alone, asked how
            good a bundle's held-out answers are.
    """

    id: str
    scenario: str
    scenario_version: int
    seed: int
    generations: int
    candidates: int
    frontier: str
    session: str
    at: datetime
    purpose: str = WORK


@dataclass(frozen=True, slots=True)
class Ending:
    """A run ended: `completed`, `stopped`, its budget spent; `failed`, with a sentence; or `interrupted`, its process dead."""

    run: str
    outcome: str
    error: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Resumption:
    """A run that had ended before it was done goes on; then it ends again.

    Attributes:
        session: The process that goes on with it.
    """

    run: str
    session: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Announcement:
    """A provider is about to be asked. Committed before the call, so that a crash cannot hide it.

    Attributes:
        call: Made by the step, never by a provider: `RUN/GENERATION/POSITION/ORDINAL`, or `…/s` for a shadow.
        target: `local` or `frontier`.
        policy: Number of the policy in force; 0 is the default one.
        validators: Those that are switched on, sorted.
        facts: What the decision was made from, as `Facts.as_json` says it.
        objections: What every gate said.
        session: The process that asks, so that another one can tell whether it still lives.
    """

    call: str
    step: str
    run: str
    generation: int
    position: int
    role: str
    seed: int
    knowledge: int
    policy: int
    validators: list[str]
    prompt: str
    facts: Json
    objections: list[str]
    target: str
    shadow: bool
    provider: str
    model: str
    bundle: str | None
    session: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """A provider was asked.

    Attributes:
        requested_provider: Who was asked, and `requested_model`: for what.
        provider: Who says it answered, and `model`: with what. None when nobody did.
        digest: SHA-256 of the weights that answered, if local.
        error_type: None when a reply came and the harness accepted it; else what went wrong.
        reply: What the provider returned, untouched; None when nothing came.
        refusals: What the harness said against the reply.
        score: Mean score of the reply, if it was judged (shadows are judged as well).
        input_tokens: As the provider counted; None when it does not count.
        cost: US dollars from the price table; None when the price is not known.
        latency: Seconds between asking and having the answer.
        breaker: The bundle's breaker after this attempt.
        recovered: Closed after a crash, from the trace where it knew the outcome.
    """

    call: str
    step: str
    target: str
    shadow: bool
    requested_provider: str
    requested_model: str
    bundle: str | None
    provider: str | None
    model: str | None
    digest: str | None
    error_type: str | None
    error: str | None
    reply: str | None
    refusals: list[str]
    score: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    latency: float | None
    breaker: Json | None
    recovered: bool
    at: datetime

    @property
    def accepted(self) -> bool:
        """Whether the reply could be used."""
        return self.error_type is None


@dataclass(frozen=True, slots=True)
class Step:
    """A role was asked once, by whatever walk.

    Attributes:
        requested: The side that the decision chose first, `local` or `frontier`.
        reason: Why local did not serve; None when it did.
        outcome: `served`, `failed` or `interrupted`.
        error: Why a failed step failed.
        served: The side whose reply was used.
        served_call: The attempt it came from.
        reply: The reply that was used, as it came.
        answer: What the referee read from it, canonical JSON, if it is a legal answer.
        score: Mean over the tournament seeds; 0 for an illegal reply that the harness let through.
    """

    id: str
    run: str
    generation: int
    position: int
    role: str
    seed: int
    knowledge: int
    policy: int
    validators: list[str]
    prompt: str
    facts: Json
    objections: list[str]
    requested: str
    reason: str | None
    outcome: str
    error: str | None
    served: str | None
    served_call: str | None
    reply: str | None
    answer: str | None
    score: float | None
    recovered: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class PlayedMatch:
    """One answer played on one tournament seed."""

    step: str
    seed: int
    score: float
    won: bool
    parts: Json


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation's gate decision: `advance`, `retry` or `rollback`, against the champion so far."""

    run: str
    number: int
    decision: str
    best: str | None
    score: float | None
    champion: str | None
    champion_score: float | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Lesson:
    """A version of the knowledge, and the step it came from (table `knowledge`)."""

    scenario: str
    version: int
    playbook: str
    hints: str
    step: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Unsound:
    """A value that no ledger wrote.

    Attributes:
        table: Where it stands.
        seq: Of its row.
        column: Of its row.
        why: What it is not, and what it is.
    """

    table: str
    seq: object
    column: str
    why: str
