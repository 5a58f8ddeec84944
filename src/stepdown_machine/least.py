"""The least that can be tested, for an adapter of an afternoon: two targets, and who served, what was tried, and why.

    class Mine(Least):
        def __init__(self): ...                      # a fresh system whose first target is in use
        def ask(self, role, text): ...               # one request; the system answers it as it would for anybody
        def history(self): ...                       # one `Asked` for each request, oldest first, from what the system keeps
        def log(self): ...                           # one `Tried` for each call, from what the targets keep themselves

Each method more is a capability more, alone or with any other: `mend` and `switch`, `advance`. What is not overridden is not
asked. The first target is `local` to the machine, the second `frontier`. Everything above this level is
`protocol.HandoffSystem`: a subclass names what it `does` beside, and does it in `perform`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from stepdown_machine import operations as op
from stepdown_machine.model import Ground
from stepdown_machine.observed import Attempt, Call, Observation, Step
from stepdown_machine.protocol import START, Answer, Description, Origin
from stepdown_machine.values import Bundle, Policy, Ran, Refusal

TARGET = "first-target"
"""The first target's name among bundles."""
WAYS: dict[str, set[type]] = {"switch": {op.Disable, op.Enable}, "mend": {op.Disturb}, "advance": {op.Advance}}
"""What each method brings with it."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One call of a target.

    Attributes:
        call: Its id, the same in history and in the target's own log.
        target: Whose, in the system's own word.
        error: How it ended badly, in the system's own word; `None` where there was a reply.
        text: The reply.
    """

    call: str
    target: str
    error: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the system's history has it.

    Attributes:
        tried: Whom it asked, in order.
        served: Whose reply was given out; `None` where nobody's was.
        text: The reply.
        why: Why the first target did not serve, in the system's own word; only read where `states` says so.
    """

    tried: tuple[Tried, ...]
    served: str | None
    text: str = ""
    why: str | None = None


class Least:
    """A system of two targets; see the module. Class attributes say what a method cannot.

    Attributes:
        knows: Reasons that the system has a notion of, beside failures of the first target.
        words: Its own words, to the machine's; targets among them.
        grounds: Reasons of its own.
        failures: How the first target can be made to fail, of `protocol.FAILURES`; `outages` the second, of `OUTAGES`.
        states: Of `reason` and `errors`, what its history says.
        breaker: Values of its breaker, where `knows` has `local-cooldown`.
        does: Operations beside those that its methods bring with them.
        given, damages, holds: As in `protocol.Description`, for what it `does`.
    """

    knows: ClassVar[frozenset[str]] = frozenset(("bundle-disabled",))
    words: ClassVar[dict[str, str]] = {}
    grounds: ClassVar[tuple[Ground, ...]] = ()
    failures: ClassVar[tuple[str, ...]] = ("error", "timeout")
    outages: ClassVar[tuple[str, ...]] = ("error", "timeout")
    states: ClassVar[frozenset[str]] = frozenset(("reason", "errors"))
    breaker: ClassVar[Policy] = Policy()
    does: ClassVar[frozenset[type]] = frozenset()
    given: ClassVar[tuple[Bundle, ...]] = (Bundle(TARGET, "", START, 1.0, 1.0),)
    damages: ClassVar[tuple[str, ...]] = ()
    holds: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def ask(self, role: str, text: str) -> None:
        """Send one request, as anybody would; a request that fails is not an exception here."""
        raise NotImplementedError

    def history(self) -> Sequence[Asked]:
        """Return every request as the system remembers it, oldest first."""
        raise NotImplementedError

    def log(self) -> Sequence[Tried]:
        """Return every call as the targets themselves remember it, oldest first."""
        raise NotImplementedError

    def switch(self, *, on: bool) -> None:
        """Switch the first target on or off."""

    def mend(self, local: str, frontier: str) -> None:
        """Break the targets, or mend them: from now on each fails like this, or is `calm`."""

    def advance(self, seconds: float) -> None:
        """Move the system's clock."""

    @staticmethod
    def refuses(text: str) -> bool:
        """Tell whether a reply is garbage, which the system must not serve."""
        return not text

    @cached_property
    def room(self) -> Path:
        """A folder of the system's own, made when it is first looked at, gone when the system is closed."""
        return Path(tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-"))

    def close(self) -> None:
        """Give everything back."""
        if "room" in self.__dict__:
            shutil.rmtree(self.room)

    @property
    def operations(self) -> frozenset[type]:
        """What the subclass can do: what it overrides, and what it says that it does."""
        own = [kind for name, kind in WAYS.items() if getattr(type(self), name) is not getattr(Least, name)]
        return frozenset[type]({op.Run}).union(self.does, *own)

    def describe(self) -> Description:
        """Say it in the machine's terms."""
        failing = {f"local-{'invalid-output' if how in ('garbage', 'illegal') else how}" for how in self.failures}
        return Description(
            origin=Origin(type(self).__module__, type(self).__qualname__),
            operations=self.operations,
            given=self.given,
            damages=self.damages,
            holds=self.holds,
            roles=("competitor",),
            scores=False,
            refuses=type(self).refuses,
            validators=(),
            policies=frozenset(),
            policy=self.breaker,
            knows=self.knows | failing,
            grounds=self.grounds,
            words=self.words,
            failures=self.failures,
            outages=self.outages,
            shows=self.states,
        )

    def perform(self, operation: op.Operation) -> Answer:
        """Do one operation."""
        match operation:
            case op.Run(seed=seed, generations=generations, candidates=candidates):
                run = f"run-{len(self._asked())}"
                for number in range(generations * candidates):
                    self.ask("competitor", f"question {seed}.{number}")
                    self._asked().append(run)
                return Ran(run)
            case op.Disable(bundle=bundle) | op.Enable(bundle=bundle):
                if bundle != TARGET:
                    return Refusal("unknown-bundle")
                self.switch(on=isinstance(operation, op.Enable))
            case op.Disturb(local=local, frontier=frontier):
                self.mend(local, frontier)
            case op.Advance(seconds=seconds):
                self.advance(seconds)
        return None

    def observe(self, *, thorough: bool = False) -> Observation:  # noqa: ARG002 - nothing is remembered
        """Read history and the targets' own log anew."""
        rows, runs = self.history(), self._asked()
        return Observation(
            steps=tuple(
                _step(number, row, runs[number] if number < len(runs) else "nobody's")
                for number, row in enumerate(rows)
            ),
            calls=tuple(Call(each.call, each.target, True, each.error, None, each.text) for each in self.log()),
        )

    def _asked(self) -> list[str]:
        """Return the run of each request so far; a subclass need not know that its parent remembers anything."""
        runs: list[str] = self.__dict__.setdefault("_runs", [])
        return runs


def _step(number: int, row: Asked, run: str) -> Step:
    attempts = tuple(Attempt(each.call, each.target, each.error) for each in row.tried)
    return Step(
        step=f"request-{number}",
        run=run,
        generation=0,
        role="competitor",
        at=START,
        requested="",
        objections=(),
        reason=row.why,
        attempts=attempts,
        served=row.served,
        outcome="served" if row.served is not None else "failed",
        error=None if row.served is not None or not attempts else attempts[-1].error,
        text=row.text,
        matches=(),
        score=None,
    )
