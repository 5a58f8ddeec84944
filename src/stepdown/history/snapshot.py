"""A SQLite database that may be read and not written: opened so that nothing beside it is made or changed.

A database in WAL mode wants to make its `-shm` file even to be read. Where nobody may, it is opened as immutable when its
log is empty, by its own shared memory when somebody else has it open, and from a private copy otherwise.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL

from stepdown.errors import WorkspaceError
from stepdown.history import urls


@dataclass(slots=True)
class Snapshot:
    """A database to read.

    Attributes:
        path: The file.
        url: How to open it.
        seen: Size and time of the file when it was opened as immutable; None when SQLite itself sees changes.
        copy: The private directory, if it was copied.
    """

    path: Path
    url: URL
    seen: tuple[int, int] | None = None
    copy: "tempfile.TemporaryDirectory[str] | None" = field(default=None, repr=False)

    def check(self) -> None:
        """Say so if somebody wrote while it was being read as something that nobody writes.

        Raises:
            WorkspaceError: What was read may be of two states.
        """
        if self.seen is not None and self.seen != _identity(self.path):
            raise WorkspaceError(f"The database {self.path} was written while it was read; try again.")

    def close(self) -> None:
        """Remove the private copy, if there is one."""
        if self.copy is not None:
            self.copy.cleanup()


def of(path: Path) -> Snapshot:
    """Look at a database that cannot be written.

    Raises:
        WorkspaceError: It cannot be read either.
    """
    path = Path(os.path.realpath(path))  # SQLite keeps its log beside the file itself, whatever link leads to it.
    log = _beside(path, "-wal")
    try:
        if not log.exists() or log.stat().st_size == 0:
            return Snapshot(path, _read_only(path, immutable="1"), _identity(path))
        if _beside(path, "-shm").exists():
            return Snapshot(path, _read_only(path))
    except OSError as error:
        raise WorkspaceError(
            f"The database {path} cannot be read ({error.strerror}); ask for the permission."
        ) from error
    return copied(path)


def copied(path: Path) -> Snapshot:
    """Copy a database with its log to a private place, where it can be completed and brought forward.

    Raises:
        WorkspaceError: It cannot be read, or the temporary directory cannot be written.
    """
    path = Path(os.path.realpath(path))
    copy = tempfile.TemporaryDirectory(prefix="stepdown-")
    try:
        target = Path(copy.name) / path.name
        shutil.copyfile(path, target)
        log = _beside(path, "-wal")
        if log.exists():
            shutil.copyfile(log, _beside(target, "-wal"))
    except OSError as error:
        copy.cleanup()
        raise WorkspaceError(
            f"The database {path} cannot be copied to be read ({error.strerror}); set TMPDIR to a place with room."
        ) from error
    return Snapshot(path, urls.sqlite(target), copy=copy)


def _read_only(path: Path, **more: str) -> URL:
    # The one place where SQLite itself reads a URL: every character of the path is quoted for it.
    return URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true", **more})


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
