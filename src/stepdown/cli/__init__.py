"""The command line: parse, call one function, print. Results go to stdout, everything else to stderr.

Exit codes are those of `stepdown.errors`; besides them 1 means that the answer is "no" (an audit with differences, a failed
check), 70 that stepdown itself is at fault, 74 that the output could not be written, and 130 that the user stopped it.
"""

import sys
from collections.abc import Sequence

FAULT = 70
"""Something that stepdown did not foresee; `EX_SOFTWARE` of sysexits.h."""

UNWRITTEN = 74
"""The output could not be written; `EX_IOERR` of sysexits.h."""

STOPPED = 130
"""The user stopped it: 128 and the number of SIGINT."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit code."""
    from stepdown.cli.outermost import guarded

    return guarded(list(sys.argv[1:] if argv is None else argv))
