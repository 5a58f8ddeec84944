"""The command line: parse, call one function, print. Results go to stdout, everything else to stderr.

Exit codes are those of `stepdown.errors`; besides them 1 means that the answer is "no" (an audit with differences, a failed
check), 70 that stepdown itself is at fault, 74 that the output could not be written, and 130 that the user stopped it.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

FAULT = 70
"""Something that stepdown did not foresee; `EX_SOFTWARE` of sysexits.h."""

UNWRITTEN = 74
"""The output could not be written; `EX_IOERR` of sysexits.h."""

STOPPED = 130
"""The user stopped it: 128 and the number of SIGINT."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit code."""
    # numpy and scipy bring a BLAS each that would start a spinning thread for every core; what they multiply here is tiny.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from stepdown.cli.outermost import guarded

        return guarded(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # While the rooms were still opening, or while the last sentence was written.
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write("stepdown: Stopped. Nothing was begun beyond what was recorded, and that stands.\n")
        return STOPPED
