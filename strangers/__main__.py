"""Run the machine on systems of other people, and show what it found in them.

    python -m strangers [NAME ...]      # every campaign of all of them, or of the named ones
    python -m strangers --finding NAME  # one page of docs/findings shown again, without machine and without Hypothesis
    python -m strangers --findings      # all of them

A system lives in an environment of its own: the machine, the requirements that its adapter pins, and nothing of stepdown.
A finding's environment holds nothing but what its script names. A campaign that an adapter's `SHOWS` names is red as long as
its finding is there; one that it does not name is green. Anything else is news, and the command fails.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FINDINGS = HERE.parent / "docs" / "findings"
LIMIT = 200.0
"""Seconds for each campaign, and for each finding."""
BOUNDS = ("12", "8")
"""Examples of each campaign, and turns of each example."""
RUN = """
import importlib, sys
from stepdown_machine.campaign import campaign
from stepdown_machine.machine import HandoffMachine
module, how = importlib.import_module("strangers." + sys.argv[1]), sys.argv[2]
system = module.CAMPAIGNS[how]
machine = type(system.__name__ + "Machine", (HandoffMachine,), {"system": lambda self: system()})
ran = campaign(machine, 1, profile_name="dev", shrink=True, examples=int(sys.argv[3]), turns=int(sys.argv[4]))
print(ran.output if ran.claims else ran.reach.summary())
sys.exit(bool(ran.claims))
"""


def main(words: list[str]) -> int:
    """Do what the words say; exit 1 when something is not as the adapters and the pages have it."""
    if words[:1] == ["--findings"]:
        return shown(sorted(path.stem for path in FINDINGS.glob("*.py")))
    if words[:1] == ["--finding"]:
        return shown(words[1:])
    return tried(words or adapters())


def adapters() -> list[str]:
    """Name every adapter, in the alphabet's order: each module here that names requirements."""
    return [path.stem for path in sorted(HERE.glob("[a-z]*.py")) if "\nREQUIREMENTS = " in path.read_text("utf-8")]


def tried(names: Sequence[str]) -> int:
    """Run every campaign of the named systems."""
    news = []
    for name in names:
        python = environment(name, (*named(name, "REQUIREMENTS"), str(HERE.parent / "machine")))
        for how in named(name, "CAMPAIGNS"):
            say(f"== {name}, {how} ({', '.join(named(name, 'REQUIREMENTS'))})")
            red = bool(finished([str(python), "-c", RUN, name, how, *BOUNDS]))
            finding = named(name, "SHOWS").get(how)
            if finding:
                say(f"{'as' if red else 'not as'} docs/findings/{finding}.md has it")
            news += [f"{name}, {how}"] if red is not bool(finding) else []
    say(f"not as it is written down: {'; '.join(news)}" if news else "all as it is written down")
    return bool(news)


def shown(names: Sequence[str]) -> int:
    """Run the scripts of findings, each in a clean environment; they exit 0 where the finding is there."""
    lost = []
    for name in names:
        python = environment(f"finding-{name}", needs(FINDINGS / f"{name}.py"))
        say(f"== {name}")
        lost += [name] if finished([str(python), "-I", str(FINDINGS / f"{name}.py")]) else []
    say(f"not there: {', '.join(lost)}" if lost else "all as it is written down")
    return bool(lost)


def environment(name: str, wanted: Sequence[str]) -> Path:
    """Make an environment, unless one with these very requirements is there; return its interpreter."""
    room = Path(os.environ.get("STRANGERS_ROOM", Path(tempfile.gettempdir()) / "strangers-room"))
    # Whoever needs the same shares it: installing takes longer than showing.
    place = room / hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        say(f"-- an environment for {name}: {', '.join(wanted)}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
        (place / "complete").touch()
    elif str(HERE.parent / "machine") in wanted:
        # It is built anew, because it may be another one now.
        again = ["--force-reinstall", "--no-deps", str(HERE.parent / "machine")]
        subprocess.run([python, "-m", "pip", "install", "-q", *again], check=True)
    return python


def finished(command: list[str]) -> int:
    """Run a command in the repository and return its exit status; one that takes too long has failed."""
    try:
        return subprocess.run(command, cwd=HERE.parent, timeout=LIMIT, check=False).returncode
    except subprocess.TimeoutExpired:
        say(f"it took longer than {LIMIT:.0f} s")
        return 1


def needs(script: Path) -> tuple[str, ...]:
    """Read what a script says of itself, the way PEP 723 has it."""
    lines = script.read_text("utf-8").split("# /// script\n")[1].split("# ///")[0].splitlines()
    return tuple(tomllib.loads("\n".join(line.removeprefix("#").strip() for line in lines))["dependencies"])


def named(name: str, what: str) -> Any:
    """Read a constant of an adapter without importing it, because its system is not here; of a dict of classes the keys."""
    for node in ast.parse((HERE / f"{name}.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if ast.unparse(target) == what and node.value is not None:
                if what == "CAMPAIGNS" and isinstance(node.value, ast.Dict):
                    return [ast.literal_eval(key) for key in node.value.keys if key is not None]
                return ast.literal_eval(node.value)
    raise SystemExit(f"strangers/{name}.py names no {what}")


def say(words: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
