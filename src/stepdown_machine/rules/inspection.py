"""Asking the system what it knows of itself."""

from __future__ import annotations

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.rules.picking import pick
from stepdown_machine.rules.turns import TurnMachine, turn

FALSIFIED = 4
"""Lies told in one turn, from all over the list of them."""


class Inspection(TurnMachine):
    """Reports, audits, a restart."""

    @turn(
        op.Report,
        op.Audit,
        op.Reopen,
        run=pick("run"),
        how=st.sampled_from(("report", "audit", "reopen", "falsify", "changes")),
        choice=st.integers(0, 255),
    )
    def inspect(self, run: str, how: str, choice: int) -> None:
        """Report a run, audit, restart and look again, or audit a falsified copy (which must not pass)."""
        ways = self.session.description.falsifiable
        if how == "falsify" and ways and self.can(op.Audit) and self.session.seen.calls:
            for way in _spread(ways, choice):
                self.act(op.Audit(way))
        elif how == "report" and self.can(op.Report):
            for each_run in dict.fromkeys((run, *self._eventful())):
                self.act(op.Report(each_run))
        elif how == "changes" and self.can(op.Changes):
            self.act(op.Changes())
        elif how == "reopen" and self.can(op.Reopen):
            self.act(op.Reopen())
            self.session.look_again()
        elif self.can(op.Audit):
            self.act(op.Audit())

    def _eventful(self) -> list[str]:
        """Name the last run with a fallback and the last with a failed step: there reports go wrong."""
        steps = [one.step for one in reversed(self.session.routed[-200:])]
        fallback = next((step.run for step in steps if len(step.attempts) > 1), None)
        failed = next((step.run for step in steps if step.outcome == "failed"), None)
        return [self.session.names.name("run", run) for run in (fallback, failed) if run is not None]


def _spread(ways: tuple[str, ...], choice: int) -> list[str]:
    """Choose as many ways as one turn takes, far from each other: what stands together in the list is alike."""
    apart = max(1, len(ways) // FALSIFIED)
    return list(dict.fromkeys(ways[(choice + apart * more) % len(ways)] for more in range(FALSIFIED)))
