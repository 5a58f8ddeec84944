"""Sessions: one process's claim on what it announced. The claim is a file lock, so it ends with the process, however it ends.

Another process asks `alive` before it closes somebody's unfinished call or clears somebody's half-made directory. All
threads of a process share its claim; a forked child has no part in it.
"""

import fcntl
import os
import re
import secrets
import stat
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stepdown.errors import WorkspaceError

NAME = re.compile(r"[0-9]+-[0-9a-f]{8}")
"""What a session's id looks like; nothing of another form is ever taken for one, or removed as one."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Session:
    """A process's claim, taken when it is first needed and held until `end`.

    Attributes:
        directory: Where lock files lie.
        id: Process id and four random bytes: unique on one machine, and never reused by a later process.
        descriptor: Of the lock while it is held.
        process: Id of the process that may begin and end it.
    """

    directory: Path
    id: str = field(default_factory=lambda: f"{os.getpid()}-{secrets.token_hex(4)}")
    descriptor: int | None = None
    process: int = field(default_factory=os.getpid)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self) -> str:
        """Take the lock, if it is not held yet, and return the session's id.

        Raises:
            WorkspaceError: It cannot be written, or this is a forked child.
        """
        self.check_process()
        with self._turn:
            if not self.held:
                try:
                    self._take()
                except OSError as error:
                    raise WorkspaceError(
                        f"{self.directory} cannot be written ({error.strerror}); make the workspace writable."
                    ) from error
                _held.add(self)
        return self.id

    def _take(self) -> None:
        self.descriptor = self._lock()

    def _release(self) -> None:
        forget(self.directory, self.id)
        self.let_go()

    def let_go(self) -> None:
        """Close what holds the claim, in this process only."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def _lock(self) -> int:
        path = self.directory / f"{self.id}.lock"
        aside = path.with_suffix(".new")
        descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Under its name only once it is locked: nobody may find it unlocked and take its owner for dead.
            aside.rename(path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def end(self) -> None:
        """Give up the claim; what it announced and did not finish may now be closed by anyone.

        Raises:
            WorkspaceError: This is a forked child, and the claim is its parent's.
        """
        self.check_process()
        with self._turn:
            if self.held:
                self._release()
                _held.discard(self)

    @property
    def held(self) -> bool:
        """Whether the claim is taken now."""
        return self.descriptor is not None

    def alive(self, session: str) -> bool:
        """Tell whether a session of this workspace, this one or another process's, is still held."""
        return alive(self.directory, session)

    def forget(self, session: str) -> None:
        """Remove what a dead session left behind."""
        forget(self.directory, session)

    def check_process(self) -> None:
        """Refuse a process that did not open the workspace.

        Raises:
            WorkspaceError: Always in a forked child.
        """
        if os.getpid() != self.process:
            raise WorkspaceError(
                f"Process {self.process} opened this workspace, and process {os.getpid()} is its forked child; "
                "open it again in the child.",
                kind="workspace-forked",
            )


_held: "weakref.WeakSet[Session]" = weakref.WeakSet()


def _let_go() -> None:
    # A lock lasts while any process has its descriptor open: a child that kept it would keep its dead parent alive.
    for session in list(_held):
        session.let_go()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


def alive(directory: Path, session: str) -> bool:
    """Tell whether the process that began a session still holds it; one that nobody may look at is taken to live."""
    if not NAME.fullmatch(session):
        return False
    try:
        descriptor = os.open(directory / f"{session}.lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except PermissionError:
        return True
    except OSError:
        # It is gone, or a link or a socket lies in its place: no process ever held that.
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        # Shared: two who ask at once must not take each other for its owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def forget(directory: Path, session: str) -> None:
    """Remove what a dead session left behind, where that may be done and is a session's."""
    if NAME.fullmatch(session):
        with suppress(OSError):
            (directory / f"{session}.lock").unlink(missing_ok=True)
