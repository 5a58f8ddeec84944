"""What lies in the rooms of bundles and datasets and is not what history says: set aside, named and kept, never removed."""

import os
from itertools import chain, count
from pathlib import Path

FOLDER = "unknown"
"""Where it lies; `unknown/bundles/<id>` returns by itself when a row names it again."""

ROOMS = ("bundles", "datasets")


def set_aside(path: Path, root: Path, name: str) -> None:
    """Move something out of its room, to a name at which nothing lies yet."""
    target = free(root, path.parent.name, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


def free(root: Path, room: str, name: str) -> Path:
    """Return where something can be set aside without covering anything."""
    names = chain((name,), (f"{name}.{number}" for number in count(2)))
    return next(path for word in names if not os.path.lexists(path := root / FOLDER / room / word))


def entries(directory: Path) -> list[Path]:
    """Return what lies in a directory; nothing where nobody may look."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def unknown(root: Path) -> list[Path]:
    """Return what was set aside."""
    return [path for room in ROOMS for path in entries(root / FOLDER / room)]


def lying(root: Path, room: str) -> list[Path]:
    """Return what lies in a room, in its place or set aside."""
    return [*entries(root / room), *entries(root / FOLDER / room)]
