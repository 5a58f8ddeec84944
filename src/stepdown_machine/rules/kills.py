"""Crashes between durable writes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.model.registered import OWN
from stepdown_machine.names import UNKNOWN
from stepdown_machine.orders import ASKED_AGAIN
from stepdown_machine.rules.picking import some
from stepdown_machine.rules.training import untrained
from stepdown_machine.rules.turns import Episode, TurnMachine, turn
from stepdown_machine.values import Policy

PLACES = st.integers(0, 7)
DECIDED = "generation-decided"
"""The point at which a run has decided on a generation, and did not begin the next one."""
VICTIMS = (
    op.Run, op.Activate, op.Disable, op.SetPolicy, op.SetValidator, op.Delete, op.Rollback, op.Promote, op.Judge,
)  # fmt: skip


def raceable(machine: TurnMachine, choice: int) -> tuple[op.Plain, ...]:
    """Return what can be raced, and killed, on things that exist where they do; removals are rare, as they last."""
    held = machine.session.model.slots.get("competitor")
    bundle = machine.session.names.name("bundle", held) if held else some(machine, "bundle", choice)
    other = machine.session.usable(choice) or bundle
    acts = (
        op.Run(choice % 4),
        op.Activate(other),
        op.Disable(bundle),
        op.Enable(bundle),
        op.SetPolicy(Policy(min_score=0.25)),
        op.Run(choice % 3, 1, 2),
        op.Activate(bundle),
        op.Delete(bundle) if choice == 5 else op.SetValidator(machine.validator, enabled=choice % 2 == 0),
        op.Rollback(),
        op.Prune(),
        op.Audit(),
        op.Judge(some(machine, "run", choice), 0, 0.5),
        *([op.Promote(other, 0.5)] if comparable(machine, other) else ()),
    )
    return tuple(each for each in acts if machine.can(type(each)))


def comparable(machine: TurnMachine, bundle: str) -> bool:
    """Tell whether a bundle's evaluation counts: of a killed comparison nobody would say how it was evaluated anew."""
    registered = machine.session.registered(bundle)
    model = machine.session.model
    counts = registered is not None and model.counts(registered) and not model.lapsed(registered, model.known)
    return registered is not None and registered.belongs and counts


def killable(machine: TurnMachine, choice: int) -> tuple[op.Plain, ...]:
    """Return what can be killed: whatever leaves more than one durable write."""
    acts = raceable(machine, choice)
    removal = op.Retire if choice % 2 else op.Delete
    removals = (removal(some(machine, "bundle", choice)),) if choice in (5, 6) else ()
    spared = () if machine.session.model.unsure else (op.Prune(),)
    # What leaves most behind comes first: it is reached soonest.
    victims = (
        op.Run(choice % 4, 1 + choice % 2, 1 + choice // 2 % 2),
        untrained(machine, choice),
        op.Export(include_local=choice % 2 == 0),
        *spared,
        machine.question(choice),
        *(each for each in acts[::-1] if isinstance(each, VICTIMS)),
        *removals,
    )
    return tuple(
        each
        for each in victims
        if type(each).__name__ in machine.session.description.points and machine.can(type(each))
    )


# Composite strategies, because `builds` would print as a call of a private function instead of the value.


@st.composite
def kills(draw: st.DrawFn) -> op.Crash:
    """Draw an operation to kill and the point to kill it at."""
    machine, choice, which = draw(st.runner()), draw(PLACES), draw(st.integers(0, 79))
    moments = list({_moment(each): each for each in _crashes(machine, choice)}.values())
    if not moments:
        return op.Crash(op.Run(choice % 4), "never")
    if which < 16:
        # Said directly, so that a shrunk program does not need the kills before it.
        return moments[which % len(moments)]
    # Hypothesis repeats itself within an example; a moment that was not killed yet comes first.
    killed = Counter(_moment(each) for each in machine.session.operations if isinstance(each, op.Crash))
    least = min(killed[_moment(each)] for each in moments)
    left = [each for each in moments if killed[_moment(each)] == least]
    return left[which % len(left)]


def _crashes(machine: TurnMachine, choice: int) -> list[op.Crash]:
    points = machine.session.description.points
    return [
        op.Crash(each, point)
        for each in killable(machine, choice)
        for point in points[type(each).__name__]
        if point != "checkpointed" or (isinstance(each, op.Train) and each.plan in machine.session.description.tuned)
    ]


def _moment(crash: op.Crash) -> tuple[str, str]:
    return type(crash.operation).__name__, crash.point


class Kills(TurnMachine):
    """Crashes between durable writes."""

    @turn(op.Crash, what=kills())
    def crash(self, what: op.Crash) -> None:
        """Kill the process in the middle of an operation, and reopen."""
        if self.session.description.points:
            self.act(what)
            self._go_on(what)

    def _go_on(self, what: op.Crash) -> None:
        """Go on with a run or a comparison that was killed; where there was none, be told that the last one is done."""
        if isinstance(what.operation, op.Promote):
            self._compare_on(what.operation)
        if not isinstance(what.operation, op.Run):
            return
        for run in self.session.names.of("run")[-1:]:
            version, text = self.session.model.version, self.session.model.text
            if what.point == "answered" or what.point == "called":
                # Half of it would be of one version or text, and half of another.
                self.tell((op.Revise(version + 1), op.Resume(run), op.Revise(version)))
                for other in self.session.description.texts[1:2] if text == OWN else ():
                    self.tell((op.Reword(other), op.Resume(run), op.Reword(OWN)))
            if "announced" in self.session.description.holds.get("Resume", ()):
                # Whoever opens the system meanwhile leaves a run alone that somebody goes on with, and nobody else does.
                self.act(op.Rival((op.Resume(run), op.Reopen())[what.operation.seed % 2], op.Resume(run), "announced"))
            self.act(op.Resume(run))

    def _compare_on(self, killed: op.Promote) -> None:
        """Go on with a comparison: after a run that taught something, and once more, though it is done then."""
        run = (self.session.names.of("run") or (UNKNOWN["run"],))[-1]
        again = replace(killed, resume=run)
        self.tell((op.Resume(run), op.Run(1), again, again, op.Audit()))
        others = (UNKNOWN["run"], *self.session.names.of("run")[:1])
        self.tell(replace(killed, resume=other) for other in others)

    def episodes(self) -> dict[str, Episode]:
        """Add a kill at one moment in four."""
        return {**super().episodes(), "be killed": self._killed, "be killed again": self._killed_again}

    def _killed(self, choice: int) -> None:
        met: set[tuple[str, str]] = set()
        while left := [crash for crash in _crashes(self, choice) if _moment(crash) not in met]:
            if len(met) % 4 == choice % 4:
                self.tell((left[0],))
                self._go_on(left[0])
            met.add(_moment(left[0]))
        if ASKED_AGAIN in self.session.description.points.get("Run", ()) and (name := self.session.usable(0)):
            # Local has failed, and the process dies while the frontier is asked.
            failing = op.Disturb(("error", "timeout", "load-failed", "garbage")[choice % 4])
            self.tell(
                (
                    op.SetPolicy(Policy()),
                    op.Activate(name),
                    failing,
                    op.Crash(op.Run(choice), ASKED_AGAIN),
                    op.Disturb(),
                )
            )

    def _killed_again(self, choice: int) -> None:
        """Kill a run in each of its generations, while others teach; it ends as one that nobody killed."""
        begun, again = (self.session.description.points.get(name, ()) for name in ("Run", "Resume"))
        points = [point for point in again if point in begun]
        if not points or not self.can(op.Crash, op.Resume, op.Run):
            return
        self.act(op.SetPolicy(Policy(mode="auto" if choice % 2 else "frontier-only")))
        self.act(op.Crash(op.Run(3 - choice % 4, 4, 4), points[choice % len(points)]))
        run = (self.session.names.of("run") or (UNKNOWN["run"],))[-1]
        self.tell(op.Crash(op.Resume(run), points[(choice + more) % len(points)]) for more in (1, 2))
        self.tell((op.Run(choice % 3),) if choice // 2 % 2 else ())
        if choice % 3 and "announced" in self.session.description.holds.get("Resume", ()):
            # It is whoever goes on with it now that must live, and nobody who did before.
            self.act(op.Rival(op.Reopen(), op.Resume(run), "announced"))
        self.tell((op.Resume(run), op.Report(run), op.Audit()))
        for seed in range(choice, choice + 9, 3) if DECIDED in points else ():
            # Now and then a generation is tried again, the process dies, and the next one goes astray: back it goes to what
            # the best of all was asked with, which nobody living has seen.
            self.act(op.Crash(op.Run(seed, 4, 1), DECIDED))
            run = (self.session.names.of("run") or (UNKNOWN["run"],))[-1]
            self.tell((op.Crash(op.Resume(run), DECIDED), op.Resume(run)))
        self.act(op.SetPolicy(Policy()))
