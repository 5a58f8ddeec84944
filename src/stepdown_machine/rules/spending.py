"""What a run may spend at its frontier, just enough and just not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from stepdown_machine import operations as op
from stepdown_machine.observed import Step
from stepdown_machine.protocol import UNPRICED
from stepdown_machine.rules.turns import Episode, TurnMachine
from stepdown_machine.values import Policy

SPEND = "spend it all"


class Spending(TurnMachine):
    """Budgets of runs."""

    def episodes(self) -> dict[str, Episode]:
        """Add a run that spends what it may."""
        return {**super().episodes(), SPEND: self.spend}

    def spend(self, choice: int) -> None:
        """Let a run spend what its first steps took, one token more, and some money; with local to serve, and to fail."""
        settable = self.session.description.policies
        if not {"run_tokens", "run_cost"} <= settable or not self.can(op.Run, op.SetPolicy):
            return
        self.tell((op.Disturb(), op.SetPolicy(Policy(mode="frontier-only")), op.Run(choice % 4, 1, 3)))
        taken = self.session.seen.steps[-4:]
        for limits in self._limits(taken):
            self.tell((op.SetPolicy(replace(limits, mode="frontier-only")), op.Run(choice % 4, 2, 2)))
            self._report()
        # What a budget refused then, it allows now.
        self.act(op.SetPolicy(Policy(mode="frontier-only")))
        for run in self._stopped(choice):
            self.act(op.Resume(run))
            self.act(op.Report(run))
        least = min(self._limits(taken), key=lambda each: each.run_tokens or 0.0, default=Policy(run_tokens=0.0))
        # What local takes is nobody's money: a share of the steps is its, before and between those of the frontier.
        for most in [each for each in self._limits(taken) if each.run_tokens][-1:]:
            self.tell((op.SetPolicy(replace(most, canary=0.5)), op.Run(choice % 4, 2, 4)))
        if "illegal" in self.session.description.outages:
            # What cannot be used is paid for all the same.
            self.tell((op.SetPolicy(replace(least, mode="frontier-only")), op.Disturb(frontier="illegal")))
            self.tell((op.Run(choice % 4, 2, 2), op.Disturb()))
        if UNPRICED in self.session.description.outages:
            # What nobody knows the price of spends all the money that there is.
            dear = Policy(mode="frontier-only", run_cost=1e6)
            self.tell(
                (op.SetPolicy(dear), op.Run(choice % 4, 1, 2), op.Disturb(frontier=UNPRICED), op.Run(choice % 4, 2, 2))
            )
            self._report()
            self.act(op.Disturb())
        # Local serves as ever, and where it fails there is nobody to fall back to.
        self.tell((op.SetPolicy(replace(least, breaker_threshold=99)), op.Run(choice % 3, 1, 2), op.Disturb("error")))
        self.tell((op.Run(choice % 3, 1, 2), op.Disturb(), op.SetPolicy(replace(least, shadow=True)), op.Run(1, 1, 2)))
        self._report()
        if choice % 4 == 1:
            self._compare(least)
        self.tell((op.SetPolicy(Policy()), op.Changes()))

    def _limits(self, taken: tuple[Step, ...]) -> Iterator[Policy]:
        """Yield budgets that the first steps just spend, or just do not; money between two sums, as these are never exact."""
        tokens, cost = 0, 0.0
        for number, step in enumerate(taken[:2]):
            for attempt in step.attempts:
                tokens += attempt.input_tokens + attempt.output_tokens
                cost += attempt.cost or 0.0
            if tokens:
                yield Policy(run_tokens=tokens + float(number))
        if cost:
            yield Policy(run_cost=cost / 2)

    def _stopped(self, choice: int) -> list[str]:
        """Name the oldest run that its budget ended, and the last one, which is the same now and then."""
        spent = {one.step.run for one in self.session.routed if one.step.error == "frontier-over-budget"}
        stopped = [name for name, id_ in self.session.names.ids["run"].items() if id_ in spent]
        # The next time it is the oldest of those that are left.
        return list(dict.fromkeys((*stopped[:1], *stopped[-1:]))) if choice % 3 else stopped[-1:]

    def _compare(self, least: Policy) -> None:
        """Compare a bundle with a frontier that may answer only some of its questions."""
        name = self.session.usable(0)
        if name is not None:
            self.tell((op.SetPolicy(replace(least, run_tokens=4 * (least.run_tokens or 1.0))), op.Promote(name, 0.5)))

    def _report(self) -> None:
        for run in self.session.names.of("run")[-1:]:
            self.act(op.Report(run))
