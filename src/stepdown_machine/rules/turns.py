"""Where rules act: one session for each example, counted, and written down when it fails."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ClassVar, TypeAlias, TypeVar

from hypothesis import strategies as st
from hypothesis.control import current_build_context, currently_in_test_context
from hypothesis.errors import StopTest, UnsatisfiedAssumption
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from stepdown_machine import operations as op
from stepdown_machine.capabilities import claims, reasons_of
from stepdown_machine.failures import claim_of, opened, telling
from stepdown_machine.findings import Disagreement
from stepdown_machine.model import objections
from stepdown_machine.protocol import VALIDATORS, Answer, HandoffSystem
from stepdown_machine.reach import REACHED, reach
from stepdown_machine.script import script, write
from stepdown_machine.session import Session
from stepdown_machine.shorten import LONGEST, Program, shorten, spelled

Rule = TypeVar("Rule", bound=Callable[..., None])
Episode: TypeAlias = Callable[[int], None]
"""A story that a machine can tell; the number, 0 to 14, varies its details."""


def turn(*needs: type, **strategies: Any) -> Callable[[Rule], Any]:
    """Make a rule of a method: counted when it runs, and written as a script when it fails.

    Args:
        needs: Operations of which the system must declare one, or the rule is not there; without any it always is.
        strategies: What the rule draws.
    """

    def decorate(method: Rule) -> Any:
        @wraps(method)
        def taken(self: TurnMachine, **drawn: Any) -> None:
            self.take_turn(method.__name__, drawn)
            with_script(self, method, drawn)

        rule_: Any = rule(**strategies)(taken)  # type: ignore[no-untyped-call]
        if needs:
            rule_ = precondition(lambda self: any(self.can(each) for each in needs))(rule_)
        rule_.stepdown_turn = needs
        return rule_

    return decorate


def with_script(machine: TurnMachine, method: Callable[..., None], drawn: dict[str, Any]) -> None:
    """Call a rule; whatever it raises is a failure, and is written down before it goes on."""
    try:
        method(machine, **drawn)
    except Exception as failure:
        with telling(failure, "script", "could not be written; name a folder that can be with --machine-scripts=DIR"):
            machine.write_script(failure)
        raise


@st.composite
def warm_ups(draw: st.DrawFn) -> tuple[tuple[str, int], ...]:
    """Draw nothing, or one time in four nearly every episode: all equally often, where chance would starve some.

    One number decides about each and what it is like, so that a shrunk program plays only those that it needs.
    """
    machine = draw(st.runner())
    if draw(st.integers(0, 3)) < 3:
        return ()
    drawn = [(word, draw(st.integers(0, 15))) for word in machine.episodes()]
    return tuple((word, choice - 1) for word, choice in drawn if choice)


class TurnMachine(RuleBasedStateMachine):
    """A session that rules share. Subclasses say which system, by overriding `system`."""

    session: Session
    last: ClassVar[Session | None] = None
    """The last session that failed, for those who run a machine by hand; it never influences what is drawn."""
    shortest: ClassVar[Program] = ()
    """Its program: the turns that it took."""
    shortens: ClassVar[bool] = True
    """Whether turns that a failing program does without are left out, at the end: no use to who only asks whether it fails."""
    replayed: ClassVar[bool] = False
    """Whether a program that failed is tried again, only to see whether it still does."""

    def system(self) -> HandoffSystem:
        """Return a fresh adapter. This is the one hook to override."""
        raise NotImplementedError(f"{type(self).__name__} does not say which system it tests; override system()")

    def episodes(self) -> dict[str, Episode]:
        """Name what may happen in an example before its first turn; each concern adds its own."""
        return {}

    @initialize(start=st.sampled_from(("empty", "discovered", "trained", *["serving"] * 13)), warm_up=warm_ups())
    def begin(self, start: str, warm_up: tuple[tuple[str, int], ...] = ()) -> None:
        """Open a fresh system, mostly one that serves locally already, sometimes one that went through nearly everything."""
        self._began, self._last = time.perf_counter(), ""
        self.program: Program = (("begin", {"start": start, "warm_up": warm_up}),)
        self.session = opened(self.system())
        with_script(self, TurnMachine._prepare, {"start": start})
        with_script(self, type(self).play_warm_up, {"warm_up": warm_up})

    def play_warm_up(self, warm_up: tuple[tuple[str, int], ...]) -> None:
        """Play the episodes that were drawn, before the first turn."""
        episodes = self.episodes()
        for word, choice in warm_up:
            episodes[word](choice)

    def _prepare(self, start: str) -> None:
        wanted = ("empty", "discovered", "trained", "serving").index(start)
        steps = (
            op.Run(0, 1, max(1, self.session.description.min_records)),
            op.Export(),
            op.Train("dataset-1", (*self.session.description.plans, "")[0]),
            op.Activate("bundle-1"),
        )
        for operation in steps[: (0, 1, 3, 4)[wanted]]:
            self.act(operation)

    def act(self, operation: op.Operation) -> Answer:
        """Perform one operation, judge it, count it; what the system does not declare is not performed and not answered.

        Everything that rules do to a system goes through here.
        """
        operation = self.session.fitted(operation)
        if not self.session.can(operation) or self._idle(operation):
            return None
        answer = self.session.act(operation)
        reach(type(self).__name__).notice(operation, self.session.reviews)
        return answer

    def _idle(self, operation: op.Operation) -> bool:
        """Tell whether damage is done to what is damaged, or undone where none was: what came before was not declared."""
        if not isinstance(operation, op.Damage | op.Restore):
            return False
        registered = self.session.registered(operation.bundle)
        return registered is not None and (registered.files == "whole") is isinstance(operation, op.Restore)

    def follow(self, runs: int) -> None:
        """Run so many times, to see what an act has done to routing.

        When local is out of the question once is enough, and not even once when the last step said the same.
        """
        must = objections(self.session.model, "competitor").must
        reasons = [one.step.reason for one in self.session.routed[-1:]]
        runs = min(runs, 0 if reasons == [must[0]] else 1) if must else runs
        for number in range(runs):
            # One question shows it as well as a run, sooner.
            self.act(op.Ask(number) if number and self.can(op.Ask) else op.Run(number))

    def question(self, choice: int) -> op.Ask:
        """Return one question, and now and then others: one that is kept for examinations, and one that is no case at all."""
        examined, strange = self.session.description.examined, self.session.description.strange
        kept = (*((examined[choice % len(examined)],) if examined else ()), *strange[:1])
        more = (*kept, choice % 3, choice % 4)[: min(choice % 4, self.session.description.questions - 1)]
        return op.Ask(choice % 4, more)

    def tell(self, story: Iterable[op.Operation]) -> None:
        """Perform one operation after the other, as far as the system can."""
        for operation in story:
            self.act(operation)

    def can(self, *operations: type) -> bool:
        """Tell whether the system performs these operations."""
        return all(map(self.session.can, operations))

    @property
    def validator(self) -> str:
        """The validator to which alone an illegal reply is illegal: the last that the description names."""
        return (self.session.description.validators or VALIDATORS)[-1]

    def take_turn(self, name: str, drawn: dict[str, Any]) -> None:
        """Remember a turn; count its rule and the one before it."""
        self.program = (*self.program, (name, drawn))
        seen = reach(type(self).__name__)
        seen.rules[name] += 1
        if self._last:
            seen.pairs[self._last, name] += 1
        self._last = name

    def write_script(self, failure: Exception) -> None:
        """Write what was done up to a failure; the path goes into the failure's notes.

        At the very end, when Hypothesis shows the smallest example it found, turns that it could not delete are left out.
        """
        if self.replayed:
            return
        session, shown, claim = self.session, failure, claim_of(failure)
        type(self).shortest = self.program
        if type(self).shortens and currently_in_test_context() and current_build_context().is_final:
            with telling(failure, "shorter", "this program could not be made shorter"):
                shorter = shorten(self.program, lambda program: claim_of(replay(type(self), program)[1]) == claim)
                again, repeated = replay(type(self), shorter)
                if shorter != self.program and again is not None and repeated is not None:
                    session, shown, type(self).shortest = again, repeated, shorter
                    failure.add_note("  shorter     " + "\n              ".join(spelled(shorter)))
        type(self).last = session
        title = f"{type(self).__name__} fails with {claim}."
        if shown is not failure:
            # One failure, in the numbers of the program that is shown.
            failure.args = shown.args
            if isinstance(failure, Disagreement) and isinstance(shown, Disagreement):
                failure.findings = shown.findings
        elif len(self.program) > LONGEST:
            failure.add_note(f"  shorter     not tried: {len(self.program)} turns are more than {LONGEST}")
        story = session.told(str(shown))
        text = script(self.session.description.origin, session.operations, f"{shown}\n\n{story}", title)
        failure.add_note(f"  script      {write(type(self).__name__, claim, text)}")
        failure.add_note(f"what was done, from a fresh system on:\n{story}")

    def teardown(self) -> None:
        """Look at everything once more, unless something failed before, and give the system back."""
        if not hasattr(self, "session"):
            return
        active = sys.exc_info()[1]
        try:
            if not self.session.failed and not isinstance(active, StopTest | UnsatisfiedAssumption):
                with_script(self, lambda machine: machine.session.look_again(), {})
        except Exception as failure:
            active = failure
            raise
        finally:
            self._close(active)
            self._count()

    def _close(self, active: BaseException | None) -> None:
        """Give the system back; what goes wrong with that is a note where something failed before."""
        if active is None or isinstance(active, StopTest | UnsatisfiedAssumption):
            self.session.close()
            return
        with telling(active, "close", "the system could not be given back either"):
            self.session.close()

    def _count(self) -> None:
        seen = reach(type(self).__name__)
        offered = {name for name, needs in turns(type(self)).items() if not needs or any(map(self.can, needs))}
        seen.offered = frozenset(offered)
        seen.reasons = reasons_of(self.session.description)
        seen.claims = claims(self.session.description)
        seen.sought = tuple(reason for reason in seen.reasons if reason in self.episodes())
        seen.examples += 1
        if isinstance(sys.exc_info()[1], StopTest | UnsatisfiedAssumption):
            # Early on, Hypothesis tries short examples on purpose and cuts those that want to be longer.
            overrun = current_build_context().data.status.name == "OVERRUN"
            seen.cut += overrun
            seen.aborted += not overrun
        seen.seconds += time.perf_counter() - self._began


def replay(machine: type[TurnMachine], program: Program) -> tuple[Session | None, Exception | None]:
    """Play a program on a fresh system, without Hypothesis; return the session and what it failed with, if it did.

    There is no session where no system could be made.
    """
    again = type(f"{machine.__name__}Again", (machine,), {"replayed": True})
    twin: TurnMachine = again()
    failed: Exception | None = None
    try:
        for name, drawn in program:
            getattr(twin, name)(**drawn)
        twin.session.look_again()
    except Exception as failure:
        failed = failure
    session = getattr(twin, "session", None)
    if session is not None:
        session.close()
    REACHED.pop(again.__name__, None)
    return session, failed


def turns(machine: type) -> dict[str, tuple[type, ...]]:
    """Name the rules of a machine, each with the operations of which it needs one."""
    needs_of = {name: getattr(getattr(machine, name), "stepdown_turn", None) for name in dir(machine)}
    return {name: needs for name, needs in needs_of.items() if needs is not None}
