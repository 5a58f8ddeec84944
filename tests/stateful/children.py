"""Real processes: one that acts at the same time as this one, or that is killed on its way.

They come from a fork server that has everything loaded and has not used mlx (a process forked after that hangs). What is
slow in a new process is its first look at everything, so two always stand ready that have had it; each is used once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import spawn
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from stateful.environment import ON_GRID, Environment, settings
from stepdown_machine import operations as op
from stepdown_machine.values import Policy

LOADED = (
    "stateful.adapter",
    "stepdown.providers.search",
    "cmaes",
    "numpy",
    "scipy.special",
    "stepdown.local.decode",
    "stateful.served",
    *(() if ON_GRID else ("openai", "anthropic", "stepdown.providers.wire")),
)
"""What the server has imported. mlx among it is imported and never used there: only a use starts threads that a fork loses."""

REAL: Counter[str] = Counter()
"""What really happened in this process: `trainings` (a child process trained) and `kills` (a process died by SIGKILL)."""

PATIENCE = 60.0
"""Seconds of real time after which a child is hung, and that is a failure."""
HELD = "held"
"""What a process says at the point where it waits for another one to act. Its last word is its answer, and what was wrong."""


SAID = "said"
"""Where a coach's step has ended, and nobody has learned of it: the first step that ends after a generation was decided."""


class HarnessBrokenError(Exception):
    """What is around the system failed, so nothing was seen of the system: no campaign counts this as found."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What a process is sent to do, once.

    Attributes:
        root: Of the workspace that it opens.
        environment: Around it.
        cache: Finished trainings.
        operation: What it does there.
        kill_at: The point at which it is killed; None for one that waits for a word, acts, and answers.
        politely: Whether it is only interrupted there, as by Ctrl-C, and may put its things in order.
        hold_at: The point at which it says so and waits for another word, once.
    """

    root: Path
    environment: Environment
    cache: Path
    operation: op.Plain
    kill_at: str | None = None
    hold_at: str | None = None
    politely: bool = False


@contextmanager
def process(room: Path, errand: Errand) -> Iterator[Connection]:
    """Send a process on an errand, and yield the pipe it listens at: its word, if it waits for one, has to come there.

    At the end it must have ended well, or have been killed as it was told.
    """
    child, pipe = _ready(room)
    try:
        pipe.send(errand)
        if errand.kill_at is None:
            assert said(pipe, errand) == "open"
        yield pipe
        child.join(PATIENCE)
        if child.exitcode == UNKNOWN:
            raise HarnessBrokenError(
                f"The fork server ended before it could tell how the process doing {errand.operation} did."
            )
        wanted = {0, -signal.SIGKILL} if errand.kill_at else {0}
        if child.exitcode not in wanted:
            raise AssertionError(f"the process doing {errand.operation} ended with {child.exitcode}, not {wanted}")
        REAL["kills"] += child.exitcode == -signal.SIGKILL
    finally:
        pipe.close()
        if child.is_alive():
            child.kill()
        child.join()
        child.close()
        _call(room)


def said(pipe: Connection, errand: Errand) -> Any:
    """Return the next word of a process; one that says nothing for too long, or ends without one, is a failure."""
    assert pipe.poll(PATIENCE), f"the process doing {errand.operation} is hung"
    try:
        return pipe.recv()
    except EOFError:
        # It says on its standard error what it ended with.
        raise AssertionError(f"the process doing {errand.operation} ended without a word") from None


CALLER = ThreadPoolExecutor(1, "caller")
CALLED: list[Future[tuple[BaseProcess, Connection]]] = []
"""Processes that get ready for the next errands while nobody waits for them: kills come in rows."""


PAUSES = (0.1, 1.0)
"""Seconds before a process that could not be started is started again."""
UNKNOWN = 255
"""What multiprocessing says of a process whose fork server has ended; none of ours ends so."""


def _ready(room: Path) -> tuple[BaseProcess, Connection]:
    """Return the process that has been ready longest, with its pipe; that none could be started is no finding."""
    _call(room)
    try:
        return CALLED.pop(0).result(PATIENCE)
    except (OSError, EOFError, TimeoutError) as error:
        raise HarnessBrokenError(f"No process could be got ready ({type(error).__name__}: {error}).") from error


def _call(room: Path) -> None:
    while len(CALLED) < 2:
        CALLED.append(CALLER.submit(_another, room))


def settle() -> None:
    """Wait until those that were called have come, so that what this process holds is always the same between examples."""
    wait(CALLED, PATIENCE)


def _another(room: Path) -> tuple[BaseProcess, Connection]:
    """Start a process that gets ready, and return it with the pipe it listens at."""
    context = _context()
    here, there = context.Pipe()
    # A daemon: the last one is never sent anywhere, and must not keep this process from ending.
    child = context.Process(target=_stand_ready, args=(there, room), daemon=True)
    # Whenever the server has ended, whoever needs it starts another one: that has to be told what the first one was.
    with _telling(room):
        for pause in PAUSES:
            try:
                child.start()
                break
            except (OSError, EOFError):
                # The server ended just then; it is missed only when it is gone.
                time.sleep(pause)
        else:
            child.start()
    there.close()
    return child, here


@cache
def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    return context


@contextmanager
def _telling(room: Path) -> Iterator[None]:
    """Tell a server that starts meanwhile where it is, by its environment."""
    # The server is not told our sys.path before Python 3.13, and would pass over what it cannot import, silently.
    told = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "STEPDOWN_MACHINE_ROOM": str(room),
        "STEPDOWN_MACHINE_MAIN": _main(),
    }
    before = dict(os.environ)
    os.environ.update(told)
    try:
        yield
    finally:
        for name in told:
            os.environ.pop(name) if name not in before else os.environ.update({name: before[name]})


def _main() -> str:
    """Say what a child would take for its main module: a path or a name."""
    told = spawn.get_preparation_data("")
    return str(told.get("init_main_from_path") or told.get("init_main_from_name") or "")


def _stand_ready(pipe: Connection, room: Path) -> None:
    """Look at everything once, then wait for the errand and run it."""
    from stateful.doing import answered
    from stateful.rehearsal import rehearse
    from stepdown.acts.opening import open_workspace

    rehearse(room, lambda workspace: answered(workspace, op.SetPolicy(Policy(min_score=0.5))))
    try:
        errand: Errand = pipe.recv()
    except EOFError:
        # Nobody had an errand any more: who called has ended.
        return
    told = settings(errand.environment, errand.root, errand.cache, _stop(errand, pipe))
    try:
        with open_workspace(errand.root, settings=told) as workspace:
            if errand.kill_at is None:
                pipe.send("open")
                pipe.recv()
            answer = answered(workspace, errand.operation)
    except KeyboardInterrupt:
        if not errand.politely:
            raise
        answer = None
    if errand.kill_at is None:
        pipe.send((answer, errand.environment.wrong))
        return
    assert not errand.environment.wrong, errand.environment.wrong[0]


def _stop(errand: Errand, pipe: Connection) -> Callable[[str], None]:
    """Return what kills or holds this process at its point."""
    ahead, decided = [errand.hold_at], list[str]()

    def reached(point: str) -> None:
        if point == "generation-decided":
            decided.append(point)
        elif point == "step-finished" and decided and SAID in (errand.kill_at, errand.hold_at):
            point = SAID
        if point == errand.kill_at:
            if errand.environment.wrong:
                # Nothing comes back from the killed: this is said, and the process ends otherwise than it should.
                sys.stderr.write(f"{errand.environment.wrong[0]}\n")
                os._exit(1)
            if errand.politely:
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGKILL)
        if point in ahead:
            ahead.clear()
            pipe.send(HELD)
            errand.environment.now += pipe.recv()

    return reached
