"""Files that somebody names: read whole, within bounds, and only where they are files. No pipe or device is waited for."""

import os
import stat
from pathlib import Path

LARGEST = 256 << 20
"""Bytes of a file that is read whole, where its reader knows no less."""


def contents(path: Path, most: int = LARGEST, *, through_link: bool = True) -> bytes:
    """Return the bytes of a file.

    Args:
        path: Where it is.
        most: Bytes that it may have.
        through_link: Whether it may lie at the end of a link.

    Raises:
        OSError: It cannot be read, or is a link.
        ValueError: It is no file, or is larger than that; in words that a sentence can go on with.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if through_link else os.O_NOFOLLOW))
    try:
        # A directory opened as a stream would leave its descriptor behind.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise ValueError(f"it is larger than {most >> 20} MiB" if most >> 20 else f"it is larger than {most} bytes")
    return data


def text(path: Path, most: int = LARGEST) -> str:
    """Return the text of a file in UTF-8, with plain line ends and without the byte order mark of some editors.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no file, is larger than that, or is not UTF-8.
    """
    written = contents(path, most).decode("utf-8").removeprefix("\ufeff")
    return written.replace("\r\n", "\n").replace("\r", "\n")
