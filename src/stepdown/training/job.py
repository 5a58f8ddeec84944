"""The parent's side of a training: start the child, follow it, stop it, and never believe it more than its files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from stepdown.bundles.disk import sync
from stepdown.digest import digest
from stepdown.errors import InvalidValue, TrainingFailed
from stepdown.scenarios import prompt
from stepdown.training.plan import Plan

TAIL = 2000
"""Characters of the child's stderr that an error shows."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a child is.

    Attributes:
        iteration: Optimizer steps done.
        iterations: Steps in all.
        loss: Training loss, nats per token.
    """

    iteration: int
    iterations: int
    loss: float


def unwatched(_progress: Progress) -> None:
    """Show nobody."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training, complete: equal jobs give equal weights.

    Attributes:
        dataset: SHA-256 of what it learns from, the dataset's record files.
        scenario: Scenario it is for.
        role: Role it is for.
        plan: The plan.
        backend: mlx's version and the BLAS; other backends give other bytes.
    """

    dataset: str
    scenario: str
    role: str
    plan: Plan
    backend: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The job's identity."""
        return digest(
            {
                "dataset": self.dataset,
                "scenario": self.scenario,
                "role": self.role,
                "prompt_format": prompt.FORMAT,
                "plan": self.plan.digest(),
                "backend": self.backend,
            }
        )


def backend() -> dict[str, Any]:
    """Return what will multiply the matrices here: mlx's version and the BLAS."""
    from stepdown.local.blas import load_blas

    blas = load_blas()
    return {"mlx": version("mlx"), "blas": blas.name, "blas_config": blas.config}


def train(
    job: Job,
    dataset: Path,
    part: Path,
    *,
    time_limit: float,
    cache: Path | None = None,
    watch: Callable[[Progress], None] = unwatched,
) -> dict[str, Any]:
    """Fill a directory with the weights of a job, by a real child process or from the cache of an earlier one.

    Args:
        job: What to train.
        dataset: The dataset's directory.
        part: A directory to make; it is nobody's bundle yet.
        time_limit: Seconds the child may take.
        cache: Directory of finished trainings by job; None always trains.
        watch: Called with each progress report.

    Returns:
        The child's last report: losses and parameter count.

    Raises:
        InvalidValue: The time limit is no number of seconds.
        TrainingFailed: The child failed, was killed or took too long; with its last words.
    """
    if not 0 <= time_limit <= threading.TIMEOUT_MAX:
        raise InvalidValue(f"A training's time limit is a number of seconds from 0 on, not {time_limit!r}.")
    kept = cache / job.digest if cache else None
    if kept is not None and (kept / DONE).exists():
        shutil.copytree(kept, part, ignore=shutil.ignore_patterns(DONE))
        stored: dict[str, Any] = json.loads((kept / DONE).read_text("utf-8"))
        return stored
    done = _run(job, dataset, part, time_limit, watch)
    if kept is not None:
        _keep(part, kept, done)
    return done


DONE = "done.json"


def _keep(part: Path, kept: Path, done: Mapping[str, Any]) -> None:
    """Copy a finished training into the cache; whole or not at all, and the first of two equal ones stays."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=kept.parent))
    shutil.copytree(part, aside, dirs_exist_ok=True)
    (aside / DONE).write_text(json.dumps(done), "utf-8")
    sync(aside)
    try:
        aside.rename(kept)
    except OSError:
        shutil.rmtree(aside)


def _run(job: Job, dataset: Path, part: Path, time_limit: float, watch: Callable[[Progress], None]) -> dict[str, Any]:
    plan = part.with_suffix(".plan")
    plan.write_text(job.plan.to_json(), "utf-8")
    command = [sys.executable, "-m", "stepdown.local.fit", "--dataset", str(dataset)]
    command += ["--plan", str(plan), "--out", str(part), "--parent", str(os.getpid())]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        # A session of its own, so that the whole group can be killed and a Ctrl-C at the terminal reaches the parent only.
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, text=True, start_new_session=True)
        late = threading.Event()
        alarm = threading.Timer(time_limit, _stop, (child, late))
        alarm.start()
        try:
            done = _follow(child.stdout, watch)
            status = child.wait()
        finally:
            alarm.cancel()
            _kill(child)
            plan.unlink(missing_ok=True)
        if late.is_set():
            raise TrainingFailed(
                f"Training took more than {time_limit:g} s and was stopped; allow more time or plan less.",
                kind="training-timeout",
            )
        if status != 0 or done is None:
            raise TrainingFailed(_sentence(status, words))
    return done


def _follow(stdout: IO[str] | None, watch: Callable[[Progress], None]) -> dict[str, Any] | None:
    """Read the child's events until it ends; return its `done` event."""
    done: dict[str, Any] | None = None
    for line in stdout or ():
        event = json.loads(line)
        if event["event"] == "done":
            done = event
        else:
            watch(Progress(event["iteration"], event["iterations"], event["loss"]))
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


def _sentence(status: int, words: IO[str]) -> str:
    words.seek(0)
    tail = words.read()[-TAIL:].strip()
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    return f"The training child {how}: {tail or 'it said nothing'}"
