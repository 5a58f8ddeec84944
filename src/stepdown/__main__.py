"""Run the command line: `python -m stepdown`."""

import sys

from stepdown.cli import main

if __name__ == "__main__":
    sys.exit(main())
