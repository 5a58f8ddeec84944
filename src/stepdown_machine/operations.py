"""What can be asked of a system, as values: they print as a script, and a script is a list of them.

Names of things (`run`, `dataset`, `bundle`) are the system's own ids when an adapter sees them. The machine's own scripts use
readable names (`bundle-1`) and translate them before the adapter is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from stepdown_machine.optional import Ask as Ask  # noqa: PLC0414 - as if it stood here
from stepdown_machine.optional import Changes as Changes  # noqa: PLC0414
from stepdown_machine.optional import Import as Import  # noqa: PLC0414
from stepdown_machine.optional import Judge as Judge  # noqa: PLC0414
from stepdown_machine.optional import Redecode as Redecode  # noqa: PLC0414
from stepdown_machine.optional import Resume as Resume  # noqa: PLC0414
from stepdown_machine.optional import Reword as Reword  # noqa: PLC0414
from stepdown_machine.optional import Route as Route  # noqa: PLC0414
from stepdown_machine.optional import SetBase as SetBase  # noqa: PLC0414
from stepdown_machine.optional import Tamper as Tamper  # noqa: PLC0414
from stepdown_machine.surroundings import Advance as Advance  # noqa: PLC0414
from stepdown_machine.surroundings import Damage as Damage  # noqa: PLC0414
from stepdown_machine.surroundings import Disturb as Disturb  # noqa: PLC0414
from stepdown_machine.surroundings import Plant as Plant  # noqa: PLC0414
from stepdown_machine.surroundings import Restore as Restore  # noqa: PLC0414
from stepdown_machine.surroundings import Revise as Revise  # noqa: PLC0414
from stepdown_machine.values import Policy


@dataclass(frozen=True, slots=True)
class Run:
    """One run: each generation asks the competitor `candidates` times, then the coach once. Answers `Ran`.

    The first run of a system is discovery, one while a bundle is active is routed: they are the same function.
    """

    seed: int
    generations: int = 1
    candidates: int = 1


@dataclass(frozen=True, slots=True)
class Export:
    """Write a dataset from the served, legal competitor steps that pass every filter. Answers `Dataset`.

    Refusals: `filter-out-of-range`, `unknown-run`, `no-records`.

    Attributes:
        min_score: Keep rows whose score is at least this (0..1, inclusive).
        kept_only: Keep rows that their generation's gate kept.
        include_local: Keep rows that a local bundle served; off, no model is trained on itself by accident.
        imported: Also what was logged elsewhere; it is of no run, and no gate kept it.
    """

    run: str | None = None
    scenario: str | None = None
    min_score: float | None = None
    kept_only: bool = False
    include_local: bool = False
    imported: bool = False


@dataclass(frozen=True, slots=True)
class Train:
    """Train a bundle and register it, without activating it. Answers `Bundle`.

    An equal job (dataset content, plan) whose bundle is still whole answers that very bundle. With `fresh` the weights
    are really trained again, whatever was cached; they must be the same, and so with `resume`, which goes on where an equal
    training was killed. Refusals: `unknown-dataset`, `dataset-malformed`, `dataset-too-small`, and of a plan that tunes a base
    `unknown-base`, `base-mismatch`.
    """

    dataset: str
    plan: str
    fresh: bool = False
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Activate:
    """Make the bundle its slot's. Refusals: see `stepdown_machine.model.Model.activation`.

    Attributes:
        proven: Only if the newest verdict on it promotes it, with version and text as they are: else `not-promoted`.
    """

    bundle: str
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Disable:
    """Switch the bundle off; it stays its slot's. Refusals: `unknown-bundle`, `bundle-retired`."""

    bundle: str


@dataclass(frozen=True, slots=True)
class Enable:
    """Switch the bundle on again. Refusals: `unknown-bundle`, `bundle-retired`."""

    bundle: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Take the bundle out of use for ever; if it was its slot's, the slot is empty. Refusal: `unknown-bundle`."""

    bundle: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Retire the bundle and remove its directory, through the product. Refusal: `unknown-bundle`."""

    bundle: str


@dataclass(frozen=True, slots=True)
class Promote:
    """Compare the bundle with the frontier on matched held-out seeds, and make it its slot's if that shows it fit.

    Each seed is one step of a run of its own, in which the frontier is asked for its own sake (`Step.purpose` is
    `comparison`). Answers `Promoted`. Error rate 0.05 each way. Refusals: those of `Activate`, and `frontier-forbidden`
    when the policy keeps the role's prompts from the frontier. `stale` when a rival moved the slot meanwhile.

    Attributes:
        margin: How much worse than the frontier is still as good, 0..0.5.
        resume: A comparison that was killed before its verdict, and goes on: what the frontier was asked in it stands. Refusals
            beside those above: `unknown-run`, `run-of-another-kind`, `run-done`.
    """

    bundle: str
    margin: float = 0.05
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Measure a bundle again, as scenario, decoding and lessons are now. Answers `Bundle`.

    Refusals: `unknown-bundle`, `bundle-absent`, `bundle-integrity`, `base-mismatch`, `local-load-failed`. One that may serve
    nobody may be measured or refused for that.
    """

    bundle: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """Make the slot's the last bundle it held before that is still good: enabled, not retired, whole, belonging.

    It goes back along the way that activations went: what it leaves behind is not where the next one leads. Answers `Pointed`.
    Refusals: `nothing-to-roll-back`; `stale` when a rival moved the slot meanwhile.
    """


@dataclass(frozen=True, slots=True)
class Prune:
    """Delete bundles that nobody needs: not the slot's, not where a rollback leads, not what a kept run asked or compared.

    A retired bundle is needed by nobody. Answers `Pruned`. Refusals, with `bundle`: `unknown-bundle`, `bundle-retired` (it
    was deleted before), `bundle-needed`.

    Attributes:
        bundle: This one and no other.
        keep: Runs that are kept, with what they asked or compared: all of them, or (`0`) none.
        ahead: Delete nothing, and answer what would be deleted: without `bundle` only those of which somebody has said
            something, by an act or a verdict. The others may be minutes old.
    """

    bundle: str | None = None
    keep: int | None = None
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """Replace the whole policy. Refusal: `policy-out-of-range`, and then nothing of it is kept."""

    policy: Policy


@dataclass(frozen=True, slots=True)
class SetValidator:
    """Switch one validator of the harness."""

    name: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Tell a run from history. Answers `RunReport`. Refusal: `unknown-run`."""

    run: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Compare history with trace. Answers `Audited`.

    With `falsified` (one of `Description.falsifiable`) the audit looks at a copy in which that one persisted thing was
    altered behind the system's back; the system itself is left as it was.
    """

    falsified: str | None = None


@dataclass(frozen=True, slots=True)
class Reopen:
    """Close the system and open it again on the same durable state, in a fresh process where that is possible."""


Plain: TypeAlias = (
    Run | Export | Train | Activate | Disable | Enable | Retire | Delete | Promote | Evaluate | Rollback | Prune
    | SetPolicy | SetValidator | Report | Audit | Reopen | Damage | Restore | Plant | Tamper | Revise | Disturb | Advance
    | SetBase | Reword | Redecode | Judge | Ask | Route | Resume | Import | Changes
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Crash:
    """Begin the operation in a real process, kill it (SIGKILL) at the named point, reopen. Answers `None`.

    At a point that the operation does not reach (it was refused, or is over) it ended normally.
    """

    operation: Plain
    point: str


@dataclass(frozen=True, slots=True)
class Rival:
    """Two processes do one operation each at once. Answers a pair, in the order given, and what `then` asks for.

    Attributes:
        held: One of `Description.holds`: the second is held there until the first has ended. A point that it does not
            reach holds nobody. `None` leaves the order to chance.
        later: Seconds that pass once the first has ended: while the second is held, or after it.
        then: What the first process does after that, one after the other, while the second is still held. Their answers
            come after the two.

    A `Disturb` among them is for who is asked after it; who was asked before, and is held, may answer as if there were none.

    One of the two may be killed; nobody answers for it. The first is killed while the second is held, and the system opened
    anew while that one lives. The second is killed before the first acts in a process that had the system open all the time;
    then it is opened anew.
    """

    first: Plain | Crash
    second: Plain | Crash
    held: str | None = None
    later: float = 0.0
    then: tuple[Plain, ...] = ()


@dataclass(frozen=True, slots=True)
class Interleave:
    """Two runs of one process take turns, one step at a time. Answers a pair, in the order given."""

    first: Run
    second: Run


Operation: TypeAlias = Plain | Crash | Rival | Interleave
"""Everything an adapter's `perform` may be given; what it does not know it leaves out of `Description.operations`."""


def _inner(operation: Plain | Crash) -> Plain:
    return operation.operation if isinstance(operation, Crash) else operation


def parts(operation: Operation) -> tuple[Plain, ...]:
    """Return the plain operations in an operation: itself, or what is killed, races or takes turns."""
    match operation:
        case Crash(operation=inner):
            return (inner,)
        case Rival(first=first, second=second, then=then):
            return (_inner(first), _inner(second), *then)
        case Interleave(first=first, second=second):
            return (first, second)
        case plain:
            return (plain,)
