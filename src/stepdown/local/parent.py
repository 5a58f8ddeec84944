"""A training ends with the process that asked for it, however that ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise

_PR_SET_PDEATHSIG = 1


def named(arguments: Sequence[str]) -> int:
    """Return the process id behind `--parent`; without one, whoever the parent is now."""
    given = dict(pairwise(arguments)).get("--parent", "")
    return int(given) if given.isdecimal() else os.getppid()


def die_with_parent(parent: int) -> None:
    """Die on SIGTERM and SIGINT even if the parent ignores them, and on Linux at once when the parent is gone.

    Linux counts the parent's *thread*: it must live as long as its child.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before this, while mlx was being imported: then nobody is left to send the signal.
    if os.getppid() != parent:
        sys.exit(1)
