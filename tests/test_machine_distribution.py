"""The machine is a distribution of its own: it needs Hypothesis, and knows nothing of the system that it is built beside."""

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNREACHABLE = (
    "Could not find a version",
    "No matching distribution",
    "Failed to establish a new connection",
    "timed out",
)

CAMPAIGN = """
from importlib.metadata import distributions
from importlib.util import find_spec

from stepdown_machine.campaign import campaign
from stepdown_machine.kill_matrix import machine_for

print(find_spec("stepdown"), sorted(each.metadata["Name"] for each in distributions()))
print(campaign(machine_for("correct"), 1, examples=4).claims, campaign(machine_for("disabled-serves"), 1).claims != ())
"""


def install(python: Path, folder: Path) -> None:
    """Install what a folder builds; where pip reaches no index, no test can ask for it."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", folder]
    done = subprocess.run(command, env=outside, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode and any(words in done.stdout + done.stderr for words in UNREACHABLE):
        pytest.skip(f"pip reaches no index here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def test_a_campaign_runs_where_there_is_nothing_but_hypothesis(tmp_path: Path) -> None:
    venv.create(tmp_path / "fresh", with_pip=False)
    python = tmp_path / "fresh" / "bin" / "python"
    install(python, ROOT / "machine")

    ran = subprocess.run([python, "-I", "-c", CAMPAIGN], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.stdout.splitlines() == ["None ['hypothesis', 'sortedcontainers', 'stepdown-machine']", "() True"], (
        ran.stderr
    )
    command = [python.with_name("stepdown-machine"), "check", "stepdown_machine.starter:DeskSystem"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    (installed,) = tmp_path.glob("fresh/lib/python*/site-packages/stepdown_machine")
    sources = ROOT / "src" / "stepdown_machine"
    held, made = ({path.relative_to(place) for path in place.rglob("*.py")} for place in (installed, sources))
    assert held == made


def stated(folder: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def test_it_depends_on_hypothesis_alone_and_is_licensed_alike() -> None:
    needs = stated(ROOT / "machine")["project"]["dependencies"]

    assert [word.split(">")[0] for word in needs] == ["hypothesis"]  # type: ignore[attr-defined]
    assert (ROOT / "machine" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_stepdown_ships_without_it() -> None:
    targets = stated(ROOT)["tool"]["hatch"]["build"]["targets"]  # type: ignore[index]

    assert targets["wheel"]["packages"] == ["src/stepdown"]
