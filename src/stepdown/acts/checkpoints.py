"""What tunings left behind that did not come to their end: `train --resume` goes on from it, and nothing else needs it."""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from stepdown.acts.recover import DIGEST, PARTS
from stepdown.workspace import Workspace
from stepdown.workspace.unknown import entries

FORM = re.compile(rf"({DIGEST})\.checkpoint(?:\.[a-z]+)?")


def abandoned(workspace: Workspace) -> list[Path]:
    """Return the checkpoints of tunings that no living process works on, by name."""
    busy = set(_busy(workspace))
    named = [(path, FORM.fullmatch(path.name)) for path in entries(workspace.root / "jobs")]
    return [path for path, form in named if form is not None and form[1] not in busy]


def remove(workspace: Workspace, names: Sequence[str]) -> list[str]:
    """Remove those of the named checkpoints that are still abandoned, and return which were."""
    removed = [path for path in abandoned(workspace) if path.name in names]
    for path in removed:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return [path.name for path in removed]


def _busy(workspace: Workspace) -> Iterator[str]:
    """Yield the jobs that a living process has under way."""
    for path in entries(workspace.root / "jobs"):
        part = PARTS["jobs"].fullmatch(path.name)
        if part is not None and workspace.session.alive(part[1]):
            yield path.name.partition(".")[0]
