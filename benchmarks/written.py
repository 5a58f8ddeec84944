"""Edits of stepdown that readers of the code wrote, each a fault of meaning in one place: `edits.jsonl`, one a line.

Whoever adds one has not looked at what the machine asserts. A line says where (`path`, `before`, which stands there once, and
`after`) and who is fooled by it (`why`).
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path

from mutants import acts

LIST = Path(__file__).with_name("edits.jsonl")


@dataclass(frozen=True, slots=True)
class Written:
    """One edit.

    Attributes:
        path: Of the module, in the tree.
        before: What stands there, once.
        after: What takes its place.
        why: Who is fooled by it, and how.
    """

    path: str
    before: str
    after: str
    why: str

    @property
    def name(self) -> str:
        """Place and effect, in a line."""
        return f"{self.path.removeprefix('src/stepdown/')}: {self.why}"

    def source(self, tree: Path) -> str:
        """Return the edited module.

        Raises:
            ValueError: What is edited is not there, or more than once: the code went on, and the list has to.
        """
        sound = (tree / self.path).read_text("utf-8")
        if sound.count(self.before) != 1:
            raise ValueError(f"{self.path} holds {self.before!r} {sound.count(self.before)} times, and not once.")
        return sound.replace(self.before, self.after)

    def diff(self, tree: Path) -> str:
        """Return what it changes, with one line before and after."""
        before = (tree / self.path).read_text("utf-8").splitlines()
        lines = difflib.unified_diff(before, self.source(tree).splitlines(), self.path, "edited", n=1, lineterm="")
        return "\n".join(lines)


def written(tree: Path, path: Path = LIST) -> list[Written]:
    """Return the list; whatever in it changes nothing, or does not fit the tree, is said at once."""
    found = [Written(**json.loads(line)) for line in path.read_text("utf-8").splitlines() if line]
    idle = [each.name for each in found if not acts(each, tree)]
    if idle:
        raise ValueError(f"These edits change nothing: {idle}")
    return found
