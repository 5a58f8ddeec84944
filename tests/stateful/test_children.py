"""What is around the system may fail; then it is set up anew, or says that it is broken, and nobody calls that a finding."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from multiprocessing import forkserver
from pathlib import Path

import pytest

from stateful import children, every_value
from stateful.adapter import StepdownSystem
from stateful.children import HarnessBrokenError
from stateful.test_handoff import StepdownMachine
from stepdown_machine import operations as op
from stepdown_machine.invariants import CLAIMS

RACE = op.Rival(op.Run(0), op.Audit())


@pytest.fixture
def system() -> Iterator[StepdownSystem]:
    made = StepdownSystem()
    made.perform(RACE)
    yield made
    made.close()


def end_the_server() -> None:
    """Kill the fork server and those that stand ready, as a machine does that has no memory left."""
    children.settle()
    for child, pipe in (called.result() for called in children.CALLED):
        pipe.close()
        child.kill()
    children.CALLED.clear()
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]


def test_a_fork_server_that_was_killed_is_started_again_and_told_where_it_is(system: StepdownSystem) -> None:
    children.settle()  # Whoever gets one ready tells it by the environment meanwhile.
    before = dict(os.environ)

    end_the_server()

    assert isinstance(system.perform(RACE), tuple)
    assert system.perform(op.Crash(op.Run(1), "announced")) is None
    children.settle()
    assert dict(os.environ) == before


def test_a_server_that_cannot_start_is_a_broken_harness_and_no_finding(
    system: StepdownSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Untold where it is, it ends while it loads: once that was taken for a fault of the system."""
    end_the_server()  # First: whoever gets a process ready tells it by the environment meanwhile, and takes that back.
    monkeypatch.setattr(children, "PAUSES", ())
    monkeypatch.setattr(children, "_telling", lambda _room: nullcontext())
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))

    def race(_machine: StepdownMachine) -> None:
        system.perform(RACE)

    monkeypatch.setattr(every_value, "STOPS", (race,))
    said = every_value.verdict(0, 0)
    children.settle()
    children.CALLED.clear()

    assert said == "broken harness in race: HarnessBrokenError"
    assert HarnessBrokenError.__name__ not in CLAIMS


def test_a_room_is_given_back_at_the_end_and_nothing_has_to_warn_of_it(tmp_path: Path) -> None:
    code = "from stateful.adapter import room\nprint(room())"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert "Implicitly cleaning up" not in ran.stderr
    assert not Path(ran.stdout.strip()).exists()
