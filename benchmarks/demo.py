"""The whole demo in a fresh process and a fresh workspace: at most 30 s cold on two cores.

``python benchmarks/demo.py [--times 3]``
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

LIMIT = 30.0


def once(seed: int) -> tuple[float, list[dict[str, object]]]:
    """Return the wall seconds of one demo and its stages."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "stepdown", "demo", "--json", "--seed", str(seed)]
        began = time.perf_counter()
        done = subprocess.run([*command, "-w", str(Path(directory) / "demo")], capture_output=True, check=True)
        return time.perf_counter() - began, json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    found = [once(seed) for seed in range(parser.parse_args().times)]
    for name in (str(stage["name"]) for stage in found[0][1]):
        seconds = [float(str(s["seconds"])) for _, stages in found for s in stages if s["name"] == name]
        print(f"  {name:28} {median(seconds):6.2f} s   {min(seconds):.2f} to {max(seconds):.2f}")
    walls = [wall for wall, _ in found]
    print(f"demo {median(walls):.1f} s   {min(walls):.1f} to {max(walls):.1f}   limit {LIMIT:.0f}")


if __name__ == "__main__":
    main()
