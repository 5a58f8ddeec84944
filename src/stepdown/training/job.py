"""The parent's side of a training: start the child, follow it, stop it, and never believe it more than its files."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stepdown.bundles.disk import sync
from stepdown.bundles.kinds import KINDS
from stepdown.digest import canonical, digest
from stepdown.errors import InvalidValue, LocalError, TrainingFailed
from stepdown.scenarios import prompt
from stepdown.training import child
from stepdown.training.plan import Plan
from stepdown.training.tuning import AnyPlan


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
        base: Digest of the base that is tuned; empty for a net of our own.
    """

    dataset: str
    scenario: str
    role: str
    plan: AnyPlan
    backend: Mapping[str, Any]
    base: str = ""

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
                **({"base": self.base} if self.base else {}),
            }
        )


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a tuning needs besides its job.

    Attributes:
        base: The base's directory.
        checkpoint: Where checkpoints go; whoever trains the job again finds them there.
    """

    base: Path
    checkpoint: Path


def backend(plan: AnyPlan) -> dict[str, Any]:
    """Return what will multiply the matrices here: mlx's version and the BLAS, and mlx-lm's where it is at work.

    Raises:
        InvalidValue: mlx-lm is needed and not installed.
    """
    from stepdown.local.blas import cores, load_blas

    blas = load_blas()
    parts = {"mlx": version("mlx"), "blas": blas.name, "blas_config": blas.config}
    if isinstance(plan, Plan):
        return parts
    try:
        return {**parts, "mlx_lm": version("mlx-lm"), "threads": cores()}
    except PackageNotFoundError as error:
        raise InvalidValue(
            "Bases are tuned with mlx-lm: `pip install 'stepdown[tune]'`.", kind="mlx-lm-missing"
        ) from error


def check_schema(plan: AnyPlan, schema: Mapping[str, Any] | None) -> None:
    """Refuse to tune for replies that nobody could hold to their schema, before hours are spent on it.

    Raises:
        InvalidValue: The decoder cannot follow the schema.
    """
    if isinstance(plan, Plan) or not plan.constrained or schema is None:
        return
    from stepdown.local.constraint import compiled

    try:
        compiled(canonical(schema))
    except LocalError as error:
        raise InvalidValue(str(error), kind="schema-unusable") from error


def train(
    job: Job,
    dataset: Path,
    part: Path,
    time_limit: float,
    *,
    tuned: Tuned | None = None,
    resume: bool = False,
    cache: Path | None = None,
    watch: Callable[[Progress], None] = unwatched,
) -> dict[str, Any]:
    """Fill a directory with the weights of a job, by a real child process or from the cache of an earlier one.

    Args:
        job: What to train.
        dataset: The dataset's directory.
        part: A directory to make; it is nobody's bundle yet.
        time_limit: Seconds the child may take.
        tuned: The base, for a plan that tunes one.
        resume: Whether to go on from the last checkpoint.
        cache: Directory of finished trainings by job; None always trains.
        watch: Called with each progress report.

    Returns:
        The child's last report: losses and parameter count.

    Raises:
        InvalidValue: The time limit is no number of seconds.
        TrainingFailed: The child failed, was killed or took too long; with its last words.
    """
    child.check_time_limit(time_limit)
    kept = cache / job.digest if cache else None
    if kept is not None and (kept / DONE).exists():
        shutil.copytree(kept, part, ignore=shutil.ignore_patterns(DONE))
        stored: dict[str, Any] = json.loads((kept / DONE).read_text("utf-8"))
        return stored
    more = [] if tuned is None else _tuning(job, tuned, resume=resume)
    done = _run(job, dataset, part, time_limit, more, watch)
    if tuned is not None:
        # Nobody has to go on from what is finished.
        for path in tuned.checkpoint.parent.glob(f"{tuned.checkpoint.name}*"):
            shutil.rmtree(path, ignore_errors=True)
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


def _tuning(job: Job, tuned: Tuned, *, resume: bool) -> list[str]:
    """Return what a child that tunes is told besides."""
    options = ["--base", str(tuned.base), "--base-digest", job.base, "--checkpoint", str(tuned.checkpoint)]
    return [*options, "--resume"] if resume else options


def _run(
    job: Job,
    dataset: Path,
    part: Path,
    time_limit: float,
    more: Sequence[str],
    watch: Callable[[Progress], None],
) -> dict[str, Any]:
    plan = part.with_suffix(".plan")
    plan.write_text(job.plan.to_json(), "utf-8")
    arguments = ["--dataset", str(dataset), "--plan", str(plan), "--out", str(part), "--content", job.dataset]
    module = KINDS[job.plan.kind].trainer
    try:
        ending = child.run(module, [*arguments, *more], time_limit, lambda event: watch(_progress(event)))
    finally:
        plan.unlink(missing_ok=True)
    if ending.late:
        raise TrainingFailed(
            f"Training took more than {time_limit:g} s and was stopped; allow more time or plan less.",
            kind="training-timeout",
        )
    if ending.status != 0 or ending.done is None:
        raise TrainingFailed(f"The training child {ending.how}")
    return ending.done


def _progress(event: Mapping[str, Any]) -> Progress:
    return Progress(event["iteration"], event["iterations"], event["loss"])
