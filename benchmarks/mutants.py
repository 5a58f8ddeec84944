"""The mutants of our own code: every edit that cosmic-ray makes of it, without those that change nothing that happens.

`meanings` are the edits that the machine makes of its own oracle, made of the same code.

An edit is none when both sources are equal once they are rid of what has no part in what the code does:

- annotations, and the bodies of protocols: nothing reads them (a field's default stays);
- `frozen` and `slots` of a dataclass: they refuse what nobody does, and a layout test sees that they are there;
- `@cache`, and whether a column type lets its statements be cached: the same answer, sooner;
- whether a parameter may be given by position or by name;
- `is` or `==` before a constant or a member of an enumeration: the same objects, and the same words;
- in `schema` and `columns`: widths and constraints. The migration makes the tables, and a test compares it with them;
- how many letters of an id a sentence shows.
"""

from __future__ import annotations

import ast
import difflib
import functools
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from stepdown_machine.edits import Edit
from stepdown_machine.edits import edits as edits_of

MUTATED = ("routing", "bundles", "history", "audit", "training/records.py", "acts/step.py")
SPARED = ("migrations", "migrate.py", "append_only.py", "engine.py")
"""Done once, before any example begins, or about a database that refuses: ordinary tests have them."""
CONSTRAINTS = frozenset(("nullable", "unique", "primary_key", "autoincrement", "sqlite_autoincrement"))


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit.

    Attributes:
        path: Of the module, in the tree.
        operator: cosmic-ray's name for the kind of edit.
        occurrence: Which of the places it fits.
        line: Where it is.
    """

    path: str
    operator: str
    occurrence: int
    line: int

    @property
    def name(self) -> str:
        """Place and kind, in a line."""
        module = self.path.removeprefix("src/stepdown/")
        return f"{module}:{self.line} {self.operator.removeprefix('core/')} {self.occurrence}"

    def source(self, tree: Path) -> str:
        """Return the mutated module."""
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        mutated = mutate_code((tree / self.path).read_text("utf-8"), get_operator(self.operator)(), self.occurrence)
        assert mutated is not None, "the place was found a moment ago"
        return str(mutated)

    def diff(self, tree: Path) -> str:
        """Return what it changes, with one line before and after."""
        before = (tree / self.path).read_text("utf-8").splitlines()
        lines = difflib.unified_diff(before, self.source(tree).splitlines(), self.path, "mutated", n=1, lineterm="")
        return "\n".join(lines)


def edits(tree: Path) -> list[Mutant]:
    """Return all edits that cosmic-ray makes, in the order of their places.

    Args:
        tree: A copy of the tree, which is the present directory: names are relative to it.
    """
    from cosmic_ray.commands import init
    from cosmic_ray.work_db import WorkDB, use_db

    modules = [path.relative_to(tree) for path in _mutated(tree)]
    with TemporaryDirectory() as room, use_db(f"{room}/session.sqlite", WorkDB.Mode.create) as database:
        init(modules, database, {})
        found = [item.mutations[0] for item in database.work_items]
    made = (Mutant(str(one.module_path), one.operator_name, one.occurrence, one.start_pos[0]) for one in found)
    return sorted(made, key=lambda each: (each.path, each.line, each.name))


def meanings(tree: Path) -> list[Edit]:
    """Return all edits of meaning, in the order of their places."""
    return edits_of(tree, _mutated(tree))


def _mutated(tree: Path) -> list[Path]:
    return [path for part in MUTATED for path in _modules(tree / "src" / "stepdown" / part)]


def _modules(path: Path) -> list[Path]:
    found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [each for each in found if not any(word in each.parts for word in SPARED)]


class AnyEdit(Protocol):
    """One edit of one module, whoever made it."""

    @property
    def path(self) -> str:
        """Return the module, in the tree."""
        ...

    @property
    def name(self) -> str:
        """Return place and kind, in a line."""
        ...

    def source(self, tree: Path) -> str:
        """Return the edited module."""
        ...

    def diff(self, tree: Path) -> str:
        """Return what it changes."""
        ...


def acts(mutant: AnyEdit, tree: Path) -> bool:
    """Tell whether a mutant changes what the code does."""
    name = Path(mutant.path).name
    try:
        return _bare(mutant.source(tree), name) != _bare((tree / mutant.path).read_text("utf-8"), name)
    except SyntaxError:
        return False


@functools.cache
def _bare(source: str, name: str) -> str:
    return ast.dump(_Bare(constraints=name in ("schema.py", "columns.py")).visit(ast.parse(source)))


class _Bare(ast.NodeTransformer):
    """Takes away what has no part in what the code does."""

    def __init__(self, *, constraints: bool) -> None:
        self.constraints = constraints

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        self.generic_visit(node)
        return ast.AnnAssign(node.target, ast.Constant(None), node.value, node.simple)

    def visit_Assign(self, node: ast.Assign) -> Any:
        self.generic_visit(node)
        cached = [ast.unparse(target) for target in node.targets] == ["cache_ok"]
        return ast.Assign(node.targets, ast.Constant(None)) if cached else node

    def visit_arg(self, node: ast.arg) -> Any:
        return ast.arg(node.arg)

    def visit_arguments(self, node: ast.arguments) -> Any:
        self.generic_visit(node)
        by_place = [*node.posonlyargs, *node.args]
        together = [*by_place, *node.kwonlyargs]
        defaults = [*[None] * (len(by_place) - len(node.defaults)), *node.defaults, *node.kw_defaults]
        named = zip(together, defaults, strict=True)
        given = [None if self.constraints and each.arg in CONSTRAINTS else default for each, default in named]
        return ast.arguments([], together, node.vararg, [], given, node.kwarg, [])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self.generic_visit(node)
        node.returns = None
        node.decorator_list = [each for each in node.decorator_list if ast.unparse(each) != "cache"]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        if any(ast.unparse(base) == "Protocol" for base in node.bases):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        plain = {ast.Is: ast.Eq(), ast.IsNot: ast.NotEq()}
        node.ops = [
            plain.get(type(each), each) if _single(other) else each
            for each, other in zip(node.ops, node.comparators, strict=True)
        ]
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        self.generic_visit(node)
        for each in ast.walk(node):
            if isinstance(each, ast.Subscript) and isinstance(each.slice, ast.Slice):
                each.slice = ast.Constant(0)
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        called = ast.unparse(node.func)
        if called == "dataclass":
            node.keywords = [each for each in node.keywords if each.arg not in ("frozen", "slots")]
        if self.constraints:
            node.keywords = [each for each in node.keywords if each.arg not in CONSTRAINTS]
            node.args = [] if called == "String" else node.args
        return node


def _single(node: ast.expr) -> bool:
    """Tell whether an expression is a constant or a member of an enumeration, of which there is one each."""
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Attribute) and node.attr.isupper())
