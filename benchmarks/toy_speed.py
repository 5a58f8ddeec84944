"""How fast the machine drives the correct toy, and what it reaches: `python benchmarks/toy_speed.py [seed]`."""

import sys

from stepdown_machine.campaign import campaign
from stepdown_machine.kill_matrix import machine_for


def main() -> int:
    """Run one campaign in the `ci` profile and print its summary and unmet obligations."""
    verdict = campaign(machine_for("correct"), int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(verdict.reach.summary())
    for line in verdict.reach.unmet():
        print("UNMET", line)
    if verdict.claims:
        print(verdict.output)
    return 1 if verdict.claims else 0


if __name__ == "__main__":
    sys.exit(main())
