"""Edits that change what a source means, one at a time: a comparison turned, a condition dropped, a statement taken away.

For those who ask what would be noticed: of the oracle (`stepdown_machine.break_oracle`), or of any other code. Nothing is
edited that only people read (docstrings, annotations), and nothing that a decorator says. Standard library only.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

Change: TypeAlias = tuple[str, ast.AST, tuple[str, str] | None]
"""Kind of an edit, what takes the node's place, and how to show the two where they are long and nearly alike."""
NOTHING = "nothing"
Place: TypeAlias = tuple[ast.AST, Callable[[ast.AST], None], tuple[ast.AST, ...]]
"""A node, what puts another one in its place, and the nodes around it, the nearest first."""

TURNED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPPOSED = {"min": "max", "max": "min", "any": "all", "all": "any"}
MESSAGES = ("Finding", "because")
"""Calls and arguments that are words for people."""
MOST = 120
"""Letters of an expression that are shown."""
UNREAD = {
    (ast.FunctionDef, "returns"), (ast.FunctionDef, "decorator_list"), (ast.ClassDef, "decorator_list"),
    (ast.ClassDef, "bases"), (ast.AnnAssign, "annotation"), (ast.arg, "annotation"),
}  # fmt: skip
"""Fields of nodes that nobody asks while the code runs."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of one module.

    Attributes:
        path: Of the module, below some root.
        number: Which one of its edits, in the order of the source.
        line: Where.
        within: Function or class that it is in, with those around it.
        kind: What was done, in a word or two.
        before: The expression or statement that was there; `after` is there now.
    """

    path: str
    number: int
    line: int
    within: str
    kind: str
    before: str
    after: str

    @property
    def description(self) -> str:
        """What was done, without the line: what stays true when something else is written above it."""
        return f"{self.path} {self.within} {self.kind}: {self.before} -> {self.after}"

    @property
    def name(self) -> str:
        """Place and edit, in a line."""
        return f"{self.path}:{self.line} {self.kind}: {self.before} -> {self.after}"

    def source(self, root: Path) -> str:
        """Return the edited module, as it would be written without comments."""
        return ast.unparse(edited((root / self.path).read_text("utf-8"), self.number))

    def diff(self, root: Path) -> str:
        """Return what it changes, with one line before and after."""
        before = ast.unparse(ast.parse((root / self.path).read_text("utf-8"))).splitlines()
        lines = difflib.unified_diff(before, self.source(root).splitlines(), self.path, "edited", n=1, lineterm="")
        return "\n".join(lines)


def edits(root: Path, paths: list[Path]) -> list[Edit]:
    """Return every edit of some modules, in the order of their places.

    Args:
        root: What the edits' paths are relative to.
        paths: Of the modules.
    """
    return [
        Edit(str(path.relative_to(root)), number, line, within, kind, before, after)
        for path in paths
        for number, (line, within, kind, before, after, _) in enumerate(_changes(ast.parse(path.read_text("utf-8"))))
    ]


def edited(source: str, number: int) -> ast.Module:
    """Return a module with one of its edits.

    Raises:
        IndexError: It has not so many.
    """
    tree = ast.parse(source)
    for each, (*_, act) in enumerate(_changes(tree)):
        if each == number:
            act()
            return ast.fix_missing_locations(tree)
    raise IndexError(f"there is no edit {number}")


def _changes(tree: ast.Module) -> Iterator[tuple[int, str, str, str, str, Callable[[], None]]]:
    for node, put, around in _places(tree, ()):
        for kind, other, texts in _alternatives(node, around):
            # A condition of a comprehension and a case have no line of their own.
            line = next(each.lineno for each in ast.walk(node) if isinstance(each, ast.expr | ast.stmt | ast.pattern))
            shown = texts or (_shown(node), _shown(other))
            names = [each.name for each in around[::-1] if isinstance(each, ast.FunctionDef | ast.ClassDef)]
            yield line, ".".join(names), kind, *shown, partial(put, other)


def _shown(node: ast.AST) -> str:
    """Return a node on one line, not all of a long one."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= MOST else f"{text[: MOST - 3]}..."


def _places(node: ast.AST, around: tuple[ast.AST, ...]) -> Iterator[Place]:
    around = (node, *around)
    for name, value in ast.iter_fields(node):
        if (type(node), name) in UNREAD:
            continue
        for index, each in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(each, ast.AST) or _for_people(each):
                continue
            put = partial(setattr, node, name) if index is None else partial(value.__setitem__, index)
            yield each, put, around
            yield from _places(each, around)


def _for_people(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MESSAGES:
        return True
    if isinstance(node, ast.keyword) and node.arg in MESSAGES:
        return True
    return isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom)


def _alternatives(node: ast.AST, around: tuple[ast.AST, ...]) -> Iterator[Change]:
    match node:
        case ast.expr():
            yield from _of_condition(node)
            yield from _of_value(node)
        case ast.stmt():
            yield from _of_statement(node, around)
        case ast.comprehension(target=target, iter=walked, ifs=ifs):
            for gone, rest in _each_left_out(ifs):
                yield (
                    "condition dropped",
                    ast.comprehension(target, walked, rest, node.is_async),
                    (_shown(gone), NOTHING),
                )
        case ast.match_case(pattern=pattern, guard=ast.expr() as guard, body=body):
            yield "guard dropped", ast.match_case(pattern, None, body), (_shown(guard), NOTHING)


def _each_left_out(parts: list[ast.expr]) -> Iterator[tuple[ast.expr, list[ast.expr]]]:
    for index, each in enumerate(parts):
        yield each, [*parts[:index], *parts[index + 1 :]]


def _of_condition(node: ast.expr) -> Iterator[Change]:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            for index, turned in enumerate(ops):
                for kind in TURNED.get(type(turned), ()):
                    yield "comparison", ast.Compare(left, [*ops[:index], kind(), *ops[index + 1 :]], others), None
        case ast.BoolOp(op=word, values=values):
            yield "and or", ast.BoolOp(ast.Or() if isinstance(word, ast.And) else ast.And(), values), None
            for gone, rest in _each_left_out(values):
                yield (
                    "condition dropped",
                    rest[0] if len(rest) == 1 else ast.BoolOp(word, rest),
                    (_shown(gone), NOTHING),
                )
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not dropped", operand, None


def _of_value(node: ast.expr) -> Iterator[Change]:
    match node:
        case ast.BinOp(left=left):
            yield "operand dropped", left, None
        case ast.IfExp(test=test, body=body, orelse=other):
            yield "branches swapped", ast.IfExp(test, other, body), None
        case ast.Constant(value=bool(value)):
            yield "constant", ast.Constant(not value), None
        case ast.Constant(value=int() | float() as number):
            yield "constant", ast.Constant(number + 1), None
        case ast.Call(func=ast.Name(id=called), args=given, keywords=named) if called in OPPOSED:
            yield "opposite", ast.Call(ast.Name(OPPOSED[called], ast.Load()), given, named), None


def _of_statement(node: ast.stmt, around: tuple[ast.AST, ...]) -> Iterator[Change]:
    # What yields nothing any more goes on being a generator.
    yields = isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.YieldFrom)
    silent = ast.Expr(ast.YieldFrom(ast.Tuple([], ast.Load()))) if yields else ast.Pass()
    deleted = ("statement deleted", silent, (_shown(node), NOTHING))
    match node:
        case ast.If(test=test, body=body, orelse=other):
            opposite = ast.UnaryOp(ast.Not(), test)
            yield "if negated", ast.If(opposite, body, other), (_shown(test), _shown(opposite))
        case ast.Return(value=ast.expr() as value):
            if _promises_truth(around):
                yield "return negated", ast.Return(ast.UnaryOp(ast.Not(), value)), None
            if isinstance(around[0], ast.If):
                yield deleted
        case ast.Expr() | ast.AugAssign() | ast.Continue() | ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield deleted


def _promises_truth(around: tuple[ast.AST, ...]) -> bool:
    function = next((each for each in around if isinstance(each, ast.FunctionDef)), None)
    return function is not None and function.returns is not None and ast.unparse(function.returns) == "bool"
