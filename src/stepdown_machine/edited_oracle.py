"""A campaign under an edited oracle, in a process of its own: what `stepdown_machine.break_oracle` starts for each edit.

python -m stepdown_machine.edited_oracle '{"path": "model/breaker.py", "number": 3, "seeds": [0], ...}'

Nothing of the oracle may be imported before its module is edited: hence nothing is imported at the top.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from stepdown_machine.edits import edited

PACKAGE = Path(__file__).parent
NAMED = "stepdown_machine"


class Editing:
    """A finder that gives one module with one edit."""

    def __init__(self, path: str, number: int) -> None:
        self.path, self.number = PACKAGE / path, number
        parts = Path(path).with_suffix("").parts
        self.module = ".".join((NAMED, *parts)).removesuffix(".__init__")

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find the one module, and leave all others to the next finder."""
        if name != self.module:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        spec.loader = Edited(edited(self.path.read_text("utf-8"), self.number), self.path)
        return spec


class Edited(Loader):
    """Runs the edited tree, and no compiled file of the sound module."""

    def __init__(self, tree: ast.Module, path: Path) -> None:
        self._code = compile(tree, str(path), "exec")

    def exec_module(self, module: ModuleType) -> None:
        """Run it."""
        exec(self._code, module.__dict__)


def main(argv: list[str]) -> int:
    """Print one line of JSON: who noticed, or nobody."""
    asked = json.loads(argv[0])
    if asked["path"]:
        sys.meta_path.insert(0, Editing(asked["path"], asked["number"]))
    sys.stdout.write(json.dumps(noticed_by(asked)) + "\n")
    return 0


def noticed_by(asked: dict[str, Any]) -> dict[str, str]:
    """Return what noticed the edit: the correct toy fails, or a broken variant goes free, or something breaks.

    What fails mostly fails soon: hence a short campaign on the correct toy comes first, and the long ones come last.

    Args:
        asked: `path` and `number` of the edit (no path: the sound oracle), `seeds` and `examples` of the campaigns on the
            correct toy, `variants` with `seed` and `fewer` examples of the short campaigns.
    """
    short = (asked["seed"], asked["fewer"])
    campaigns = [("correct", *short)] if asked["seeds"] else []
    campaigns += [(variant, *short) for variant in asked["variants"]]
    campaigns += [("correct", seed, asked["examples"]) for seed in asked["seeds"]]
    for name, seed, examples in campaigns:
        kind, by = outcome(name, seed, examples)
        if kind == "broken" or (kind == "fails") is (name == "correct"):
            return {"kind": kind, "by": by}
    return {"kind": "survived", "by": ""}


def outcome(name: str, seed: int, examples: int | None) -> tuple[str, str]:
    """Run one campaign on the correct toy or a variant: it fails, frees or breaks, and by what."""
    from stepdown_machine.campaign import campaign
    from stepdown_machine.invariants import CLAIMS
    from stepdown_machine.kill_matrix import machine_for

    claims = campaign(machine_for(name), seed, examples=examples).claims
    if not set(claims) <= CLAIMS.keys():
        return "broken", f"{name}: {' '.join(claims)}"
    return ("fails", " ".join(claims)) if claims else ("frees", name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
