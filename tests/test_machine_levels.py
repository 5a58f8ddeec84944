"""The least system that the machine can test, each capability alone and together, and what a description leaves out."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from stepdown_machine import operations as op
from stepdown_machine.broken.adapter import ToySystem
from stepdown_machine.campaign import CampaignOutcome, campaign
from stepdown_machine.capabilities import claims, reasons_of
from stepdown_machine.check import faults
from stepdown_machine.least import WAYS, Asked, Least, Tried
from stepdown_machine.machine import HandoffMachine, LearningMachine, RegistryMachine, RoutingMachine
from stepdown_machine.model import Ground, Model
from stepdown_machine.observed import Observation, Step
from stepdown_machine.protocol import SHOWN, START, Answer, Description
from stepdown_machine.rules.turns import TurnMachine

MACHINES = (HandoffMachine, RoutingMachine, LearningMachine, RegistryMachine)


class Counter(Least):
    """Somebody's counter: a cheap clerk answers, an expensive one when the cheap one is away, fails, or has lunch."""

    knows = frozenset(("bundle-disabled",))
    words: ClassVar[dict[str, str]] = {
        "cheap": "local", "dear": "frontier", "away": "bundle-disabled", "crashed": "local-error", "slow": "local-timeout",
        "mumbled": "local-invalid-output", "boom": "error", "late": "timeout", "unreadable": "invalid-output",
    }  # fmt: skip
    grounds = (Ground("lunch", lambda model, _role: 3600 <= (model.now - START) % 86400 < 7200),)
    failures = ("error", "timeout", "garbage")

    def __init__(self) -> None:
        self.now, self.on = 0.0, True
        self.moods = {"cheap": "calm", "dear": "calm"}
        self.rows: list[Asked] = []
        self.calls: list[Tried] = []

    def ask(self, _role: str, text: str) -> None:
        why = self.against()
        tried = [] if why else [self.call("cheap", text)]
        if not why and tried[0].error:
            why = {"boom": "crashed", "late": "slow", "unreadable": "mumbled"}[tried[0].error]
        if why:
            tried.append(self.call("dear", text))
        served = tried[-1] if not tried[-1].error else None
        self.rows.append(Asked(tuple(tried), served and served.target, served.text if served else "", why))

    def against(self) -> str | None:
        if not self.on:
            return "away"
        return "lunch" if 3600 <= self.now % 86400 < 7200 else None

    def call(self, clerk: str, text: str) -> Tried:
        name, mood = f"call-{len(self.calls)}", self.moods[clerk]
        said = {"error": ("boom", ""), "timeout": ("late", ""), "garbage": (None, "")}.get(
            mood, (None, f"{clerk}: {text}")
        )
        self.calls.append(Tried(name, clerk, *said))
        return self.calls[-1] if said != (None, "") else Tried(name, clerk, "unreadable")

    def switch(self, *, on: bool) -> None:
        self.on = on

    def mend(self, local: str, frontier: str) -> None:
        self.moods = {"cheap": local, "dear": frontier}

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def history(self) -> Sequence[Asked]:
        return self.rows

    def log(self) -> Sequence[Tried]:
        return self.calls


def tried(system: type[Least], machine: type[TurnMachine] = HandoffMachine, examples: int = 12) -> CampaignOutcome:
    made = type(f"{machine.__name__}Of{system.__name__}", (machine,), {"system": lambda _self: system()})
    return campaign(made, 1, examples=examples, turns=12)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda each: each.__name__)
def test_the_least_system_is_green_before_every_machine(machine: type[TurnMachine]) -> None:
    found = tried(Counter, machine)

    assert found.claims == (), found.output
    assert found.reach.routed["local"]


def test_its_adapter_has_about_sixty_lines_and_keeps_the_protocol() -> None:
    assert len([line for line in inspect.getsource(Counter).splitlines() if line.strip()]) <= 60
    assert faults(f"{__name__}:Counter") == []


def test_it_is_held_to_what_it_has_and_told_so() -> None:
    said = Counter().describe()

    assert reasons_of(said) == ("bundle-disabled", "local-error", "local-timeout", "local-invalid-output", "lunch")
    assert claims(said) == ("I1", "I2", "I3", "I4", "I10", "I11", "I12", "A0")
    assert "held to I1, I2, I3, I4, I10, I11, I12, A0" in tried(Counter).reach.summary()
    assert "canary-held" not in tried(Counter).reach.summary()


@pytest.mark.parametrize("left", [(), ("switch",), ("mend",), ("advance",), ("switch", "mend"), ("mend", "advance")])
def test_each_of_its_capabilities_stands_alone_and_beside_any_other(left: tuple[str, ...]) -> None:
    gone = {name: getattr(Least, name) for name in WAYS.keys() - {*left}}
    some = type("Some", (Counter,), gone)

    assert some().operations == {op.Run}.union(*(WAYS[name] for name in left))
    found = tried(some)
    assert found.claims == (), found.output


class Serving(Counter):
    """The cheap clerk answers although he is away."""

    def against(self) -> str | None:
        return None if not self.on else super().against()


class Lunching(Counter):
    """Nobody goes to lunch."""

    def against(self) -> str | None:
        return None if self.on else "away"


class Forgetful(Counter):
    """History forgets the clerk who failed first."""

    def history(self) -> Sequence[Asked]:
        return [replace(row, tried=row.tried[-1:]) for row in self.rows]


class Mute(Counter):
    """A request whose reply was garbage is answered with it."""

    def call(self, clerk: str, text: str) -> Tried:
        said = super().call(clerk, text)
        return replace(said, error=None) if said.error == "unreadable" else said


class Excused(Counter):
    """A failure is told as another one."""

    def ask(self, role: str, text: str) -> None:
        super().ask(role, text)
        if self.rows[-1].why == "slow":
            self.rows[-1] = replace(self.rows[-1], why="crashed")


@pytest.mark.parametrize(
    ("broken", "claim"), [(Serving, "I1"), (Lunching, "I1"), (Forgetful, "I4"), (Mute, "I1"), (Excused, "I3")]
)
def test_what_it_breaks_is_noticed(broken: type[Least], claim: str) -> None:
    found = tried(broken, examples=30)

    assert claim in found.claims, found.output or found.claims


class Blinkered(ToySystem):
    """The correct toy, which keeps one thing of itself from whoever looks."""

    def __init__(self, hidden: str) -> None:
        super().__init__()
        self._hidden = hidden

    def describe(self) -> Description:
        return replace(super().describe(), shows=SHOWN - {self._hidden})

    def observe(self, *, thorough: bool = False) -> Observation:
        seen = super().observe(thorough=thorough)
        seen = replace(seen, steps=tuple(without(step, self._hidden) for step in seen.steps))
        empty = Observation((), ())
        return replace(seen, **{self._hidden: getattr(empty, self._hidden)}) if hasattr(empty, self._hidden) else seen


def without(step: Step, hidden: str) -> Step:
    """Take what is not shown out of a step."""
    match hidden:
        case "requested" | "reason":
            return replace(step, **{hidden: ""})  # type: ignore[arg-type]
        case "objections":
            return replace(step, objections=())
        case "times":
            return replace(step, at=START)
        case "errors":
            return replace(step, error=None, attempts=tuple(replace(each, error=None) for each in step.attempts))
        case "weights":
            return replace(step, attempts=tuple(replace(each, weights=None) for each in step.attempts))
    return step


@pytest.mark.parametrize("hidden", sorted(SHOWN))
def test_what_a_system_does_not_show_is_not_held_against_it(hidden: str) -> None:
    machine = type("Hidden", (HandoffMachine,), {"system": lambda _self: Blinkered(hidden)})

    found = campaign(machine, 2, examples=6, turns=12)

    assert found.claims == (), found.output


WORDS = {
    "plans": "tiny-b", "failures": "error", "outages": "timeout", "damages": "flip", "plants": "newer-format",
    "policies": "shadow", "falsifiable": "cost", "bases": "another", "texts": "other",
}  # fmt: skip
"""A word of each kind that a description can leave out."""


class Narrow(ToySystem):
    """The correct toy, which does not know one word; it notes whatever it is asked to perform."""

    def __init__(self, kind: str, performed: list[op.Plain]) -> None:
        super().__init__()
        self._kind, self._performed = kind, performed

    def describe(self) -> Description:
        whole = super().describe()
        known = getattr(whole, self._kind)
        return replace(whole, **{self._kind: type(known)(each for each in known if each != WORDS[self._kind])})

    def perform(self, operation: op.Operation) -> Answer:
        self._performed += op.parts(operation)
        return super().perform(operation)


@pytest.mark.parametrize("kind", sorted(WORDS))
def test_no_word_is_said_that_a_system_does_not_know(kind: str) -> None:
    performed: list[op.Plain] = []
    machine = type("Narrowed", (HandoffMachine,), {"system": lambda _self: Narrow(kind, performed)})

    found = campaign(machine, 3, examples=12, turns=12)

    assert found.claims == (), found.output
    assert performed
    assert (kind, WORDS[kind]) not in {said for each in performed for said in _said(each)}


def _said(operation: op.Plain) -> list[tuple[str, object]]:
    """Name the words in an operation, each with its kind."""
    match operation:
        case op.SetPolicy(policy=policy):
            return [("policies", "shadow")] if policy.shadow else []
        case op.Disturb(local=local, frontier=frontier):
            return [("failures", local), ("outages", frontier)]
        case op.Damage(how=how):
            return [("damages", how)]
        case op.Plant(kind=kind):
            return [("plants", kind)]
        case op.Audit(falsified=what):
            return [("falsifiable", what)]
        case op.SetBase(base=base):
            return [("bases", base)]
        case op.Reword(text=text):
            return [("texts", text)]
        case op.Train(plan=plan):
            return [("plans", plan)]
    return []


def test_an_own_reason_reads_the_world_and_nothing_else() -> None:
    (lunch,) = Counter.grounds

    assert not lunch.due(Model(START), "competitor")
    assert lunch.due(Model(START + 3600), "competitor")
