"""Every command in a world that is half gone, and every command that does work on a stream that takes not all of it."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TextIO

import pytest

from journey import Hands, active, count, discover
from lived import interrupt
from rotation import part
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.cli import main
from stepdown.history import rows
from stepdown.training.promotion import Trial
from stepdown.views.audit import differences
from stepdown.workspace import Settings
from test_manners import FORMS, answered, shell

QUESTION = {"role": "user", "content": json.dumps({"enemy_spawn_bias": 0.5, "resource_density": 0.25})}
ANSWER = {"role": "assistant", "content": '{"aggression": 0.6, "defense": 0.4, "path_bias": 0.5}'}


@pytest.fixture(scope="module")
def left(handed_down: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which a run (`run-2`) and a comparison (`run-3`) were left in the middle, beside a log. Copy it."""
    base = tmp_path_factory.mktemp("left")
    shutil.copytree(handed_down, base / "workspace")
    settings = Settings(clock=Hands().clock, durability="normal", reached=interrupt)
    with suppress(KeyboardInterrupt), open_workspace(base / "workspace", settings=settings) as workspace:
        discover(workspace, seed=3, generations=1, candidates=2, frontier="search")
    with suppress(KeyboardInterrupt), open_workspace(base / "workspace", settings=settings) as workspace:
        promote(workspace, active(workspace).id, trial=Trial(margin=0.1, budget=32), frontier="search")
    with open_workspace(base / "workspace", settings=replace(settings, reached=lambda _: None)):
        pass
    (base / "old.jsonl").write_text(json.dumps({"messages": [QUESTION, ANSWER]}) + "\n", "utf-8")
    return base


def real(line: list[str], root: Path) -> list[str]:
    """Return a line with the names of what there really is."""
    (bundle,) = [path.name for path in (root / "bundles").iterdir()]
    (dataset,) = [path.name for path in (root / "datasets").iterdir()]
    names = {"0123456789ab": dataset if line[0] == "train" else bundle, "old.jsonl": str(root.parent / "old.jsonl")}
    return [names.get(word, word) for word in line]


WORKING = {
    "import": ["import", "old.jsonl", "--why", "façon d'être"],
    "ask": ["ask", '{"enemy_spawn_bias": 0.5, "resource_density": 0.25}'],
    "judge": ["judge", "run-1/1/0/1", "0.5", "--by", "zoë"],
    "init": ["init", "aufgäbe"],
    "run --resume": ["run", "--resume", "run-2"],
    "promote --resume": ["promote", "0123456789ab", "--resume", "run-3", "--budget", "32", "--margin", "0.1"],
    "train --resume": ["train", "0123456789ab", "--resume", "--plan", "tiny"],
    "history": ["history"],
}


@pytest.mark.parametrize("stream", ["latin-1", "ascii", "full", "pipe"])
@pytest.mark.parametrize("work", WORKING)
def test_no_work_minds_what_its_output_takes_and_it_is_done_all_the_same(
    work: str,
    stream: str,
    left: Path,
    tmp_path: Path,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = shutil.copytree(left / "workspace", tmp_path / "workspace")
    shutil.copy(left / "old.jsonl", tmp_path / "old.jsonl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPDOWN_WORKSPACE", str(root))
    if stream == "full" and not Path("/dev/full").exists():
        pytest.skip("There is no /dev/full here.")
    line = real(WORKING[work], root)
    before = told(root, settings)
    with bent(stream, tmp_path / "out") as taking:
        monkeypatch.setattr(sys, "stdout", taking)
        code = main(line)

    answered(
        code, (tmp_path / "out").read_text("latin-1") if stream in ("latin-1", "ascii") else "", capsys.readouterr().err
    )
    assert code == 74 if stream == "full" else code in (0, 1)
    assert work in ("history", "init", "train --resume") or told(root, settings) != before
    assert work != "init" or (tmp_path / "aufgäbe" / "stepdown.toml").exists()


def told(root: Path, settings: Settings) -> int:
    """Return how much history a workspace has; no audit may object to it."""
    with open_workspace(root, settings=settings) as workspace:
        assert differences(workspace) == []
        kinds = (rows.Step, rows.GivenScore, rows.Exchange, rows.Verdict, rows.Ending)
        return sum(count(workspace, kind) for kind in kinds)


@contextmanager
def bent(stream: str, place: Path) -> Iterator[TextIO]:
    """Open a stream that takes not everything."""
    if stream == "pipe":
        nobody, end = os.pipe()
        os.close(nobody)
        taking: TextIO = os.fdopen(end, "w")
    elif stream == "full":
        taking = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closed below, where it may refuse to be
    else:
        taking = place.open("w", encoding=stream)
    try:
        yield taking
    finally:
        with suppress(OSError):
            taking.close()


BENT = list(product(["import", "ask", "run --resume"], [">&-", "2>&-", "| head -c 1", ">/dev/full", "2>/dev/full"]))


@pytest.mark.parametrize(("work", "tail"), part(BENT, of=2))
def test_a_shells_bent_streams_stop_no_work(
    work: str, tail: str, left: Path, tmp_path: Path, settings: Settings
) -> None:
    if "full" in tail and not Path("/dev/full").exists():
        pytest.skip("There is no /dev/full here.")
    root = shutil.copytree(left / "workspace", tmp_path / "workspace")
    shutil.copy(left / "old.jsonl", tmp_path / "old.jsonl")
    before = told(root, settings)
    line = [word.replace("'", "’") for word in real(WORKING[work], root)]

    said = shell(line, tail, tmp_path, STEPDOWN_WORKSPACE=str(root))

    answered(said.returncode, said.stdout, said.stderr)
    assert said.returncode == (74 if tail in (">&-", ">/dev/full") else 0)
    assert tail == ">&-" or told(root, settings) != before


def emptied(path: Path) -> None:
    """Take the contents of a folder, or of a file."""
    if path.is_dir():
        shutil.rmtree(path)
        path.mkdir()
    else:
        path.write_bytes(b"")


def halved(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


LOSSES: dict[str, Callable[[Path], object]] = {
    **{f"{room} gone": lambda root, room=room: shutil.rmtree(root / room) for room in ("bundles", "datasets", "jobs")},
    **{f"{room} gone": lambda root, room=room: shutil.rmtree(root / room) for room in ("knowledge", "sessions")},
    **{f"{room} emptied": lambda root, room=room: emptied(root / room) for room in ("bundles", "datasets")},
    "every file of the bundle gone": lambda root: emptied(next((root / "bundles").iterdir())),
    "every file of the dataset gone": lambda root: emptied(next((root / "datasets").iterdir())),
    "half of the weights": lambda root: halved(next((root / "bundles").glob("*/model.safetensors"))),
    "half of the trace": lambda root: halved(root / "trace.jsonl"),
    "half of the database": lambda root: halved(root / "stepdown.db"),
    "the trace gone": lambda root: (root / "trace.jsonl").unlink(),
    "the marker gone": lambda root: (root / "workspace.json").unlink(),
    "the marker emptied": lambda root: emptied(root / "workspace.json"),
    "the database emptied": lambda root: emptied(root / "stepdown.db"),
    "all but the marker": lambda root: [
        each.unlink() for each in root.iterdir() if each.is_file() and each.suffix != ".json"
    ],
}


HALF_GONE = [(line, loss) for line in FORMS if line[0] not in ("demo", "init") for loss in LOSSES]


@pytest.mark.parametrize(
    ("line", "loss"), part(HALF_GONE, of=5), ids=lambda each: each if isinstance(each, str) else " ".join(each)
)
def test_a_workspace_that_is_half_gone_is_one_sentence_or_an_answer(
    line: list[str],
    loss: str,
    left: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = shutil.copytree(left / "workspace", tmp_path / "workspace")
    shutil.copy(left / "old.jsonl", tmp_path / "old.jsonl")
    monkeypatch.chdir(tmp_path)
    words = [*real(line, root), *(["--generations", "1", "--candidates", "1"] if line == ["run"] else [])]
    words += ["--plan", "tiny", "--time-limit", "30"] if line[0] == "train" else []
    words += ["--budget", "32"] if line[0] == "promote" else []
    LOSSES[loss](root)

    code = main([*words, "-w", str(root)])
    out, err = capsys.readouterr()

    answered(code, out, err)
    assert not any(word in out + err for word in ("Errno", "object at 0x"))
