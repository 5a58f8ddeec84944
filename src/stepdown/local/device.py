"""A child that says where mlx would multiply matrices here: importing mlx settles things that a parent may want otherwise."""

import json
import sys

from stepdown.errors import LocalError, in_one_line
from stepdown.local.parent import die_with_parent, named


def main() -> int:
    """Multiply once, print what did it, and return the exit code."""
    die_with_parent(named(sys.argv))
    try:
        import mlx.core as mx

        mx.eval(mx.ones((2, 2)) @ mx.ones((2, 2)))
        device = mx.default_device()
    except Exception as error:  # Of a driver, of a library that is missing: whatever it is, it is the finding.
        sys.stderr.write(f"mlx does not work here ({in_one_line(error)}); reinstall it.\n")
        return LocalError.exit_code
    sys.stdout.write(json.dumps({"event": "done", "device": "CPU" if device == mx.cpu else f"GPU {device}"}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
