"""What a campaign has seen: a summary for people, and obligations that a green run must meet.

A green run proves nothing about what it reached. Counting never influences what is generated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from stepdown_machine import operations as op
from stepdown_machine.model import REASONS
from stepdown_machine.transition import StepReview

LEAST_SHARE = 0.03
LOCAL_SHARE = (0.25, 0.50)
LEAST_PAIRS = 0.90
MOST_ABORTED = 0.03
NAMED = 10
"""Rule pairs that are named when too many were never seen."""


@dataclass(slots=True)
class Reach:
    """Counts over all examples of one machine.

    Attributes:
        routed: Steps of the role that bundles serve, by stated reason; `local` where it served.
        causes: Pairs of outcome and cause.
        rules: Turns by rule name; `pairs` counts a rule directly after another within an example.
        claims: Codes of the invariants that the system is held to.
        offered: Names of all rules that it has operations for, so that one that never ran is seen.
        reasons: All that the system can state; `sought` are those that the machine has a way to, and owes.
        operations: Performed operations by name; kills count by the operation that was killed.
        aborted: Examples that gave up: no rule, or a rejected draw.
        cut: Examples that Hypothesis cut short to keep them small.
        seconds: Time between the begin and the end of examples.
    """

    routed: Counter[str] = field(default_factory=Counter)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    offered: frozenset[str] = frozenset()
    reasons: tuple[str, ...] = REASONS
    sought: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    operations: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    examples: int = 0
    aborted: int = 0
    cut: int = 0
    steps: int = 0
    seconds: float = 0.0

    def notice(self, operation: op.Operation, reviews: tuple[StepReview, ...]) -> None:
        """Count one operation and its steps."""
        self.operations[type(operation).__name__] += 1
        if isinstance(operation, op.Crash):
            self.kills[type(operation.operation).__name__] += 1
        self.steps += len(reviews)
        for one in reviews:
            cause = one.step.reason or one.step.served or "interrupted"
            self.causes[one.step.outcome, cause] += 1
            if one.step.role == "competitor" and not one.step.recovered and one.step.purpose == "work":
                self.routed[cause] += 1

    def share(self, cause: str) -> float:
        """Return the share of routed steps with this cause, 0..1."""
        return self.routed[cause] / max(1, self.routed.total())

    @property
    def paired(self) -> float:
        """Share of ordered rule pairs that were seen; every rule can follow every other."""
        return len(self.pairs) / max(1, len(self.offered) ** 2)

    def unpaired(self) -> list[tuple[str, str]]:
        """Return the ordered rule pairs that were never seen."""
        return sorted(pair for pair in product(self.offered, self.offered) if pair not in self.pairs)

    def unmet(self) -> Iterator[str]:
        """Name every obligation that the campaign did not meet. A machine without a way to a reason owes no share."""
        for rule in sorted(self.offered - self.rules.keys()):
            yield f"rule {rule} never ran"
        for reason in self.sought:
            if self.share(reason) < LEAST_SHARE:
                yield f"{reason} is {self.share(reason):.1%} of routed steps, at least {LEAST_SHARE:.0%} wanted"
        # Where few reasons can be stated, local is right to serve more.
        low, high = LOCAL_SHARE if len(self.sought) > len(REASONS) // 2 else (LOCAL_SHARE[0], 1.0)
        if self.sought and not low <= self.share("local") <= high:
            yield f"local served {self.share('local'):.1%} of routed steps, {low:.0%} to {high:.0%} wanted"
        if self.paired < LEAST_PAIRS:
            missing = [f"{one} then {two}" for one, two in self.unpaired()]
            named = ", ".join(missing[:NAMED]) + (f" and {len(missing) - NAMED} more" if len(missing) > NAMED else "")
            yield f"{self.paired:.1%} of ordered rule pairs seen, at least {LEAST_PAIRS:.0%} wanted; never: {named}"
        if self.aborted > MOST_ABORTED * self.examples:
            yield f"{self.aborted} of {self.examples} examples aborted, at most {MOST_ABORTED:.0%} wanted"

    def summary(self) -> str:
        """Return the campaign in a page of text."""
        turns = self.rules.total()
        rate = f"{turns / max(self.seconds, 1e-9):.0f} turns/s, {self.steps / max(self.seconds, 1e-9):.0f} steps/s"
        ends = f"{self.aborted} aborted, {self.cut} cut short"
        work = (
            f"{self.operations['Train']} trainings asked, {self.kills.total()} kills, {self.operations['Rival']} races"
        )
        lines = [
            f"{self.examples} examples ({ends}), {turns} turns, {self.steps} steps, {rate}",
            f"{work}, {self.paired:.0%} of ordered rule pairs",
            f"local served {self.share('local'):.1%} of {self.routed.total()} routed steps; else:",
        ]
        lines += [f"  {self.share(reason):6.1%}  {reason}" for reason in self.reasons]
        lines += [f"held to {', '.join(self.claims)}"]
        lines += ["turns by rule:"]
        lines += [f"  {self.rules[rule]:6}  {rule}" for rule in sorted(self.offered)]
        lines += ["outcome x cause:"]
        lines += [f"  {count:6}  {outcome:12} {cause}" for (outcome, cause), count in sorted(self.causes.items())]
        return "\n".join(lines)


REACHED: dict[str, Reach] = {}
"""Reach by machine class name, for as long as the process lives."""


def reach(machine: str) -> Reach:
    """Return the reach of a machine, by the name of its class."""
    return REACHED.setdefault(machine, Reach())
