"""What starting costs: `import stepdown` at most 50 ms, `stepdown --help` at most 0.4 s, beside a bare interpreter.

``python benchmarks/startup.py [--times 15]``
"""

import argparse
import subprocess
import sys
import time
from statistics import median

CASES = (
    ("bare interpreter", ["-c", "pass"], None),
    ("import stepdown", ["-c", "import stepdown"], 50.0),
    ("import stepdown.workspace", ["-c", "import stepdown.workspace"], None),
    ("stepdown --help", ["-m", "stepdown", "--help"], 400.0),
)


def milliseconds(arguments: list[str]) -> float:
    """Return the wall time of one interpreter, from its start to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=15)
    times = parser.parse_args().times
    bare = 0.0
    for name, arguments, limit in CASES:
        milliseconds(arguments)  # The first one reads the disk.
        found = [milliseconds(arguments) for _ in range(times)]
        bare = bare or median(found)
        # An import is measured beyond the interpreter that runs it; a command is measured whole.
        own = f"{median(found) - bare:6.1f} beyond the interpreter" if "import" in name else ""
        allowed = f"limit {limit:.0f}" if limit else ""
        print(f"{name:26} {median(found):6.1f} ms   {min(found):.1f} to {max(found):.1f}   {own:32} {allowed}")


if __name__ == "__main__":
    main()
