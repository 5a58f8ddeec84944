"""Wherever a child is killed while it puts one checkpoint in the place of another, one of the two is there to go on from."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

pytest.importorskip("mlx.core")


class Killed(BaseException):
    """What no code of ours catches."""


_TOUCHES = ("open", "os.", "shutil.")
_armed: list[Callable[[str], None]] = []


def _hook(event: str, _: tuple[Any, ...]) -> None:
    if _armed and event.startswith(_TOUCHES):
        _armed[0](event)


@pytest.fixture(scope="module", autouse=True)
def _listening() -> None:
    sys.addaudithook(_hook)  # There is no way to take one away; disarmed it does nothing.


@contextmanager
def killed_before(touch: int) -> Iterator[list[str]]:
    """Let no more than so many touches of the disk happen; yield what was touched."""
    touched: list[str] = []

    def count(event: str) -> None:
        if len(touched) == touch:
            raise Killed
        touched.append(event)

    _armed.append(count)
    try:
        yield touched
    except Killed:
        pass
    finally:
        _armed.clear()


def _learned(steps: int) -> tuple[Any, Any]:
    """Return a net and its optimizer after so many steps."""
    import mlx.core as mx
    from mlx import nn, optimizers

    model, optimizer = nn.Linear(2, 2), optimizers.AdamW(learning_rate=0.1)
    optimizer.init(model.trainable_parameters())
    for _ in range(steps):
        optimizer.update(model, {"weight": mx.ones((2, 2)), "bias": mx.ones((2,))})
    mx.eval(model.parameters(), optimizer.state)
    return model, optimizer


class Listed(list[Any]):
    """The entries of a directory, closed like what the system gives."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("earlier", [True, False], ids=["the second", "the first"])
def test_a_child_that_is_killed_between_two_checkpoints_leaves_one_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: bool, backwards: bool
) -> None:
    from stepdown.local import checkpoint

    scandir = os.scandir

    def scanned(path: Any = ".") -> Listed:
        """Return the entries in an order: which one a file system has is its own affair."""
        with scandir(path) as entries:
            return Listed(sorted(entries, key=lambda entry: entry.name, reverse=backwards))

    monkeypatch.setattr(os, "scandir", scanned)
    came_to = []
    for touch in range(200):
        place = tmp_path / str(touch) / "job.checkpoint"
        if earlier:
            checkpoint.keep(*_learned(2), place, 2, [(2, 0.5)])
        model, optimizer = _learned(4)
        with killed_before(touch) as touched:
            checkpoint.keep(model, optimizer, place, 4, [(2, 0.5), (4, 0.25)])
        done, curve = checkpoint.resume(*_learned(0), place)
        assert curve == [(2, 0.5), (4, 0.25)][: done // 2]
        came_to.append(done)
        if len(touched) < touch:
            break
    else:
        pytest.fail("writing a checkpoint has no end")

    assert came_to == sorted(came_to)
    assert set(came_to) == ({2, 4} if earlier else {0, 4})
    assert len(came_to) > 10, "it was killed at every touch"
