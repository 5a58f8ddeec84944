"""Does the demo come true for every seed? Each is played whole, in a fresh workspace, and its rounds are counted.

    python benchmarks/demo_seeds.py [--seeds 0 100] [--every 1]

Exit 1 when one did not come through. A seed takes 10 to 60 seconds; `--every 7` tries a sample.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from stepdown.demo.journey import Demo


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, nargs=2, default=(0, 100), help="the first, and the first that is not tried"
    )
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    rounds: Counter[int] = Counter()
    failed = []
    for seed in range(*options.seeds, options.every):
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as directory:
            stages = Demo(Path(directory) / "demo", seed).play(lambda *_: None)
        took = sum(stage.name.startswith("promote") for stage in stages)
        seen = all(stage.observed for stage in stages)
        rounds[took] += seen
        last = next(stage.evidence for stage in reversed(stages) if stage.name.startswith("promote") or not seen)
        print(f"seed {seed:3}  {'came true' if seen else 'FAILED':9}  round {took}  "
              f"{time.perf_counter() - began:5.0f} s  {last}", flush=True)  # fmt: skip
        failed += [] if seen else [seed]
    print(f"{rounds.total()} of {rounds.total() + len(failed)} came true; in round: {dict(sorted(rounds.items()))}")
    print(f"failed: {failed or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
