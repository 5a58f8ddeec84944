"""Load the toy with one edit of its source."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

MODULES = ("harness", "gates", "recovery", "standing", "runs", "elsewhere", "succession", "sums", "toy")
"""The toy's modules, each importing only earlier ones."""


def system(name: str) -> Any:
    """Return a fresh adapter around the toy, correct or broken."""
    from stepdown_machine.broken.adapter import ToySystem

    return ToySystem(edited(name), name)


@cache
def edited(name: str) -> ModuleType:
    """Return the toy's module with the edit of a variant; `correct` has none.

    Raises:
        KeyError: No variant has this name.
        ValueError: The text to replace does not occur exactly once.
    """
    from stepdown_machine.broken.variants import VARIANTS

    change = None if name == "correct" else VARIANTS[name]
    modules: dict[str, ModuleType] = {}
    for module in MODULES:
        source = (files("stepdown_machine.broken") / f"{module}.py").read_text("utf-8")
        if change is not None and change.module == module:
            if source.count(change.before) != 1:
                raise ValueError(f"{name}: {change.before!r} occurs {source.count(change.before)} times in {module}")
            source = source.replace(change.before, change.after)
        modules[module] = _module(f"{name}.{module}", _compiled(module, source), modules)
    return modules["toy"]


@cache
def _compiled(module: str, source: str) -> CodeType:
    """Compile a source once: an edit leaves the other modules as they are."""
    return compile(source, f"<{module}>", "exec")


def _module(name: str, code: CodeType, earlier: Mapping[str, ModuleType]) -> ModuleType:
    """Run code whose imports of the toy's own modules give the edited ones."""
    module = ModuleType(name)

    def load(wanted: str, *rest: Any) -> Any:
        if wanted == "stepdown_machine.broken":
            return SimpleNamespace(**earlier)
        return builtins.__import__(wanted, *rest)

    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": load}
    # Dataclasses look their module up by name.
    module.__dict__["__name__"] = __name__
    exec(code, module.__dict__)
    return module
