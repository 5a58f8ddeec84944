"""For each broken variant a short program that shows it: the proof of what the oracle sees, without a search.

python -m stepdown_machine.kill_programs PROGRAMS.jsonl            search, shorten, and write them anew
python -m stepdown_machine.kill_programs PROGRAMS.jsonl VARIANT…   these alone; the others stay as they are

A campaign says that the machine finds such a program by itself, and takes seconds; performing one takes milliseconds.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown_machine import operations as op
from stepdown_machine.broken import VARIANTS, system
from stepdown_machine.campaign import campaign
from stepdown_machine.findings import Disagreement
from stepdown_machine.kill_matrix import machine_for
from stepdown_machine.script import spelled
from stepdown_machine.session import Session
from stepdown_machine.values import Policy

SEEDS = range(6)
"""Starts that are tried until the variant's own claim is what notices it."""

Program = tuple[op.Operation, ...]


@dataclass(frozen=True, slots=True)
class Kill:
    """A program that shows a variant.

    Attributes:
        variant: Its name.
        claims: Codes of the invariants that it breaks, sorted.
        operations: In order, with readable names.
    """

    variant: str
    claims: tuple[str, ...]
    operations: Program


def read(path: Path) -> dict[str, Kill]:
    """Return the programs of a file by variant."""
    lines = map(json.loads, path.read_text("utf-8").splitlines())
    kills = (Kill(line["variant"], tuple(line["claims"]), tuple(map(parsed, line["operations"]))) for line in lines)
    return {kill.variant: kill for kill in kills}


def write(path: Path, kills: Iterable[Kill]) -> None:
    """Write programs, one a line, in the order of the variants."""
    order = {name: number for number, name in enumerate(VARIANTS)}
    lines = (
        {"variant": kill.variant, "claims": kill.claims, "operations": [spelled(each) for each in kill.operations]}
        for kill in sorted(kills, key=lambda kill: order[kill.variant])
    )
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")


def parsed(text: str) -> op.Operation:
    """Read an operation as a script spells it: calls of operations and values with literal arguments."""
    operation: op.Operation = _value(ast.parse(text, mode="eval").body)
    return operation


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        arguments: dict[str, Any] = {str(word.arg): _value(word.value) for word in node.keywords}
        return Policy(**arguments) if node.func.id == "Policy" else getattr(op, node.func.id)(**arguments)
    if isinstance(node, ast.Name):
        return float(node.id)  # `nan` and `inf`, as repr spells them.
    if isinstance(node, ast.Tuple):
        return tuple(map(_value, node.elts))
    return ast.literal_eval(node)


def broken_by(variant: str, program: Sequence[op.Operation]) -> tuple[str, ...]:
    """Perform a program on a fresh toy, and return the codes of the promises that it breaks, sorted."""
    session = Session(system(variant))
    try:
        for operation in program:
            session.act(operation)
        session.look_again()
    except Disagreement as failure:
        return tuple(sorted({finding.claim for finding in failure.findings}))
    finally:
        session.close()
    return ()


def searched(variant: str) -> Kill | None:
    """Search for a program that breaks the variant's own claim, or whatever else if no start finds that; None without any."""
    best: Kill | None = None
    for seed in SEEDS:
        outcome = campaign(machine_for(variant), seed)
        if outcome.session is None:
            continue
        kill = _shortest(variant, tuple(outcome.session.operations))
        if kill is None:
            continue
        best = best or kill
        if VARIANTS[variant].claim in kill.claims:
            return kill
    return best


def _shortest(variant: str, program: Program) -> Kill | None:
    """Leave out every operation that the program kills without; None where it kills nothing when performed again.

    Operations are concrete, so that this takes milliseconds where Hypothesis, which shrinks what they were drawn from, takes
    minutes.
    """
    claims = broken_by(variant, program)
    own = VARIANTS[variant].claim
    wanted = {own} if own in claims else set(claims)
    if not claims or broken_by("correct", program):
        return None
    size = len(program) // 2
    while size:
        end = len(program)
        while end > 0:
            shorter = program[: max(0, end - size)] + program[end:]
            if _kills(variant, shorter, wanted):
                program = shorter
            end -= size
        size //= 2
    return Kill(variant, broken_by(variant, program), program)


def _kills(variant: str, program: Program, wanted: set[str]) -> bool:
    try:
        return bool(wanted & set(broken_by(variant, program))) and not broken_by("correct", program)
    except (LookupError, ValueError, TypeError, AttributeError):  # It speaks of what it does not make any more.
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Search, and write; exit 1 when some variant has no program, or one that its own claim does not notice."""
    parser = argparse.ArgumentParser(prog="python -m stepdown_machine.kill_programs", description=__doc__)
    parser.add_argument("path", type=Path, help="where they are kept")
    parser.add_argument("variants", nargs="*", help="only these variants")
    asked = parser.parse_args(argv)
    kept: dict[str, Kill] = read(asked.path) if asked.path.exists() else {}
    for variant in asked.variants or VARIANTS:
        kill = searched(variant)
        if kill is not None:
            kept[variant] = kill
            write(asked.path, kept.values())
        sys.stdout.write(f"{variant:28} {summary(variant, kept)}\n")
        sys.stdout.flush()
    return int(any(VARIANTS[name].claim not in _claims(name, kept) for name in VARIANTS))


def summary(variant: str, kills: Mapping[str, Kill]) -> str:
    """Say in a line how a variant is shown."""
    claims, own = _claims(variant, kills), VARIANTS[variant].claim
    if not claims:
        return "no program"
    noticed = "" if own in claims else f", and not {own}"
    return f"{len(kills[variant].operations)} operations, {' '.join(claims)}{noticed}"


def _claims(variant: str, kills: Mapping[str, Kill]) -> tuple[str, ...]:
    return kills[variant].claims if variant in kills else ()


if __name__ == "__main__":
    sys.exit(main())
