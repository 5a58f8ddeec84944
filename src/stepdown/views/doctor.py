"""What stepdown stands on here, looked at and not assumed."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import text

from stepdown import __version__
from stepdown.acts.opening import open_workspace
from stepdown.errors import LocalError, StepdownError, WorkspaceError
from stepdown.history import migrate, reader, rows, urls
from stepdown.providers import installed as frontiers
from stepdown.scenarios import installed as scenarios
from stepdown.scenarios import judging, roles
from stepdown.scenarios.guard import guarded
from stepdown.scenarios.harness import coverage
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.tasks import Task
from stepdown.training import child
from stepdown.training.evaluation import held_out_seeds
from stepdown.views.damage import unsound
from stepdown.views.losses import lost_bundles, lost_datasets
from stepdown.workspace import Workspace
from stepdown.workspace.marker import DATABASE, FOLDERS, NAME, Marker, absent, present
from stepdown.workspace.task import read as read_task
from stepdown.workspace.unknown import unknown

PACKAGES = ("mlx", "mlx-lm", "llguidance", "tokenizers", "sqlalchemy", "alembic", "cmaes", "scipy")
OPTIONAL = frozenset({"mlx-lm", "llguidance"})
SHOWN = 5
"""Things of unknown origin that are named one by one."""
DEVICE_LIMIT = 60.0
"""Seconds that trying mlx may take."""
LOW_DISK = 200 << 20
"""Bytes: less than a training of the default plan and its cache may take."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        good: Whether stepdown can work with it.
        finding: What was found, and what to do if it is wrong.
    """

    name: str
    good: bool
    finding: str


def examine(directory: Path) -> list[Check]:
    """Look at the installation, the machine and, if there is one, the workspace."""
    checks = [Check("stepdown", True, f"{__version__} on Python {platform.python_version()}, {platform.platform()}")]
    checks += [_package(name) for name in PACKAGES]
    checks += [_guarded("blas", _blas), _guarded("local", _device), *_scenarios(), *_frontiers()]
    checks += _task(directory)
    try:
        is_workspace = present(directory)
    except WorkspaceError as error:
        return [*checks, Check("workspace", False, str(error))]
    if is_workspace:
        checks += _workspace(directory)
    else:
        checks.append(Check("workspace", not (directory / DATABASE).is_file(), str(absent(directory))))
    return checks


def _scenarios() -> Iterator[Check]:
    """Load every installed scenario, and let it show a question and read its own probes."""
    if not scenarios.names():
        yield Check("scenarios", False, "none: reinstall")
    for name in scenarios.names():
        yield _guarded(f"scenario {name}", partial(_tried, name))


def _tried(name: str) -> str:
    scenario = scenarios.scenario_named(name)
    role = roles.proposer(scenario)
    seeds = held_out_seeds(scenario)
    guarded(scenario, "rendering a prompt", lambda: role.prompt and role.prompt(Knowledge(), seeds[0]))
    covered = guarded(scenario, "judging its probes", lambda: coverage(scenario, scenario.validators))
    return f"version {scenario.version}, {len(seeds)} held-out seeds, coverage {covered:.0%} with every validator on"


def _frontiers() -> Iterator[Check]:
    for name in frontiers.names():
        yield _guarded(f"frontier {name}", partial(_loaded, name))


def _loaded(name: str) -> str:
    return str(frontiers.factory(name).__module__)


def _task(directory: Path) -> Iterator[Check]:
    """Read the task beside the workspace, if there is one, and see whether the model that judges it could be asked."""
    try:
        task = read_task(directory.absolute().parent)
    except StepdownError as error:
        yield Check("task", False, str(error))
        return
    if task is None:
        return
    yield Check(f"task {task.name}", True, f"{len(task.cases)} cases, {len(task.holdout_seeds())} of them held out")
    judge = judging.of(task)
    if judge is not None:
        yield _guarded("judge", lambda: _judge(task, judge))


def _judge(task: Task, judge: judging.Judging) -> str:
    frontiers.frontier_named(judge.word, task)
    return f"{judge.word} can be asked"


def _package(name: str) -> Check:
    try:
        return Check(name, True, version(name))
    except PackageNotFoundError:
        return Check(
            name,
            name in OPTIONAL,
            "not installed" + (" (only needed for pretrained bases)" if name in OPTIONAL else ""),
        )


def _blas() -> str:
    from stepdown.local.blas import load_blas

    blas = load_blas()
    return f"{blas.name}: {blas.config}" + (f" ({blas.path})" if blas.path else "")


def _device() -> str:
    """Say on which device a bundle would answer, as a child found it: this process imports no mlx for that."""
    ending = child.run("stepdown.local.device", [], DEVICE_LIMIT, lambda _: None)
    if ending.status == LocalError.exit_code:
        raise LocalError(ending.words)
    if ending.done is None:
        # Where this user may not even start Python anew, that says nothing of mlx.
        return f"not known: the child that tries mlx {ending.how}"
    return f"bundles answer on the {ending.done['device']}"


def _guarded(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except (StepdownError, OSError, ImportError) as error:
        return Check(name, False, str(error))


def _workspace(directory: Path) -> Iterator[Check]:
    try:
        with open_workspace(directory) as workspace:
            finding = f"{workspace.root}{', only to be read: nothing is recovered' if workspace.read_only else ''}"
            yield Check("workspace", True, finding)
            yield _guarded("database", lambda: _database(workspace))
            yield from _remembered(workspace)
            yield from _rooms(workspace)
            yield from _history(workspace)
    except StepdownError as error:
        yield Check("workspace", False, str(error))
    yield _free(directory)


def _history(workspace: Workspace) -> list[Check]:
    """Say what history knows and the disk does not hold, or that somebody else wrote in it."""
    damaged = unsound(workspace)
    if damaged is not None:
        return [Check("history", False, str(damaged))]
    return [_guarded("trace", lambda: _trace(workspace)), *_published(workspace)]


def _free(directory: Path) -> Check:
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        return Check("disk", False, f"{directory} cannot be looked at: {error.strerror}")
    return Check("disk", free > LOW_DISK, f"{free >> 20} MiB free")


def _remembered(workspace: Workspace) -> Iterator[Check]:
    """Say what an earlier version stored, and this one would not."""
    marker = Marker.read(workspace.root)
    if marker is not None and marker.database is not None:
        try:
            urls.check_memorable(marker.database)
        except StepdownError as error:
            yield Check("database URL", False, f"{error} Take it out of {workspace.root / NAME}.")


def _trace(workspace: Workspace) -> str:
    """Say whether the second witness is there; a lost one is begun anew by the next call, and only the audit would miss it."""
    with workspace.reading() as connection:
        judged = reader.newest(connection, rows.PlayedMatch)
    size = workspace.trace.stat().st_size if workspace.trace.exists() else 0
    if judged is not None and not size:
        raise OSError(f"{workspace.trace} is gone, and history has answers that were judged; restore a copy of it")
    return f"{size >> 10} KiB"


def _published(workspace: Workspace) -> Iterator[Check]:
    """Say which bundles and datasets history knows and the disk does not hold whole, and what to do about it."""
    wanted = (
        (
            "bundles",
            lost_bundles,
            "Put a copy back, or train and promote another; `stepdown bundles delete` ends a lost one",
        ),
        ("datasets", lost_datasets, "Put a copy back, or `stepdown export` again; what was trained from it stands"),
    )
    for name, lost, advice in wanted:
        problems = list(lost(workspace))
        if problems:
            more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
            yield Check(name, False, f"{'; '.join(problems[:SHOWN])}{more}. {advice}.")


def _rooms(workspace: Workspace) -> Iterator[Check]:
    """Say which rooms nobody may look into, and what lies in them that history does not know."""
    for folder in FOLDERS:
        room = workspace.root / folder
        if room.exists() and not os.access(room, os.R_OK | os.X_OK):
            yield Check(folder, False, f"{room} cannot be read; mend its permissions")
    strays = unknown(workspace.root)
    if strays:
        names = ", ".join(f"{path.parent.name}/{path.name[:12]}" for path in strays[:SHOWN])
        more = f" and {len(strays) - SHOWN} more" if len(strays) > SHOWN else ""
        finding = f"{names}{more} in {strays[0].parents[1]}: no row names them; restore their history, or remove them"
        yield Check("unknown", True, finding)


def _database(workspace: Workspace) -> str:
    with workspace.reading() as connection:
        schema = f"{workspace.engine.dialect.name}, schema {migrate.version(connection)}"
        if workspace.engine.dialect.name != "sqlite":
            return schema
        problem = connection.execute(text("PRAGMA quick_check")).scalar()
        mode = connection.execute(text("PRAGMA journal_mode")).scalar()
    if problem != "ok":
        raise OSError(f"the database is damaged ({problem}); restore a copy of it")
    return f"{schema}, journal {mode}, durability {workspace.settings.durability}"
