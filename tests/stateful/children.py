"""Real processes: one that acts at the same time as this one, or that is killed on its way.

They come from a fork server that has everything loaded and has computed nothing (a process forked after mlx was used
hangs), so one costs some tens of milliseconds and not seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from stateful.weather import Weather, settings
from stepdown_machine import operations as op

LOADED = ("stateful.adapter", "stepdown.providers.search", "cmaes", "numpy", "scipy.special", "stepdown.local.decode")
"""What the server has imported. mlx among it is imported and never used there: only a use starts threads that a fork loses."""

REAL: Counter[str] = Counter()
"""What really happened in this process: `trainings` (a child process trained) and `kills` (a process died by SIGKILL)."""

PATIENCE = 60.0
"""Seconds of real time after which a child is hung, and that is a failure."""


@cache
def _server() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *LOADED])
    # The server is not told our sys.path before Python 3.13, and would pass over what it cannot import, silently.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    return context


@contextmanager
def process(
    root: Path, weather: Weather, cache_directory: Path, operation: op.Plain, kill_at: str | None = None
) -> Iterator[Connection]:
    """Start a process that opens the workspace and does one operation; yield the pipe it listens at.

    With `kill_at` it begins at once, and is killed at that point. Without, it waits for a word, does the operation and
    answers. At the end it must have ended well, or have been killed as it was told.
    """
    here, there = _server().Pipe()
    child = _server().Process(target=_work, args=(there, root, weather, cache_directory, operation, kill_at))
    child.start()
    there.close()
    try:
        yield here
        child.join(PATIENCE)
        wanted = {0, -signal.SIGKILL} if kill_at else {0}
        if child.exitcode not in wanted:
            raise AssertionError(f"the process doing {operation} ended with {child.exitcode}, not {wanted}")
        REAL["kills"] += child.exitcode == -signal.SIGKILL
    finally:
        here.close()
        if child.is_alive():
            child.kill()
        child.join()
        child.close()


def _work(
    pipe: Connection, root: Path, weather: Weather, cache_directory: Path, operation: op.Plain, kill_at: str | None
) -> None:
    from stateful.adapter import answered
    from stepdown.workspace import Workspace

    with Workspace.open(root, settings=settings(weather, cache_directory, kill_at)) as workspace:
        if kill_at is None:
            pipe.recv()
        answer = answered(workspace, operation)
    if kill_at is None:
        pipe.send(answer)
