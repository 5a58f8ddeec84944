"""The command line: parse, call one function, print. Results go to stdout, everything else to stderr.

Exit codes are those of `stepdown.errors`; 1 means that the answer is "no" (an audit with differences, a failed check),
and 130 that the user stopped it.
"""

import sys
from collections.abc import Sequence

from stepdown.errors import StepdownError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit code."""
    from stepdown.cli.app import app

    try:
        app(args=list(argv) if argv is not None else None, prog_name="stepdown")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    except StepdownError as error:
        sys.stderr.write(f"stepdown: {error}\n")
        return error.exit_code
    return 0
