"""The tutorial is what it shows: its blocks make one module, which is checked, tested and broken as it says."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import stepdown_machine
from stepdown_machine.campaign import campaign
from stepdown_machine.check import faults

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "tutorial-machine.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
STARTER = (Path(stepdown_machine.__file__).parent / "starter.py").read_text("utf-8")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module that somebody has who copied every block into one file."""
    (tmp_path / "tutored.py").write_text("\n\n".join(BLOCKS), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import tutored

    yield tutored
    del sys.modules["tutored"]


def test_its_adapter_is_the_one_that_init_writes() -> None:
    *adapter, _green, _broken = BLOCKS
    shown = "".join(adapter)

    assert all(block in STARTER for block in adapter)
    unshown = set(STARTER.splitlines()) - set(shown.splitlines())
    assert not any(line.startswith((" ", "class", "def")) for line in unshown), unshown


def test_its_system_has_about_sixty_lines() -> None:
    system = next(block for block in BLOCKS if block.startswith("class Desk:"))

    assert len([line for line in system.splitlines() if line.strip()]) <= 60


def test_its_adapter_keeps_the_protocol_and_its_system_every_promise(desk: ModuleType) -> None:
    assert faults("tutored:DeskSystem") == []
    assert campaign(desk.DeskMachine, 0, examples=5, turns=12).claims == ()
    assert desk.TestDesk.settings.max_examples


def test_what_it_breaks_is_found_as_it_shows(desk: ModuleType) -> None:
    (shown,) = re.findall(r"```\n(I\d.*?)```", TEXT, re.DOTALL)

    found = campaign(desk.GrudgingMachine, 0, profile_name="dev", shrink=True, examples=40)

    claim, says, did, *_ = shown.splitlines()
    assert found.message.splitlines()[:2] == [claim, says]
    assert did.split("step-")[0] in found.message
    assert found.turns <= 4
