"""By what a change of files is seen without reading them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

DEEPEST = 8
"""Folders within folders; a bundle of ours has none."""

Identity = tuple[str, int, int, int, int, int, int, int]
"""Relative path, device, inode, mode, links, size (bytes), and both times (nanoseconds)."""

Marks = tuple[Identity, ...]
"""The identity of a directory and of every entry below it."""


def marks(directory: Path) -> Marks | None:
    """Return the identity of a directory and of everything in it; None where that cannot be told."""
    try:
        return tuple(sorted(_identities(directory)))
    except OSError:
        return None


def _identities(directory: Path) -> Iterator[Identity]:
    yield _identity("", os.lstat(directory))
    yield from _below(os.fspath(directory), "")


def _below(directory: str, prefix: str) -> Iterator[Identity]:
    if prefix.count("/") > DEEPEST:
        raise OSError(f"folders more than {DEEPEST} deep")
    with os.scandir(directory) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            yield _identity(prefix + entry.name, status)
            if stat.S_ISDIR(status.st_mode):
                yield from _below(entry.path, f"{prefix}{entry.name}/")


def _identity(path: str, status: os.stat_result) -> Identity:
    return (
        path,
        status.st_dev,
        status.st_ino,
        status.st_mode,
        status.st_nlink,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
