"""The directory of a workspace while it is being made: held, and taken away again where that fails."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from stepdown.workspace.marker import FOLDERS, NAME, unusable


@contextmanager
def founding(root: Path, database: Path | None, *more: Path) -> Iterator[None]:
    """Hold a directory while a workspace is made or claimed in it; if that fails, take away what was made, and only that.

    Others who make one at the same place or on the same database wait, threads of this process too.

    Raises:
        WorkspaceError: The directory cannot be made or written.
    """
    with ExitStack() as locks:
        try:
            created = _hold(locks, root, database.parent if database is not None else root)
        except (OSError, ValueError) as error:
            raise unusable(root, error) from error
        ours = [*(root / name for name in (*FOLDERS, NAME)), *more]
        if database is not None:
            ours += [Path(f"{database}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]
        new = [path for path in ours if not os.path.lexists(path)]
        try:
            yield
        except BaseException as error:
            _undo(new, created)
            if isinstance(error, OSError):
                raise unusable(root, error) from error
            raise


def _hold(locks: ExitStack, root: Path, beside: Path) -> list[Path]:
    """Make a directory, lock it and the database's, and return the directories that were made, the innermost first."""
    created: set[Path] = set()
    while True:
        # Whoever made it or held it before may have failed, and removed it again, between any two of these lines.
        with ExitStack() as taken, suppress(FileNotFoundError):
            for path in reversed((root, *root.parents)):
                if not path.is_dir() and _make(path):
                    created.add(path)
            held = _lock(taken, root, beside)
            if any(os.path.samestat(root.stat(), os.fstat(descriptor)) for descriptor in held):
                locks.push(taken.pop_all())
                return sorted(created, key=lambda path: len(path.parts), reverse=True)


def _make(directory: Path) -> bool:
    """Make a directory, and tell whether it was this call that did: a look before says only what was.

    Raises:
        FileNotFoundError: Somebody removed it, or its parent, meanwhile.
        OSError: It cannot be made.
    """
    try:
        directory.mkdir()
    except FileExistsError:
        if not stat.S_ISDIR(directory.lstat().st_mode):
            raise
        return False
    return True


def _lock(locks: ExitStack, root: Path, beside: Path) -> list[int]:
    """Lock two directories, in one order, whoever asks: nobody waits in a circle, and nobody for a lock of their own.

    What is the same is told by what was opened. A path may be another directory at each look: somebody who fails removes what
    they made, and somebody else makes it anew.
    """
    opened: dict[tuple[int, int], int] = {}
    for directory in (root, *([beside] if beside.is_dir() else [])):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        locks.callback(os.close, descriptor)
        state = os.fstat(descriptor)
        opened.setdefault((state.st_dev, state.st_ino), descriptor)
    held = [descriptor for _, descriptor in sorted(opened.items())]
    for descriptor in held:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return held


def _undo(new: list[Path], created: list[Path]) -> None:
    for path in new:
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
    for path in created:
        with suppress(OSError):
            path.rmdir()
