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
            found = entry.stat(follow_symlinks=False)
            yield _identity(prefix + entry.name, found)
            if stat.S_ISDIR(found.st_mode):
                yield from _below(entry.path, f"{prefix}{entry.name}/")


def _identity(path: str, found: os.stat_result) -> Identity:
    return (
        path,
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_nlink,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
