"""Run the machine on systems of other people: `python -m strangers [NAME ...]`, each in an environment of its own.

An environment holds `stepdown-machine` and the one pinned requirement that the adapter names, and nothing of stepdown.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LIMIT = 200.0
"""Seconds for each system."""
RUN = """
import importlib, sys
from stepdown_machine.campaign import campaign
from stepdown_machine.machine import RoutingMachine
module = importlib.import_module("strangers." + sys.argv[1])
found = campaign(type(module.SYSTEM.__name__ + "Machine", (RoutingMachine,), {"system": lambda self: module.SYSTEM()}),
                 1, profile_name="dev", shrink=True, examples=int(sys.argv[2]), turns=8)
print(found.output if found.claims else found.reach.summary())
sys.exit(bool(found.claims))
"""


def main(names: list[str]) -> int:
    """Run all of them, or the named ones; exit 1 when one was red, which is a finding and no failure of the command."""
    known = [path.stem for path in sorted(HERE.glob("[a-z]*.py"))]
    red = [name for name in names or known if not tried(name)]
    sys.stdout.write(f"red: {', '.join(red)}\n" if red else "all green\n")
    return bool(red)


def tried(name: str) -> bool:
    """Make an environment and run the machine in it."""
    sys.stdout.write(f"== {name} ({', '.join(requirements(name))})\n")
    sys.stdout.flush()
    room = Path(os.environ.get("STRANGERS_ROOM", Path(tempfile.gettempdir()) / "strangers-room"))
    python = room / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", room / name], check=True)
    wanted = [*requirements(name), str(HERE.parent / "machine")]
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    try:
        return not subprocess.run(
            [python, "-c", RUN, name, "15"], cwd=HERE.parent, timeout=LIMIT, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        sys.stdout.write(f"{name} took longer than {LIMIT:.0f} s\n")
        return False


def requirements(name: str) -> tuple[str, ...]:
    """Read what an adapter names, without importing it: its system is not here."""
    for node in ast.parse((HERE / f"{name}.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REQUIREMENTS":
            found: tuple[str, ...] = ast.literal_eval(node.value)
            return found
    raise SystemExit(f"{name} names no REQUIREMENTS")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
