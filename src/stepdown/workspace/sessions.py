"""Sessions: one process's claim on what it announced. The claim is a file lock, so it ends with the process, however it ends.

Another process asks `alive` before it closes somebody's unfinished call or clears somebody's half-made directory.
"""

import fcntl
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from stepdown.errors import WorkspaceError


@dataclass(slots=True)
class Session:
    """A process's claim, taken when it is first needed and held until `end`.

    Attributes:
        directory: Where lock files lie.
        id: Process id and four random bytes: unique on one machine, and never reused by a later process.
    """

    directory: Path
    id: str = field(default_factory=lambda: f"{os.getpid()}-{secrets.token_hex(4)}")
    descriptor: int | None = None

    def begin(self) -> str:
        """Take the lock, if it is not held yet, and return the session's id."""
        if self.descriptor is None:
            try:
                self.descriptor = self._lock()
            except OSError as error:
                raise WorkspaceError(
                    f"{self.directory} cannot be written ({error.strerror}); make the workspace writable."
                ) from error
        return self.id

    def _lock(self) -> int:
        path = self.directory / f"{self.id}.lock"
        aside = path.with_suffix(".new")
        descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Under its name only once it is locked: nobody may find it unlocked and take its owner for dead.
        aside.rename(path)
        return descriptor

    def end(self) -> None:
        """Give up the claim; what it announced and did not finish may now be closed by anyone."""
        if self.descriptor is not None:
            (self.directory / f"{self.id}.lock").unlink(missing_ok=True)
            os.close(self.descriptor)
            self.descriptor = None


def alive(directory: Path, session: str) -> bool:
    """Tell whether the process that began a session still holds it."""
    try:
        descriptor = os.open(directory / f"{session}.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def forget(directory: Path, session: str) -> None:
    """Remove what a dead session left behind."""
    (directory / f"{session}.lock").unlink(missing_ok=True)
