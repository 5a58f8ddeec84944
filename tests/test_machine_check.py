"""What a stranger is told of an adapter before the machine runs: in sentences about the adapter, each once."""

import sys
from pathlib import Path

import pytest

from stepdown_machine import operations as op
from stepdown_machine.__main__ import main
from stepdown_machine.campaign import campaign
from stepdown_machine.check import faults
from stepdown_machine.machine import HandoffMachine
from stepdown_machine.starter import DeskSystem

ADAPTERS = """
import itertools
import threading
from dataclasses import replace

from stepdown_machine import operations as op
from stepdown_machine.starter import DeskSystem

NUMBERS = itertools.count()
OPEN = []


class Mute(DeskSystem):
    def describe(self):
        return None


class Needy(DeskSystem):
    def __init__(self, place):
        super().__init__()


class Imagining(DeskSystem):
    def describe(self):
        return replace(super().describe(), operations=frozenset((op.Run, int)))


class Pointing(DeskSystem):
    def describe(self):
        return replace(super().describe(), points={"Promote": ("compared",)})


class Wordy(DeskSystem):
    def observe(self, *, thorough=False):
        seen = super().observe()
        return replace(seen, steps=tuple(replace(step, at=str(step.at)) for step in seen.steps))


class Listing(DeskSystem):
    def observe(self, *, thorough=False):
        return replace(super().observe(), calls=[])


class Answering(DeskSystem):
    def _run(self, *asked):
        return super()._run(*asked).run


class Raising(DeskSystem):
    def _switch(self, operation, name):
        raise KeyError(name)


class Refusing(DeskSystem):
    def _export(self, asked):
        return super()._export(replace(asked, kept_only=True))


class Forgetting(DeskSystem):
    def perform(self, operation):
        if isinstance(operation, op.Disable):
            self.desk.rows.clear()
        return super().perform(operation)


class Silent(DeskSystem):
    def observe(self, *, thorough=False):
        return replace(super().observe(), steps=())


class Ageing(DeskSystem):
    def observe(self, *, thorough=False):
        seen = super().observe()
        return replace(seen, leftovers=("now",) if thorough and seen.steps else ())


class Random(DeskSystem):
    def _run(self, *asked):
        self.desk.environment["local"] = ("calm", "error")[next(NUMBERS) % 2]
        return super()._run(*asked)


class Leaking(DeskSystem):
    def __init__(self):
        super().__init__()
        OPEN.append(open(__file__))


class Clinging(DeskSystem):
    def close(self):
        raise OSError("still in use")
"""

SENTENCES = [
    ("Mute", "describe() of the adapter Mute gave NoneType; it must return a Description."),
    ("Needy", "could not be made (TypeError: "),
    ("Imagining", "describe().operations names <class 'int'>; stepdown_machine.operations has no such class."),
    ("Pointing", "describe().points names Promote, which describe().operations does not."),
    ("Wordy", ".steps[0].at is '1800000000.0' (str); it must be float."),
    ("Listing", "observe().calls is [] (list); it must be tuple[stepdown_machine.observed.Call, ...]."),
    ("Answering", "The answer to Run(seed=0, generations=1, candidates=2) is 'run-0' (str); it must be Ran."),
    ("Raising", "perform(Activate(bundle='model-"),
    ("Refusing", "is refused (no-records), though nothing stands against it"),
    ("Forgetting", "observe().steps forgot or changed what it had said before"),
    ("Silent", "observe().steps holds nothing new after perform(Run(seed=0, generations=1, candidates=2))"),
    ("Ageing", "observe() with thorough=True gives other leftovers"),
    ("Random", "The same story gives other steps the second time"),
    ("Leaking", "close() leaves 1 files open each time; give every one of them back."),
    ("Clinging", "close() raised OSError: still in use"),
    ("Mispelt", "The module mine has no Mispelt; see the spelling of the adapter 'mine:Mispelt'."),
]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(ADAPTERS, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)


@pytest.mark.parametrize(("name", "sentence"), SENTENCES)
def test_what_is_wrong_is_said_once_and_of_the_adapter(
    name: str, sentence: str, mine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", f"mine:{name}"]) == 1

    said = capsys.readouterr().out
    assert said.count(sentence) == 1, said
    assert len(said.splitlines()) <= 3, said
    assert "expected  " not in said


@pytest.mark.parametrize(
    "adapter", ["stepdown_machine.starter:DeskSystem", "stepdown_machine.broken.adapter:ToySystem"]
)
def test_nothing_is_said_of_an_adapter_that_keeps_the_protocol(
    adapter: str, mine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", adapter]) == 0

    assert capsys.readouterr().out == f"{adapter} keeps the protocol; point the machine at it.\n"


def test_what_init_writes_is_an_adapter_that_can_be_checked(
    mine: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "written", raising=False)

    assert main(["init", "written.py"]) == 0
    assert main(["check", "written:DeskSystem"]) == 0

    assert "stepdown-machine check written:DeskSystem" in capsys.readouterr().out
    assert sys.modules["written"].__file__ == str(tmp_path / "written.py")


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("mine.py", "mine.py is there already; name another file."),
        ("my-adapter.py", "my-adapter.py cannot be imported; name a file such as adapter.py."),
        ("nowhere/adapter.py", "nowhere/adapter.py cannot be written (No such file or directory)."),
    ],
)
def test_init_writes_over_nothing(file: str, sentence: str, mine: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", file]) == 1

    assert capsys.readouterr().err == f"stepdown-machine: {sentence}\n"


class Deskful(HandoffMachine):
    """The whole machine on the system that `init` writes."""

    def system(self) -> DeskSystem:
        return DeskSystem()


class Forgetful(Deskful):
    """And on one whose fallback switches the small model off for good."""

    def system(self) -> DeskSystem:
        made = DeskSystem()
        ask = made.desk.ask

        def asked(run: str, role: str, question: str) -> None:
            ask(run, role, question)
            if str(made.desk.rows[-1]["why"]).startswith("local-"):
                made.desk.models[made.desk.chosen or ""]["on"] = False

        made.desk.ask = asked  # type: ignore[method-assign]
        return made


def test_the_machine_is_green_on_the_system_that_init_writes_and_red_on_a_broken_one() -> None:
    assert campaign(Deskful, 0, examples=6, turns=12).claims == ()
    assert campaign(Forgetful, 0, examples=20).claims != ()


def test_a_check_tells_one_story_of_declared_operations_alone(mine: None) -> None:
    asked: list[op.Operation] = []

    class Noting(DeskSystem):
        def perform(self, operation: op.Operation) -> object:  # type: ignore[override]
            asked.append(operation)
            return super().perform(operation)

    sys.modules["mine"] = type(sys)("mine")
    sys.modules["mine"].Noting = Noting  # type: ignore[attr-defined]

    assert faults("mine:Noting") == []

    assert {type(each) for each in asked} == DeskSystem().describe().operations
    assert len(asked) < 120
