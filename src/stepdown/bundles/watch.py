"""Bytes are verified once, and from then on it is watched whether anything about their files changed.

The rule, as git has it for its index. A directory that was found good is not read again while it and every entry below it
keep device, inode, mode, count of links, size and both times to the nanosecond. Nobody can set the time of the last change
(ctime), so whatever is written, replaced, linked, taken away or put back is seen at the next look, also when size and mtime
are put back as they were.

Two changes within one tick of the file system's clock have one time. So nothing is remembered of files that changed less than
`SETTLED` ago: they are read in full, each time, until they are older. Not seen is what changes bytes and leaves the file
system out: a failing disk, a write to the device below it. Whoever loads a bundle reads every byte again and checks it, so
the digest in the trace is that of the bytes in memory either way.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from stepdown.bundles.marks import Marks, marks
from stepdown.clock import file_time

SETTLED = 2_000_000_000
"""Nanoseconds; the coarsest clock of a file system in use, FAT's, ticks every two seconds."""

Found = TypeVar("Found")


class LookCache:
    """What is remembered of directories, for as long as nothing about them changes. Threads may share one."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], tuple[Marks, object]] = {}

    def remembered(self, directory: Path, content: str) -> tuple[Any, Marks] | None:
        """Return what the last full look said, and the marks; None where a look would have to read bytes now."""
        return self._unchanged((directory, content), marks(directory))

    def _unchanged(self, key: tuple[Path, str], now: Marks | None) -> tuple[Any, Marks] | None:
        kept = self._known.get(key)
        return (kept[1], kept[0]) if kept is not None and kept[0] == now else None

    def look(
        self, directory: Path, content: str, verify: Callable[[], Found], good: Callable[[Found], bool]
    ) -> tuple[Found, Marks | None]:
        """Return what a full look says, or said of this very directory, and the marks of when it began.

        Args:
            directory: Where to look.
            content: The digest it is looked at for.
            verify: The full look, which reads every byte.
            good: Whether what it found may be remembered; anything else is looked at again.
        """
        # Marks and time are taken before the bytes are read: what changes meanwhile is younger than both.
        now, before = file_time(), marks(directory)
        key = (directory, content)
        if (kept := self._unchanged(key, before)) is not None:
            return kept
        outcome = verify()
        if before is not None and settled(before, now) and good(outcome) and marks(directory) == before:
            self._known[key] = (before, outcome)
        else:
            self._known.pop(key, None)
        return outcome, before


def settled(identities: Marks, now: int) -> bool:
    """Tell whether every change lies so far back that another one would have another time."""
    return all(max(identity[-2:]) <= now - SETTLED for identity in identities)
