"""Ctrl-C is answered with a sentence, however early or late it comes, and what it says to do does the rest."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from journey import active
from rotation import part
from small_base import make_gguf
from stepdown.acts import adopt
from stepdown.acts.opening import open_workspace
from stepdown.views.audit import differences
from stepdown.workspace import Settings

STOP = """
import sys
from importlib.abc import MetaPathFinder

class Stop(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt

from stepdown.cli import main
sys.meta_path.insert(0, Stop())
sys.exit(main({arguments!r}))
"""


@pytest.mark.parametrize("name", ["stepdown.cli.outermost", "typer", "sqlalchemy", "stepdown.acts.opening"])
def test_a_stop_while_modules_load_is_a_sentence(name: str, tmp_path: Path) -> None:
    program = STOP.format(name=name, arguments=["report", "-w", str(tmp_path)])
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.startswith("stepdown: Stopped.")
    assert "Traceback" not in ended.stderr


MIDWAY = """
import os, signal, sys
from stepdown.cli import main
from stepdown.training import child
from stepdown.workspace.workspace import Workspace

point, left = {point!r}, {passes!r}

def stop(reached):
    global left
    left -= reached == point
    if reached == point and left == 0:
        os.kill(os.getpid(), signal.SIGINT)

def passing(self, reached, ours=Workspace.reached):
    ours(self, reached)
    stop(reached)

def followed(module, arguments, limit, watch, run=child.run):
    def seen(event):
        watch(event)
        stop(event["event"])
    return run(module, arguments, limit, seen)

Workspace.reached, child.run = passing, followed
sys.exit(main({arguments!r}))
"""


def stopped(root: Path, line: str, point: str, passes: int) -> str:
    """Run a command that is sent a SIGINT when it reaches a point for the n-th time, and return its one sentence."""
    program = MIDWAY.format(point=point, passes=passes, arguments=[*shlex.split(line), "-w", str(root)])
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)

    assert (ended.returncode, ended.stdout) == (130, ""), ended.stderr
    (sentence,) = [part for part in ended.stderr.splitlines() if part.startswith("stepdown: ")]
    assert "Traceback" not in ended.stderr
    return sentence


def advised(sentence: str) -> subprocess.CompletedProcess[str]:
    """Do what a sentence says does the rest."""
    found = re.search("`stepdown ([^`]+)`", sentence)
    assert found is not None, sentence
    program = "import sys; from stepdown.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", program, *shlex.split(found[1])]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def root(handed_down: Path, tmp_path: Path) -> Path:
    """A workspace whose competitor was handed down, closed."""
    return Path(shutil.copytree(handed_down, tmp_path / "workspace"))


@pytest.mark.parametrize(
    ("line", "point", "passes", "stands"),
    part(
        [
            ("run --generations 2 --candidates 3 --seed 4", "announced", 1, "0 of 2 generations and 0 steps"),
            ("run --generations 2 --candidates 3 --seed 4", "step-finished", 6, "1 of 2 generations and 6 steps"),
            ("run --generations 2 --candidates 3 --seed 4", "generation-decided", 2, "2 of 2 generations"),
            ("promote BUNDLE --budget 64 --margin 0.01", "step-finished", 40, "answers to 40 of 64 seeds"),
            ("promote BUNDLE --budget 64 --margin 0.01", "announced", 1, "answers to 0 of 64 seeds"),
            ("train DATASET --plan tiny --fresh", "progress", 2, "Nothing of this training stands"),
            ("train DATASET --plan tiny --fresh", "weights-written", 1, "Nothing of this training stands"),
            ("train DATASET --plan PLAN", "bundle-registered", 1, "The bundle [0-9a-f]{12} stands"),
        ],
        of=2,
    ),
)
def test_a_stop_in_the_middle_says_what_stands_and_what_it_says_to_do_does_the_rest(
    line: str, point: str, passes: int, stands: str, root: Path, tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "plan.json").write_text('{"iterations": 2, "seed": 7}')
    (bundle,), (dataset,) = ([each.name for each in (root / room).iterdir()] for room in ("bundles", "datasets"))
    for word, value in (("BUNDLE", bundle), ("DATASET", dataset), ("PLAN", str(tmp_path / "plan.json"))):
        line = line.replace(word, value)

    sentence = stopped(root, line, point, passes)
    assert re.search(stands, sentence), sentence

    again = advised(sentence)
    assert again.returncode in (0, 1), again.stderr
    with open_workspace(root, settings=settings) as workspace:
        assert differences(workspace) == []
        assert active(workspace).id == bundle


def test_a_stop_of_a_tuning_names_its_checkpoint_and_goes_on_from_it(
    root: Path, tmp_path: Path, settings: Settings
) -> None:
    with open_workspace(root, settings=settings) as workspace:
        adopt.adopt(workspace, make_gguf(tmp_path / "small.gguf"))
    plan = tmp_path / "plan.json"
    plan.write_text('{"base":"small","iterations":4,"layers":-1,"rank":2,"checkpoint_every":1,"window":1024}')
    (dataset,) = [each.name for each in (root / "datasets").iterdir()]

    sentence = stopped(root, f"train {dataset} --plan {plan}", "progress", 3)
    assert re.search("The checkpoint [0-9a-f]{12} of a tuning stands", sentence), sentence

    again = advised(sentence)
    assert again.returncode == 0, again.stderr
    assert list((root / "jobs").iterdir()) == []
