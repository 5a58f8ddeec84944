"""Write a failing example as a standalone script: a session, a list of operations, no Hypothesis."""

from __future__ import annotations

import math
import os
import re
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

from stepdown_machine import operations as op
from stepdown_machine.protocol import Origin

FOLDER = "STEPDOWN_MACHINE_SCRIPTS"
"""Environment variable naming the directory that scripts are written to; `.stepdown-machine` without it."""

TEMPLATE = '''"""{title}

{failure}
"""

import sys

sys.path.insert(0, {folder!r})

from stepdown_machine.operations import *  # noqa: F403
from stepdown_machine.session import Session
from stepdown_machine.values import Policy
from {module} import {name}

nan, inf = float("nan"), float("inf")

OPERATIONS = (
{operations}
)

# Guarded, because an adapter may start processes that import this file.
if __name__ == "__main__":
    session = Session({name}({arguments}))
    try:
        for operation in OPERATIONS:
            print(operation)
            session.act(operation)
        session.look_again()
    finally:
        session.close()
    sys.exit("Nothing went wrong: what this script showed does not happen any more.")
'''


def script(origin: Origin, operations: list[op.Operation], failure: str, title: str) -> str:
    """Return the text of a script that repeats these operations on a fresh system.

    Args:
        origin: Where the adapter comes from.
        operations: With readable names, in order.
        failure: What went wrong, for its docstring.
        title: First line of its docstring.
    """
    return TEMPLATE.format(
        title=title,
        failure=failure.replace("\\", "\\\\").replace('"""', "'''"),
        module=origin.module,
        name=origin.name,
        folder=_folder(origin.module),
        arguments=", ".join(repr(argument) for argument in origin.arguments),
        operations="\n".join(f"    {spelled(operation)}," for operation in operations),
    )


def _folder(module: str) -> str:
    """Return the directory that an adapter's module is imported from: a script knows no test runner's path."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return ""
    inside = Path(file).resolve()
    return str((inside.parent if inside.name == "__init__.py" else inside).parents[module.count(".")])


def spelled(value: object) -> str:
    """Spell a value so that it evaluates to itself, leaving out what is the default."""
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    shown = [each for each in fields(value) if not _same(getattr(value, each.name), each.default)]
    return f"{type(value).__name__}({', '.join(f'{each.name}={spelled(getattr(value, each.name))}' for each in shown)})"


def _same(value: object, default: object) -> bool:
    both_nan = isinstance(value, float) and isinstance(default, float) and math.isnan(value) and math.isnan(default)
    return both_nan or (type(value) is type(default) and value == default)


def write(machine: str, claim: str, text: str) -> Path:
    """Write a script and return its path; the shrunk example comes last and so is the one that stays."""
    folder = Path(os.environ.get(FOLDER, ".stepdown-machine"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{re.sub(r'[^A-Za-z0-9]+', '_', machine)}_{claim}.py"
    path.write_text(text, "utf-8")
    return path
