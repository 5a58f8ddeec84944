"""The house stands as it was drawn: imports point one way, and each kind of effect has one room."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
HOUSE, MACHINE = "stepdown", "stepdown_machine"

PLAN = """
scenarios   ground
routing     ground
history     ground
bundles     ground
bases       bundles ground
providers   scenarios ground
training    scenarios history bundles local ground
local       training bundles providers ground
reports     history routing ground
audit       history routing scenarios providers bundles training ground
workspace   history routing scenarios providers bundles bases training local ground
acts        workspace history routing scenarios providers bundles bases training ground
views       acts workspace history routing scenarios providers bundles bases training local audit reports ground
demo        views acts workspace history routing scenarios providers bundles training reports ground
cli         demo views acts workspace history routing bundles bases training scenarios reports ground
"""
"""The house: each room, and the rooms that it may import. `ground` is what every room stands on."""

GROUND = ("errors", "clock", "digest", "files", "packages", "")
ROOMS = {line.split()[0]: set(line.split()[1:]) for line in PLAN.strip().splitlines()}

PURE = (
    "stepdown.routing",
    "stepdown.scenarios",
    "stepdown.reports",
    "stepdown.audit",
    "stepdown.bundles.standing",
    "stepdown.training.records",
    "stepdown.training.evaluation",
    "stepdown.training.hearing",
    "stepdown.history.rows",
)
EFFECTS = {
    "os", "io", "pathlib", "shutil", "tempfile", "sqlite3", "subprocess", "socket", "time", "threading", "logging",
    "sqlalchemy", "alembic", "mlx", "mlx_lm", "stepdown.clock", "stepdown.workspace",
}  # fmt: skip

FORBIDDEN_NAMES = re.compile(r"^_?(utils?|helpers?|common|misc|managers?|base|core)$")
FORBIDDEN_PREFIXES = re.compile(r"^_?(get|do|handle|process)_")
LISTS = {"stepdown_machine.broken.variants"}
"""Long as a list is long: one entry after another, and no code."""
SQLALCHEMYS_OWN = {"process_bind_param", "process_result_value"}
FORBIDDEN_CLASSES = re.compile(r"^(Base|Abstract)[A-Z]|Impl$|Manager$|Helper$")


def sources() -> dict[str, ast.Module]:
    """Return every module of both packages by name."""
    found = {}
    for package in (HOUSE, MACHINE):
        for path in sorted((SOURCE / package).rglob("*.py")):
            name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text("utf-8"))
    return found


MODULES = sources()
HOUSE_MODULES = [name for name in MODULES if name.partition(".")[0] == HOUSE]


def imports(name: str, *, lazy: bool = True) -> set[str]:
    """Return what a module imports: with `lazy`, also inside functions; never what only a type checker sees."""
    return {imported for node in _statements(MODULES[name], lazy=lazy) for imported in _imported(name, node)}


def _statements(tree: ast.AST, *, lazy: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not lazy and isinstance(node, ast.FunctionDef):
            continue
        yield node
        yield from _statements(node, lazy=lazy)


def _imported(name: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        module = resolve_name("." * node.level + (node.module or ""), name)
        inner = {f"{module}.{alias.name}" for alias in node.names} & MODULES.keys()
        yield from inner or {module}


def lies_in(module: str, *places: str) -> bool:
    """Tell whether a module is one of the places or lies in one."""
    return any(module == place or module.startswith(place + ".") for place in places)


def room(module: str) -> str:
    """Return the room of a module: the folder or the module right below the house."""
    below = (module + "..").split(".")[1]
    return "ground" if below in GROUND else below


@pytest.mark.parametrize("name", [name for name in HOUSE_MODULES if lies_in(name, *PURE)])
def test_a_pure_module_imports_no_effect(name: str) -> None:
    assert {found for found in imports(name) if lies_in(found, *EFFECTS)} == set()


def test_every_module_lies_in_a_room_of_the_plan() -> None:
    assert {room(name) for name in HOUSE_MODULES} - {"__main__"} == {*ROOMS, "ground"}


@pytest.mark.parametrize("name", [name for name in HOUSE_MODULES if room(name) in ROOMS])
def test_a_module_imports_only_what_the_plan_allows_its_room(name: str) -> None:
    inside = {room(imported) for imported in imports(name) if lies_in(imported, HOUSE)}

    assert inside <= {room(name), *ROOMS[room(name)]}


def test_imports_at_the_top_of_modules_make_no_circle() -> None:
    tops = {name: imports(name, lazy=False) & MODULES.keys() - {HOUSE, MACHINE} for name in MODULES}

    TopologicalSorter(tops).prepare()  # Raises CycleError, which names the circle.


def test_only_the_local_room_imports_mlx() -> None:
    users = {name for name in HOUSE_MODULES if any(lies_in(found, "mlx", "mlx_lm") for found in imports(name))}

    assert users
    assert all(lies_in(name, "stepdown.local") for name in users)


def test_the_local_room_is_imported_late() -> None:
    early = [
        name
        for name in HOUSE_MODULES
        if not lies_in(name, "stepdown.local")
        and any(lies_in(found, "stepdown.local") for found in imports(name, lazy=False))
    ]
    assert early == []


def test_the_two_packages_do_not_know_each_other() -> None:
    for name in MODULES:
        mine, other = (HOUSE, MACHINE) if name.partition(".")[0] == HOUSE else (MACHINE, HOUSE)
        assert not any(lies_in(found, other) for found in imports(name)), f"{name} of {mine} imports {other}"


def test_the_oracle_imports_nothing_of_the_system_or_of_a_library() -> None:
    for name in MODULES:
        if lies_in(name, f"{MACHINE}.model"):
            strangers = {found for found in imports(name) if not lies_in(found, MACHINE)}
            assert {found.partition(".")[0] for found in strangers} <= set(sys.stdlib_module_names)


def calls(name: str) -> Iterator[str]:
    """Yield what a module calls, as it is written."""
    return (ast.unparse(node.func) for node in ast.walk(MODULES[name]) if isinstance(node, ast.Call))


def test_only_the_ledger_inserts_and_nobody_updates_or_deletes() -> None:
    for name in HOUSE_MODULES:
        names = {
            alias.name
            for node in ast.walk(MODULES[name])
            if isinstance(node, ast.ImportFrom) and lies_in(node.module or "", "sqlalchemy")
            for alias in node.names
        }
        assert not names & {"update", "delete"}, name
        assert ("insert" in names) is (name == "stepdown.history.ledger")


def test_only_the_reader_selects() -> None:
    selecting = {name for name in HOUSE_MODULES if any(call == "select" for call in calls(name))}

    assert selecting == {"stepdown.history.reader", "stepdown.history.questions"}


def test_every_point_where_a_crash_may_fall_is_named_and_every_named_one_is_passed() -> None:
    from stepdown.workspace import POINTS

    passed = {
        node.args[0].value
        for name in HOUSE_MODULES
        for node in ast.walk(MODULES[name])
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("reached")
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    assert passed == set(POINTS)


CLOCKS = re.compile(r"^(time\.(time|monotonic|perf_counter|sleep)\w*|(datetime|date)\.(now|utcnow|today))$")


def test_only_the_clock_reads_time_and_nobody_sleeps() -> None:
    readers = {name for name in HOUSE_MODULES for call in calls(name) if CLOCKS.match(call)}

    assert readers == {"stepdown.clock"}
    assert {name for name in HOUSE_MODULES if "time" in imports(name)} == {"stepdown.clock"}


def test_no_module_function_or_class_has_a_name_that_says_nothing() -> None:
    for name, tree in MODULES.items():
        assert not any(FORBIDDEN_NAMES.match(part) for part in name.split(".")), name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name not in SQLALCHEMYS_OWN:
                assert not FORBIDDEN_PREFIXES.match(node.name), f"{name}.{node.name}"
            if isinstance(node, ast.ClassDef):
                assert not FORBIDDEN_CLASSES.search(node.name), f"{name}.{node.name}"


def test_no_module_is_long_and_no_function_is_longer_than_a_screen() -> None:
    for name, tree in MODULES.items():
        lines = max((node.end_lineno or 0 for node in ast.walk(tree) if isinstance(node, ast.stmt)), default=0)
        assert lines <= 300 or "migrations" in name or name in LISTS, f"{name} has {lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 50 or "migrations" in name, f"{name}.{node.name} has {length} lines"


def test_no_error_is_swallowed_unseen() -> None:
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
                silent = all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
                assert not (broad and silent), f"{name} line {node.lineno}"


def loaded_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after one statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_else() -> None:
    assert not {name.partition(".")[0] for name in loaded_after(f"import {HOUSE}")} & {
        "sqlalchemy", "alembic", "mlx", "numpy", "typer", "rich", "tokenizers", "hypothesis", "json",
    }  # fmt: skip


def test_a_workspace_is_composed_without_a_matrix_library() -> None:
    tops = {
        name.partition(".")[0] for name in loaded_after("import stepdown.workspace, stepdown.acts.run, stepdown.cli")
    }

    assert not tops & {"mlx", "numpy", "scipy", "tokenizers", "cmaes", "alembic"}


def test_the_plugin_that_every_pytest_loads_brings_no_hypothesis() -> None:
    if f"{MACHINE}.pytest_plugin" in MODULES:
        before = loaded_after("import pytest")
        tops = {name.partition(".")[0] for name in loaded_after(f"import pytest, {MACHINE}.pytest_plugin") - before}
        assert not tops & {"hypothesis", HOUSE, "sqlalchemy", "mlx"}
