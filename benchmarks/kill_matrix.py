"""The kill matrix of the machine on its broken toys, 20 seeds in the `ci` profile, and shrunk programs for one.

python benchmarks/kill_matrix.py            20 seeds, kill rate with its lower 95 % bound
python benchmarks/kill_matrix.py --shrink   one seed, lengths of shrunk programs
"""

import sys

from stepdown_machine.kill_matrix import main

if __name__ == "__main__":
    sys.exit(main(["--seeds", "1", "--shrink"] if "--shrink" in sys.argv else ["--seeds", "20"]))
