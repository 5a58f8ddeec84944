"""Looking at directories again and again, and reading again only what can have been written since."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

SETTLED = 100_000_000
"""Nanoseconds, many times what a file system's clock can miss: a write that comes later than this shows in a file's times."""

Found = TypeVar("Found")


class Looks:
    """What was found in directories, and the marks of their files when it was."""

    def __init__(self) -> None:
        self._found: dict[Path, tuple[dict[str, tuple[int, ...]], Any]] = {}

    def look(self, directory: Path, read: Callable[[Path], Found]) -> Found:
        """Return what reading a directory gives.

        A change of bytes, name, kind or place changes a file's inode, size or time of change, which nobody can set. Only
        within the grain of the clock it may not, so what is that young is not remembered.
        """
        began = time.time_ns()
        marks = _marks(directory)
        remembered, found = self._found.get(directory, (None, None))
        if remembered == marks:
            return found  # type: ignore[return-value]
        found = read(directory)
        if all(changed < began - SETTLED for *_, changed in marks.values()):
            self._found[directory] = marks, found
        return found


def _marks(directory: Path) -> dict[str, tuple[int, ...]]:
    stats = {}
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        stats = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    return {name: (found.st_mode, found.st_ino, found.st_size, found.st_ctime_ns) for name, found in stats.items()}
