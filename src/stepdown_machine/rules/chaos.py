"""Rivals that act at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.orders import LOOKED
from stepdown_machine.rules.kills import PLACES, Kills, comparable, raceable
from stepdown_machine.rules.training import untrained
from stepdown_machine.rules.turns import Episode, TurnMachine, turn
from stepdown_machine.values import Policy


@st.composite
def races(draw: st.DrawFn) -> op.Rival | op.Interleave:
    """Draw two operations that happen at once."""
    machine, choice, which, hold = draw(st.runner()), draw(PLACES), draw(st.integers(0, 255)), draw(st.integers(0, 11))
    pairs = [(one, two) for one in raceable(machine, choice) for two in raceable(machine, choice // 2)]
    if not pairs:
        return op.Rival(op.Audit(), op.Audit())
    if which < len(pairs):
        return at_once(machine, *pairs[which], apart=choice % 2 == 0, hold=hold)
    raced = Counter(
        _meeting(each.first, each.second) for each in machine.session.operations if isinstance(each, op.Rival)
    )
    least = min(raced[_meeting(*pair)] for pair in pairs)
    left = [pair for pair in pairs if raced[_meeting(*pair)] == least]
    return at_once(machine, *left[which % len(left)], apart=choice % 2 == 0, hold=hold)


def at_once(machine: TurnMachine, one: op.Plain, two: op.Plain, *, apart: bool, hold: int) -> op.Rival | op.Interleave:
    """Let two runs of one process take turns, or two processes race: freely, or with the second held at one of its points."""
    if isinstance(one, op.Run) and isinstance(two, op.Run) and not apart:
        return op.Interleave(op.Run(one.seed, 1, 2), op.Run(two.seed, 1, 2))
    held = (None, *machine.session.description.holds.get(type(two).__name__, ()))
    return op.Rival(one, two, held[hold % len(held)])


def _meeting(one: op.Plain | op.Crash, two: op.Plain | op.Crash) -> tuple[str, str]:
    return type(one).__name__, type(two).__name__


class Chaos(Kills):
    """Kills and races."""

    @turn(op.Rival, op.Interleave, what=races())
    def race(self, what: op.Rival | op.Interleave) -> None:
        """Let two processes, or two runs of one process, act at the same time."""
        self.act(what)

    def episodes(self) -> dict[str, Episode]:
        """Add one act in three at the same time as another."""
        return {**super().episodes(), "be raced": self._raced}

    def _meanwhile(self, choice: int) -> Iterator[op.Plain | op.Rival]:
        """Open the system anew while another process is on its way; move the slot while somebody is about to."""
        holds = self.session.description.holds
        if "announced" in holds.get("Run", ()):
            yield op.Rival(op.Reopen(), op.Run(choice % 4), "announced")
            # What the dead left is closed, what the living have under way is not.
            yield op.Rival(op.Crash(op.Run(choice % 3), "announced"), op.Run(choice % 4), "announced")
        if "weights-written" in holds.get("Train", ()) and choice % 3 == 0 and self.session.names.of("dataset"):
            yield op.Rival(op.Reopen(), untrained(self, choice), "weights-written")
        if self.session.usable(0) == self.session.usable(1) and self.session.names.of("dataset"):
            self.act(untrained(self, 0))
        yield from self._ahead_of(choice)
        yield from self._overtaken(self.session.usable(choice), self.session.usable(choice + 1))

    def _ahead_of(self, choice: int) -> Iterator[op.Plain | op.Rival]:
        """Measure the slot's bundle with a lesson that a run under way does not know yet, where none may lie between."""
        serving = self.session.model.serving("competitor")
        held = "announced" in self.session.description.holds.get("Run", ())
        if serving is None or not held or not self.can(op.Evaluate, op.Rival):
            return
        bundle = self.session.names.name("bundle", serving.bundle)
        then = (op.Evaluate(bundle), op.SetPolicy(Policy(max_lessons=0.0)))
        yield from (op.Disturb(), op.SetPolicy(Policy(mode="frontier-only")))
        yield op.Rival(op.Run(1 + choice % 3, 1, 3), op.Run(choice % 3, 1, 3), "announced", then=then)
        yield op.SetPolicy(Policy())

    def _overtaken(self, first: str | None, other: str | None) -> Iterator[op.Plain | op.Rival]:
        """Put another bundle in the slot while somebody is about to move it."""
        if first is None or other is None or first == other or not self.can(op.Activate, op.Rival):
            return
        for name in (first, other):
            registered = self.session.registered(name)
            if registered is not None and registered.files != "whole":
                yield op.Restore(name)
            if registered is not None and not registered.enabled:
                yield op.Enable(name)
        holds = self.session.description.holds
        # Nothing but the one who came first stands against the one who comes too late.
        yield from (op.Disturb(), op.SetPolicy(Policy()), op.Activate(other), op.Activate(first))
        if "rollback-checked" in holds.get("Rollback", ()):
            yield op.Rival(op.Activate(other), op.Rollback(), "rollback-checked")
        if "announced" in holds.get("Promote", ()) and comparable(self, other):
            if "illegal" in self.session.description.outages:
                # However many were compared in this slot before, this one is shown to be better than that.
                yield op.Disturb(frontier="illegal")
            yield from (op.Activate(other), op.Rival(op.Activate(first), op.Promote(other, 0.5), "announced"))
            # What came too late has shown nothing.
            yield op.Activate(other, proven=True)
            # It comes back into the same hands, and somebody has decided all the same.
            back = (op.Activate(first),)
            yield from (op.Rival(op.Activate(other), op.Promote(other, 0.5), "announced", then=back), op.Disturb())
        if LOOKED in holds.get("Run", ()):
            # What was seen in the slot is not there any more, or cannot serve, when the first step is decided.
            yield from (op.Rival(act, op.Run(0, 1, 3), LOOKED) for act in (op.Activate(other), op.Disable(other)))
            yield from (op.Enable(other), op.Activate(first))
        if "announced" in holds.get("Run", ()):
            # Who is asked at this moment is needed, though no slot and no way back says so.
            away = (op.Disable(first), op.Prune(keep=0))
            yield from (op.Activate(first), op.Rival(op.Activate(other), op.Run(0), "announced", then=away))
            yield from (op.Enable(first), op.Activate(first))

    def _raced(self, choice: int) -> None:
        holds = self.session.description.holds.get("Run", ())
        if holds and self.can(op.Audit, op.Run):
            # Both witnesses are read while somebody is on the way from one to the other.
            self.tell((op.Rival(op.Audit(), op.Run(choice % 4), holds[choice % len(holds)]),))
        self.tell(self._meanwhile(choice))
        if self.can(op.Run):
            self.tell((at_once(self, op.Run(choice % 4), op.Run(choice % 3, 1, 2), apart=True, hold=choice),))
        for first in range(choice % 3, len(raceable(self, choice)), 3):
            acts = raceable(self, choice)
            one, two = acts[first % len(acts)], acts[(first + choice + 1) % len(acts)]
            self.tell((at_once(self, one, two, apart=one != two, hold=first + choice // 3),))
