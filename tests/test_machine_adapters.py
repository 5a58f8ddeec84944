"""What a stranger sees when adapter or folder is wrong: one sentence about it, and never instead of the finding."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from stepdown_machine.adapter import AdapterError, load
from stepdown_machine.broken.adapter import ToySystem
from stepdown_machine.campaign import CampaignOutcome, campaign
from stepdown_machine.failures import opened
from stepdown_machine.kill_matrix import VariantRun, machine_for, summary
from stepdown_machine.reach import Reach
from stepdown_machine.rules import turns as rule_turns
from stepdown_machine.session import Session

ADAPTERS = """
from stepdown_machine.broken.adapter import ToySystem

KEPT = []


class Mute(ToySystem):
    def describe(self):
        return None


class Blind:
    describe = ToySystem.describe

    def perform(self, operation):
        return None


class Blank(ToySystem):
    def observe(self, *, thorough=False):
        return None


class Shared(ToySystem):
    def __init__(self):
        super().__init__()
        KEPT.append(self._disk)
        self._disk = KEPT[0]
        self._toy = self._module.Toy(self._disk)


THING = 3
"""


def conformance(path: Path, adapter: str) -> subprocess.CompletedProcess[str]:
    (path / "mine.py").write_text(ADAPTERS, "utf-8")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(path), *filter(None, sys.path)]),
        "STEPDOWN_MACHINE_ADAPTER": adapter,
    }
    arguments = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--pyargs",
        "stepdown_machine.conformance",
    ]
    return subprocess.run(arguments, cwd=path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("adapter", "sentence"),
    [
        ("mine:Mute", "describe() of the adapter Mute gave NoneType; it must return a Description."),
        ("mine:Blind", "The adapter Blind has no observe, close(); see stepdown_machine.protocol for each."),
        ("mine:Blank", "observe() of the adapter Blank gave NoneType; it must return an Observation."),
        ("mine:Mispelt", "The module mine has no Mispelt; see the spelling of the adapter 'mine:Mispelt'."),
        ("nowhere:Mine", "The module of the adapter 'nowhere:Mine' cannot be imported (No module named 'nowhere')."),
        ("mine", "The adapter 'mine' must be named as module:name, such as my_package.adapter:MyAdapter."),
        ("mine:THING", "The adapter 'mine:THING' must be a class or function that makes a fresh system."),
    ],
)
def test_an_adapter_that_is_none_is_one_sentence_on_what_to_do(
    adapter: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(ADAPTERS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)

    with pytest.raises(AdapterError) as refusal:
        load(adapter)

    assert str(refusal.value) == sentence


def test_what_is_wrong_with_an_adapter_is_said_once_to_whoever_runs_the_conformance(tmp_path: Path) -> None:
    """One for all of them: whatever `load` refuses ends the collection."""
    ran = conformance(tmp_path, "mine:Blind")

    assert ran.returncode != 0
    assert ran.stdout.count("The adapter Blind has no observe, close()") == 1, ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
    assert len(ran.stdout.splitlines()) < 12, ran.stdout


def test_state_that_two_adapters_share_is_a_fault_of_the_adapter(tmp_path: Path) -> None:
    ran = conformance(tmp_path, "mine:Shared")

    assert "A fresh adapter Shared already holds" in ran.stdout
    assert "two adapters share state" in ran.stdout
    assert "expected  " not in ran.stdout


@pytest.mark.parametrize("blocked", ["a file", "below a file"])
def test_a_folder_that_takes_no_script_hides_no_finding(
    blocked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.setenv(
        "STEPDOWN_MACHINE_SCRIPTS", str(tmp_path / "file" / ("below" if blocked == "below a file" else ""))
    )

    found = campaign(machine_for("base-model-serves"), 0, examples=20)

    assert "expected  " in found.message
    assert "script      could not be written; name a folder that can be with --machine-scripts=DIR" in found.output


@pytest.mark.parametrize("broken", ["shorten", "script", "write", "spelled"])
def test_nothing_that_fails_while_a_failure_is_told_replaces_it(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("told badly")

    monkeypatch.setenv("STEPDOWN_MACHINE_SCRIPTS", str(tmp_path))
    monkeypatch.setattr(rule_turns, broken, fail)

    found = campaign(machine_for("base-model-serves"), 0, examples=20)

    assert "expected  " in found.message
    assert "RuntimeError" not in found.claims


class Clinging(ToySystem):
    """A toy that cannot be given back."""

    def close(self) -> None:
        raise OSError("still in use")


def test_a_system_that_cannot_be_given_back_hides_no_finding() -> None:
    machine = machine_for("correct")
    machine.system = lambda _self: Clinging()  # type: ignore[method-assign]
    machine = machine()
    machine.begin(start="empty")

    def end() -> None:
        try:
            raise AssertionError("the finding")
        finally:
            machine.teardown()

    with pytest.raises(AssertionError, match="the finding") as caught:
        end()

    assert "could not be given back either (OSError: still in use)" in caught.value.__notes__[0]


def test_a_system_that_cannot_be_tried_is_given_back() -> None:
    closed: list[bool] = []

    class Untold(ToySystem):
        def describe(self) -> None:  # type: ignore[override]
            return None

        def close(self) -> None:
            closed.append(True)

    with pytest.raises(AdapterError):
        opened(Untold())

    assert closed == [True]


def test_an_adapter_that_is_named_right_is_made() -> None:
    assert isinstance(load("stepdown_machine.broken.adapter:ToySystem"), ToySystem)


def test_a_first_test_of_a_stranger_is_green_when_every_warning_is_an_error() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = Session(load("stepdown_machine.broken.adapter:ToySystem"))
        session.close()
        assert campaign(machine_for("correct"), 0, examples=3).claims == ()


@pytest.mark.parametrize(("claims", "killed"), [(("I3",), True), (("ConnectionRefusedError",), False), ((), False)])
def test_only_what_an_invariant_says_is_a_kill(claims: tuple[str, ...], killed: bool) -> None:
    one = VariantRun("disabled-serves", 0, CampaignOutcome(claims, "", "", 1, None, Reach()), 1.0)

    assert one.killed is killed
    assert one.broken is ("ConnectionRefusedError" in claims)
    assert ("no kill: disabled-serves (ConnectionRefusedError)" in summary([one], shrunk=False)) is one.broken
