"""A child process that works beside its parent: started, followed, stopped in time, and never outliving who asked for it."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from stepdown.errors import InvalidValue

TAIL = 2000
"""Characters of a child's stderr that are kept."""
TRACE = "Traceback (most recent call last):"
_CLASS = re.compile(r"^[\w.]*(Error|Exception|Interrupt): ")
NOT_STARTED = 126
"""The status of what could not be executed, as a shell has it."""


@dataclass(frozen=True, slots=True)
class ChildExit:
    """How a child ended.

    Attributes:
        done: Its last event; None when it did not come so far.
        status: Its exit status; negative is the signal that killed it, `NOT_STARTED` says that it never ran.
        words: The end of what it said on stderr.
        late: Whether it was stopped because time was up.
    """

    done: dict[str, Any] | None
    status: int
    words: str
    late: bool

    @property
    def how(self) -> str:
        """How it ended, as a sentence goes on."""
        if self.status == NOT_STARTED:
            return f"could not be started: {self.words}"
        how = f"was killed by {signal.Signals(-self.status).name}" if self.status < 0 else f"ended with {self.status}"
        return f"{how}: {self.words or 'it said nothing'}"


def check_time_limit(seconds: float) -> None:
    """Refuse what no alarm can be set to.

    Raises:
        InvalidValue: It is no number of seconds.
    """
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise InvalidValue(f"A training's time limit is a number of seconds from 0 on, not {seconds!r}.")


def run(module: str, arguments: Sequence[str], time_limit: float, watch: Callable[[dict[str, Any]], None]) -> ChildExit:
    """Run a module of ours in a child process until it ends or time is up.

    Args:
        module: What Python runs; it takes `--parent`, prints events as JSON lines, and the last of them is `done`.
        arguments: Its other arguments.
        time_limit: Seconds.
        watch: Called with each event but the last.
    """
    command = [sys.executable, "-m", module, *arguments, "--parent", str(os.getpid())]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        try:
            child = _start(command, words)
        except OSError as error:
            # Another user's interpreter, no memory for one more process, a limit of them.
            return ChildExit(None, NOT_STARTED, error.strerror or str(error), late=False)
        late = threading.Event()
        alarm = threading.Timer(time_limit, _stop, (child, late))
        alarm.start()
        try:
            done = _follow(child.stdout, watch)
            status = child.wait()
        finally:
            alarm.cancel()
            _kill(child)
            if child.stdout is not None:
                child.stdout.close()
        words.seek(0)
        return ChildExit(done, status, last_words(words.read()), late.is_set())


def last_words(text: str) -> str:
    """Return the end of what a child said; of a failure that it did not foresee, what that says and not where it was."""
    said, trace, stack = text.strip().rpartition(TRACE)
    if not trace:
        return said[-TAIL:] or stack[-TAIL:]
    error = next((line for line in reversed(stack.splitlines()) if line and not line.startswith(" ")), "")
    return " ".join([*said.partition(TRACE)[0].splitlines(), _CLASS.sub("", error)]).strip()[-TAIL:]


def _start(command: Sequence[str], words: IO[str]) -> subprocess.Popen[str]:
    # A session of its own, so that the whole group can be killed and a Ctrl-C at the terminal reaches the parent only.
    # No terminal to read from either: nobody is asked anything in the middle of it.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=words,
        encoding="utf-8",
        start_new_session=True,
    )


def _follow(stdout: IO[str] | None, watch: Callable[[dict[str, Any]], None]) -> dict[str, Any] | None:
    """Read the child's events until it ends; return its `done` event."""
    done: dict[str, Any] | None = None
    for line in stdout or ():
        event = json.loads(line)
        if event["event"] == "done":
            done = event
        else:
            watch(event)
    return done


def _stop(child: subprocess.Popen[str], late: threading.Event) -> None:
    late.set()
    _kill(child)


def _kill(child: subprocess.Popen[str]) -> None:
    """Kill the child and whatever it started, and leave no zombie."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
