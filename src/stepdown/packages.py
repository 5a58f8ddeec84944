"""What installed packages bring, by entry point."""

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points


def brought(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group, as packages on the search path name them now."""
    return _on(tuple(sys.path), group)


@cache
def _on(_path: tuple[str, ...], group: str) -> tuple[EntryPoint, ...]:
    """Look through all packages once for each search path: that takes longer than some steps."""
    return tuple(entry_points(group=group))
