"""What the world stops in the middle says what stands and how the rest is done, as Ctrl-C does; and that does the rest."""

import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from journey import active
from small_base import make_gguf
from stepdown.acts import adopt
from stepdown.acts.opening import open_workspace
from stepdown.cli import main
from stepdown.training import child
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace
from test_full_disk import room

ADVICE = re.compile(r"`(stepdown [^`]+)`")


class World:
    """What goes wrong at a moment, and is mended again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mend: Callable[[], object] = lambda: None

    def locked(self) -> None:
        """Let another process hold the database."""
        other = sqlite3.connect(self.root / "stepdown.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        self.mend = other.close

    def full(self) -> None:
        """Let no file become longer."""
        full = room(1)
        full.__enter__()
        self.mend = lambda: full.__exit__(None, None, None)

    def traceless(self) -> None:
        """Let nobody write the trace."""
        trace = self.root / "trace.jsonl"
        trace.rename(self.root.parent / "trace.jsonl")
        trace.mkdir()

        def mend() -> None:
            trace.rmdir()
            (self.root.parent / "trace.jsonl").rename(trace)

        self.mend = mend


@pytest.fixture
def root(handed_down: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose competitor was handed down, closed, in which nobody waits long for a lock."""
    monkeypatch.setattr("stepdown.acts.opening.Settings", partial(Settings, busy_milliseconds=20))
    return Path(shutil.copytree(handed_down, tmp_path / "another place"))


@pytest.fixture
def world(root: Path) -> Iterator[World]:
    """A world that is whole again afterwards."""
    world = World(root)
    yield world
    with suppress(OSError):
        world.mend()


def stopped(
    line: str, world: World, trouble: str, point: str, passes: int, patch: pytest.MonkeyPatch,
    out: pytest.CaptureFixture[str],
) -> str:  # fmt: skip
    """Run a command whose world breaks at a point that it passes for the n-th time; return its one sentence."""
    left = [passes]

    def seen(passed: str) -> None:
        left[0] -= passed == point
        if passed == point and left[0] == 0:
            getattr(world, trouble)()

    ours, run = Workspace.reached, child.run

    def passing(workspace: Workspace, passed: str) -> None:
        ours(workspace, passed)
        seen(passed)

    def followed(module: str, arguments: list[str], limit: float, watch: Callable[[dict[str, object]], None]) -> object:
        return run(module, arguments, limit, lambda event: (watch(event), seen(str(event["event"]))))

    with patch.context() as broken:
        broken.setattr(Workspace, "reached", passing)
        broken.setattr(child, "run", followed)
        code = main([*shlex.split(line), "-w", str(world.root)])
    world.mend()
    world.mend = lambda: None
    said = out.readouterr().err
    assert code in (6, 7), said
    assert "Traceback" not in said
    (sentence,) = [part for part in said.splitlines() if part.startswith("stepdown: ")]
    return sentence


@pytest.mark.parametrize("trouble", ["locked", "full", "traceless"])
@pytest.mark.parametrize(
    ("line", "point", "passes", "stands"),
    [
        ("run --generations 2 --candidates 3 --seed 4", "step-finished", 2, r"0 of 2 generations and \d steps"),
        ("run --generations 2 --candidates 3 --seed 4", "generation-decided", 1, "1 of 2 generations and 3 steps"),
        ("promote BUNDLE --budget 64 --margin 0.01", "step-finished", 40, r"answers to \d+ of 64 seeds"),
    ],
)
def test_a_run_and_a_comparison_that_the_world_stops_say_how_they_go_on_and_that_does_the_rest(
    line: str, point: str, passes: int, stands: str, trouble: str, root: Path, world: World, settings: Settings,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (bundle,) = [each.name for each in (root / "bundles").iterdir()]

    sentence = stopped(line.replace("BUNDLE", bundle), world, trouble, point, passes, monkeypatch, capsys)

    assert re.search(stands, sentence), sentence
    advice = ADVICE.findall(sentence)[-1]
    assert "--resume" in advice
    assert main(shlex.split(advice)[1:]) in (0, 1), capsys.readouterr().err
    with open_workspace(root, settings=settings) as workspace:
        assert differences(workspace) == []
        assert active(workspace).id == bundle


@pytest.mark.parametrize(
    ("trouble", "point", "stands"),
    [("full", "weights-written", "Nothing of this training stands"), ("locked", "weights-written", "Nothing of this training")],
)  # fmt: skip
def test_a_training_that_the_world_stops_says_what_stands_and_what_it_says_does_the_rest(
    trouble: str, point: str, stands: str, root: Path, world: World, tmp_path: Path, settings: Settings,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "plan.json").write_text('{"iterations": 2, "seed": 7}')
    (dataset,) = [each.name for each in (root / "datasets").iterdir()]
    line = f"train {dataset} --plan {tmp_path / 'plan.json'}"

    sentence = stopped(line, world, trouble, point, 1, monkeypatch, capsys)

    assert re.search(stands, sentence), sentence
    assert main(shlex.split(ADVICE.findall(sentence)[-1])[1:]) in (0, 1), capsys.readouterr().err
    with open_workspace(root, settings=settings) as workspace:
        assert differences(workspace) == []


def test_a_tuning_whose_disk_is_full_names_its_checkpoint_and_goes_on_from_it(
    root: Path, world: World, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with open_workspace(root, settings=settings) as workspace:
        adopt.adopt(workspace, make_gguf(tmp_path / "small.gguf"))
    plan = tmp_path / "plan.json"
    plan.write_text('{"base":"small","iterations":4,"layers":-1,"rank":2,"checkpoint_every":1,"window":1024}')
    (dataset,) = [each.name for each in (root / "datasets").iterdir()]

    child_run = child.run

    def short(module: str, arguments: list[str], limit: float, watch: Callable[[dict[str, object]], None]) -> object:
        events = 0

        def until(event: dict[str, object]) -> None:
            nonlocal events
            watch(event)
            events += event["event"] == "progress"
            if events == 3:
                raise OSError(28, "No space left on device")

        return child_run(module, arguments, limit, until)

    with monkeypatch.context() as broken:
        broken.setattr(child, "run", short)
        assert main(["train", dataset, "--plan", str(plan), "-w", str(root)]) == 7
    sentence = capsys.readouterr().err

    assert re.search("The checkpoint [0-9a-f]{12} of a tuning stands", sentence), sentence
    assert main(shlex.split(ADVICE.findall(sentence)[-1])[1:]) == 0, capsys.readouterr().err
    assert list((root / "jobs").iterdir()) == []
