"""What a system under test offers: describe yourself, perform an operation, show what is durable, close.

An adapter is one class with these four methods, usually 60 to 150 lines. It turns the system's own exceptions into
`Refusal` values, reads rows and files itself (never through the system's readers), and remembers rows it has read, so
that an observation after every operation stays cheap.

The contract the oracle holds a system to is written in `stepdown_machine.model`; the operations say what each may
answer. A fresh system's clock shows `START` and stands still unless `Advance` moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import inf
from typing import Protocol, TypeAlias

from stepdown_machine import operations as op
from stepdown_machine.model import REASONS, REFEREES, Ground
from stepdown_machine.observed import Observation
from stepdown_machine.values import (
    Audited,
    Bundle,
    Changed,
    Dataset,
    Imported,
    Pointed,
    Policy,
    Price,
    Promoted,
    Pruned,
    Ran,
    Refusal,
    Responded,
    Routed,
    RunReport,
)

One: TypeAlias = (
    Ran
    | Dataset
    | Bundle
    | Promoted
    | Pointed
    | Pruned
    | RunReport
    | Audited
    | Responded
    | Routed
    | Imported
    | Changed
    | Refusal
    | None
)
Answer: TypeAlias = One | tuple[One, ...]
"""`None` means done, nothing to say. `Rival` and `Interleave` answer one for each of those that act."""

START = 1_800_000_000.0
"""Epoch seconds that a fresh system's clock shows; only `Advance` moves it."""
VALIDATORS = ("json-object", "known-keys", "finite-numbers", "unit-range", "budget")
DAMAGES = ("delete-directory", "delete", "truncate", "flip", "swap", "add", "symlink")
PLANTS = ("other-scenario", "newer-format")
MUTE = "mute"
"""One more of them, which a system may know: see `operations.Plant`."""
FAILURES = ("load-failed", "error", "timeout", "garbage", "illegal")
OUTAGES = ("error", "timeout", "illegal")
UNPRICED = "unpriced"
"""One more of them, which a system may know: it answers, under the name of a model that nobody knows the price of."""
MISSING = "missing"
"""And another one: it cannot be had at all, as its key or its package is gone. A run, or a question, then begins only where a
bundle is in the slot, else it is `provider-unavailable`, as every comparison is; who cannot do without fails as
`frontier-unavailable`."""
SHOWN = frozenset(
    (
        "requested", "objections", "reason", "errors", "times", "weights", "holdings", "shelf", "policy", "validators", "acts",
        "datasets", "judgements", "checkpoints",
    )
)  # fmt: skip
"""What an observation may leave out: of steps whom they requested, what objected, why, with what error, when and by which
weights; and all but steps and calls. What a system does not show is taken as the oracle has it."""
EVERYTHING: frozenset[type] = frozenset(
    (
        op.Run, op.Export, op.Train, op.Activate, op.Disable, op.Enable, op.Retire, op.Delete, op.Promote, op.Evaluate,
        op.Rollback, op.Prune, op.SetPolicy, op.SetValidator, op.Report, op.Audit, op.Reopen, op.Damage, op.Restore, op.Plant,
        op.Tamper, op.Revise, op.Disturb, op.Advance, op.Crash, op.Rival, op.Interleave, op.SetBase, op.Reword, op.Redecode,
        op.Judge, op.Ask, op.Route, op.Resume, op.Import, op.Changes,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Probe:
    """One move of the coverage probe set.

    Attributes:
        legal: What the scenario's referee says.
        objectors: Validators that object to it when enabled, each judged alone.
    """

    text: str
    legal: bool
    objectors: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Origin:
    """How a script makes an equal, fresh adapter: `from module import name; name(*arguments)`."""

    module: str
    name: str
    arguments: tuple[str | int | float | bool | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Teaching:
    """How what a coach says becomes known.

    Attributes:
        read: Returns what a reply of the coach teaches; `None` where it is no lesson.
        first: What is known before the first lesson.
    """

    read: Callable[[str], str | None]
    first: str


@dataclass(frozen=True, slots=True)
class Description:
    """What a system is and can do, the same for every example. Capabilities are declared here, not overridden.

    Attributes:
        origin: Where a script finds the adapter.
        operations: Operation classes the adapter performs; rules that need another never run.
        probes: The coverage probe set.
        plans: Names of small training plans. They differ in the weights they give.
        tuned: Names of plans that tune a base; rules draw only those that are among `plans` too.
        bases: What can lie where the base is, see `SetBase`; the first is `own`.
        texts: What the competitor can be asked with, see `Reword`; the first is `own`.
        decodings: How bundles can be decoded, see `Redecode`; the first is `own`.
        questions: Most questions that one `Ask` may hold.
        examined: Seeds that are kept for evaluations and comparisons: nobody may learn what was answered to them.
        strange: Seeds of questions that are none of the scenario's cases: nobody can say at once what one to it is worth,
            and it is exported once somebody has said so later.
        points: For each operation class name, the points at which `Crash` can kill it.
        holds: Likewise the points at which `Rival` can hold it: there it keeps nobody waiting. At `looked` a run has looked at
            the slot's bundle, and decided nothing of its first step. At `announced` it has said durably whom that one asks, and
            did not ask yet; a promotion likewise, of its comparison. At
            `rollback-checked` a rollback has chosen where it leads, and did not go there yet.
        falsifiable: What `Audit(falsified=...)` can alter.
        min_records: Records that training needs; fewer are refused with `dataset-too-small`.
        policies: Names of the policy values that can be set; the others stay what `policy` says.
        policy: In force in a fresh system.
        most: Greatest value of `breaker_threshold` and of `breaker_probes`, where they have one; beyond it a policy is out of
            range.
        scores: The scenario is grid_ctf, so that the oracle can replay scores and judge replies.
        referee: A scenario whose replies the oracle can judge though it cannot replay their scores: `invoices`.
        refuses: Where nothing is scored: whether a reply is one that the system must not serve.
        given: Bundles that a fresh system has; the first is the one in use.
        roles: Whom a run asks: `competitor`, and where there is one a `coach`, whom local never serves by default.
        knows: Reasons that the system has a notion of. The others are never due, whatever happens.
        grounds: Reasons of its own, each with a rule of when it is due.
        words: The system's own words for reasons, errors, providers, roles and outcomes, to those here.
        failures: How local can be made to fail; `outages` likewise the frontier.
        shows: What an observation holds beside steps and calls, of `SHOWN`.
        prices: Of the frontier, oldest first; none where nobody knows its price, or its calls have several.
        splits: What of a record is never on both sides of a dataset: its `answer`, its `question`, or, by default, both
            together.
        shared: All comparisons of a slot share one error rate: its n-th may spend a share of 1 / (n (n + 1)) of it.
        sure: How many standard errors the lower bound of a held-out score lies below its mean, at least and at most.
        bounds: What the mean of differences, in the order in which they were seen, is not below and not above at an error rate,
            where a system says how it bounds them. Without it the oracle asks only that bounds are not closer than is honest.
        compares: Seeds that a comparison which shows nothing comes to, at most; 0 where nobody says.
        foresees: Whether it says what a `Prune` would delete, before it does.
        operator: Who asks for whatever is done, where acts are signed.
        draw: A step's place in [0, 1) by its seed, where a system says it: the canary serves those below its share. Without it
            the oracle learns from what it sees, and holds the system to that.
        teaching: How lessons come about, where questions are put with what was learned; `None` where nothing is.
        astray: How far below the best so far the best of a generation lies that is rolled back; `None` where none is.
    """

    origin: Origin
    operations: frozenset[type] = EVERYTHING
    scenario: str = "grid_ctf"
    validators: tuple[str, ...] = VALIDATORS
    probes: tuple[Probe, ...] = ()
    plans: tuple[str, ...] = ("tiny-a", "tiny-b")
    tuned: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    decodings: tuple[str, ...] = ()
    questions: int = 1
    examined: tuple[int, ...] = ()
    strange: tuple[int, ...] = ()
    points: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    damages: tuple[str, ...] = DAMAGES
    plants: tuple[str, ...] = PLANTS
    falsifiable: tuple[str, ...] = ()
    min_records: int = 1
    policies: frozenset[str] = frozenset(each.name for each in fields(Policy))
    most: Mapping[str, int] = field(default_factory=dict)
    scores: bool = True
    refuses: Callable[[str], bool] | None = None
    policy: Policy = Policy()
    given: tuple[Bundle, ...] = ()
    roles: tuple[str, ...] = ("competitor", "coach")
    knows: frozenset[str] = frozenset(REASONS)
    grounds: tuple[Ground, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[str, ...] = FAILURES
    outages: tuple[str, ...] = OUTAGES
    shows: frozenset[str] = SHOWN
    referee: str = ""
    prices: tuple[Price, ...] = ()
    draw: Callable[[int], float] | None = None
    teaching: Teaching | None = None
    astray: float | None = None
    shared: bool = False
    sure: tuple[float, float] = (0.0, inf)
    splits: str = "both"
    bounds: Callable[[Sequence[float], float], tuple[float, float]] | None = None
    compares: int = 0
    foresees: bool = False
    operator: str = ""

    @property
    def objectors(self) -> Callable[[str], frozenset[str]] | None:
        """Who names the validators that object to a reply; `None` where the oracle does not know."""
        return REFEREES.get("grid_ctf" if self.scores else self.referee)


class HandoffSystem(Protocol):
    """A fresh, empty system: every validator on, no bundle, no run. One is made for each example."""

    def describe(self) -> Description:
        """Return the static description; asked once."""
        ...

    def perform(self, operation: op.Operation) -> Answer:
        """Do one operation. A refusal is returned; any exception that leaves this method is a failure."""
        ...

    def observe(self, *, thorough: bool = False) -> Observation:
        """Read what is durable. `thorough` forgets what the adapter remembers and reads everything again.

        It may say more of what is on the shelf than a quick look does.
        """
        ...

    def close(self) -> None:
        """Give back every file, descriptor, thread and child. Called once, also after a failure."""
        ...
