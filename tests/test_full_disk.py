"""A disk that takes no more, in the middle of anything: a sentence, and nothing half-written.

A limit on the size of a file stands for it: the system refuses the same writes, in this process and in its children.
"""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from journey import active, count
from stepdown.acts.opening import open_workspace
from stepdown.cli import main
from stepdown.history import rows
from stepdown.training.child import last_words
from stepdown.views.audit import differences
from stepdown.workspace import Settings

WORK = {
    "run": "run --generations 3 --seed 5",
    "export": "export --min-score 0.1 --matches",
    "train": "train DATASET --plan PLAN --fresh",
    "promote": "promote BUNDLE --budget 64",
    "evaluate": "bundles evaluate BUNDLE",
    "ask": "ask 3",
}


@contextmanager
def room(size: int) -> Iterator[None]:
    """Let no file become longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [3_000, 14_000, 60_000, 140_000])
@pytest.mark.parametrize("work", WORK)
def test_a_disk_that_takes_no_more_is_a_sentence_and_nothing_half_written(
    work: str, size: int, handed_down: Path, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(handed_down, tmp_path / "workspace")
    (tmp_path / "plan.json").write_text('{"iterations": 1}')
    words = {"DATASET": "datasets", "BUNDLE": "bundles"}
    names = {word: next((root / room).iterdir()).name for word, room in words.items()} | {
        "PLAN": str(tmp_path / "plan.json")
    }
    line = [names.get(word, word) for word in WORK[work].split()]

    with room(size):
        code = main([*line, "-w", str(root)])
    out, err = capsys.readouterr()

    assert code in (0, 1, 6, 7)
    assert "Traceback" not in out + err
    assert code < 2 or sum(part.startswith("stepdown: ") for part in err.splitlines()) == 1
    assert not any(word in err for word in ("Errno", "Error:", ".part"))
    with open_workspace(root, settings=settings) as workspace:
        assert differences(workspace) == []
        assert active(workspace).id == names["BUNDLE"]
        assert count(workspace, rows.Bundle) == len(list((root / "bundles").iterdir()))
        assert count(workspace, rows.Dataset) == len(list((root / "datasets").iterdir()))
        assert not (root / "unknown").exists()


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", ""),
        ("It has 3 records.\n", "It has 3 records."),
        (
            'Warming up.\nTraceback (most recent call last):\n  File "fit.py", line 3, in main\n    save()\n'
            "RuntimeError: [write] no room\n",
            "Warming up. [write] no room",
        ),
        (
            "Traceback (most recent call last):\n  File\nKeyError: 'a'\n\nDuring handling of it, another came:\n\n"
            "Traceback (most recent call last):\n  File\nValueError: no a\n",
            "no a",
        ),
        ("Traceback (most recent call last):\n  File\nKeyboardInterrupt\n", "KeyboardInterrupt"),
    ],
)
def test_of_a_child_that_failed_unforeseen_the_last_line_is_repeated_and_no_stack(said: str, kept: str) -> None:
    assert last_words(said) == kept
