"""What stepdown stands on here, looked at and not assumed."""

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import text

from stepdown import __version__
from stepdown.errors import StepdownError
from stepdown.history import migrate
from stepdown.scenarios.installed import names
from stepdown.workspace import Workspace

PACKAGES = ("mlx", "mlx-lm", "tokenizers", "sqlalchemy", "alembic", "cmaes", "scipy")
OPTIONAL = frozenset({"mlx-lm"})
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
    checks += [_guarded("blas", _blas), Check("scenarios", bool(names()), ", ".join(names()) or "none: reinstall")]
    if (directory / "workspace.json").exists():
        checks += _workspace(directory)
    else:
        checks.append(Check("workspace", True, f"none at {directory} yet; `stepdown run` makes one"))
    return checks


def _package(name: str) -> Check:
    try:
        return Check(name, True, version(name))
    except PackageNotFoundError:
        return Check(
            name, name in OPTIONAL, "not installed" + (" (not needed to train or serve)" if name in OPTIONAL else "")
        )


def _blas() -> str:
    from stepdown.local.blas import load_blas

    blas = load_blas()
    return f"{blas.name}: {blas.config}" + (f" ({blas.path})" if blas.path else "")


def _guarded(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except (StepdownError, OSError, ImportError) as error:
        return Check(name, False, str(error))


def _workspace(directory: Path) -> Iterator[Check]:
    try:
        with Workspace.open(directory) as workspace:
            yield Check("workspace", True, str(workspace.root))
            yield _guarded("database", lambda: _database(workspace))
    except StepdownError as error:
        yield Check("workspace", False, str(error))
    free = shutil.disk_usage(directory).free
    yield Check("disk", free > LOW_DISK, f"{free >> 20} MiB free")


def _database(workspace: Workspace) -> str:
    with workspace.reading() as connection:
        found = f"{workspace.engine.dialect.name}, schema {migrate.version(connection)}"
        if workspace.engine.dialect.name != "sqlite":
            return found
        problem = connection.execute(text("PRAGMA quick_check")).scalar()
        mode = connection.execute(text("PRAGMA journal_mode")).scalar()
    if problem != "ok":
        raise OSError(f"the database is damaged ({problem}); restore a copy of it")
    return f"{found}, journal {mode}, durability {workspace.settings.durability}"
