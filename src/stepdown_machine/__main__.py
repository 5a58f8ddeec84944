"""The machine's own commands.

stepdown-machine init adapter.py             write a commented adapter to begin with
stepdown-machine check my.module:MyAdapter   say what is wrong with an adapter, before the machine runs
"""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from pathlib import Path

from stepdown_machine.check import faults


def main(argv: list[str] | None = None) -> int:
    """Run a command; exit 1 when the answer is no."""
    parser = argparse.ArgumentParser(
        prog="stepdown-machine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    init = commands.add_parser("init", help="write a commented adapter to begin with")
    init.add_argument("file", type=Path, help="where to; nothing is written over")
    init.set_defaults(command=lambda asked: begin(asked.file))
    check = commands.add_parser("check", help="say what is wrong with an adapter")
    check.add_argument("adapter", metavar="MODULE:NAME", help="a class or function that makes a fresh adapter")
    check.set_defaults(command=lambda asked: judge(asked.adapter))
    asked = parser.parse_args(argv)
    done: int = asked.command(asked)
    return done


def begin(file: Path) -> int:
    """Write the adapter to begin with, and say what comes next."""
    if file.suffix != ".py" or not file.stem.isidentifier():
        return refuse(f"{file} cannot be imported; name a file such as adapter.py.")
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write((files("stepdown_machine") / "starter.py").read_text("utf-8"))
    except FileExistsError:
        return refuse(f"{file} is there already; name another file.")
    except OSError as error:
        return refuse(f"{file} cannot be written ({error.strerror}).")
    say(f"{file} holds an adapter of a small desk: put your own system in its place, then")
    say(f"stepdown-machine check {file.stem}:DeskSystem")
    return 0


def judge(adapter: str) -> int:
    """Say what is wrong with an adapter."""
    # As `python -m` has it: what lies here can be imported.
    sys.path.insert(0, str(Path.cwd()))
    sentences = faults(adapter)
    for sentence in sentences:
        say(sentence)
    if not sentences:
        say(f"{adapter} keeps the protocol; point the machine at it.")
    return 1 if sentences else 0


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


def refuse(sentence: str) -> int:
    """Say why nothing was done."""
    sys.stderr.write(f"stepdown-machine: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
