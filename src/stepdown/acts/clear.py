"""Where a demo may play: in an empty place, or on what an earlier demo made and nobody else has touched."""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from stepdown import files
from stepdown.acts.opening import open_workspace
from stepdown.errors import Refused, WorkspaceError
from stepdown.history import reader, rows
from stepdown.workspace import Workspace
from stepdown.workspace.marker import Marker, unusable, write_atomically
from stepdown.workspace.sessions import NAME, alive

MARK = "demo"
TAKEN_AWAY = "taken-away"

_DIGEST = "[0-9a-f]{64}"
_SETTINGS = r"(config|manifest|tokenizer|tokenizer_config|adapter_config|serving)\.json"
_BUNDLE = rf"(/({_SETTINGS}|(model|adapters|unfinished)\.safetensors))?"
_CHECKPOINT = r"(/(state\.json|(weights|optimizer|unfinished)\.safetensors))?"
OWN = re.compile(
    "|".join(
        (
            rf"{MARK}|workspace\.json|stepdown\.db(-wal|-shm|-journal)?|trace\.jsonl",
            "datasets|bundles|bases|jobs|knowledge|sessions|reports",
            r"knowledge/(grid_ctf|invoices)(/(playbook|hints)\.md)?",
            r"bases/smollm2(/((base|config|tokenizer|tokenizer_config)\.json|model\.safetensors))?",
            r"reports/run-[0-9]+\.md",
            rf"sessions/{NAME.pattern}\.(lock|new)",
            rf"datasets/({_DIGEST}|\.{NAME.pattern}\.part)(/((train|valid|matches)\.jsonl|manifest\.json))?",
            rf"(bundles/({_DIGEST}|\.{_DIGEST}\.removed)|{TAKEN_AWAY}){_BUNDLE}",
            rf"jobs/{_DIGEST}\.{NAME.pattern}\.(plan|part{_BUNDLE})",
            rf"jobs/{_DIGEST}\.checkpoint(\.new)?{_CHECKPOINT}",
        )
    )
)
"""Every path that a demo makes; one of any other name was put there by somebody."""


def clear(directory: Path) -> None:
    """Make room for a demo, and remove nothing but what an earlier one made.

    Raises:
        Refused: Something there is somebody's.
        WorkspaceError: The directory cannot be used.
    """
    try:
        paths = sorted(_below(directory)) if os.path.lexists(directory) else []
        if paths:
            _check_own(directory, paths)
            # The mark goes last: what is left of a removal that was stopped is still a demo's.
            for path in sorted(paths, key=lambda path: (path != MARK, path), reverse=True):
                _remove(directory / path)
    except OSError as error:
        raise unusable(directory, error) from error


def mark(workspace: Workspace, *, finished: bool) -> None:
    """Write down that this workspace is a demo's, and how many runs are."""
    with workspace.reading() as connection:
        runs = reader.count(connection, rows.Run)
    marker = Marker.read(workspace.root)
    stored = {"stepdown-demo": marker.id if marker else None, "runs": runs, "finished": finished}
    write_atomically(workspace.root / MARK, json.dumps(stored))


def _below(directory: Path, prefix: str = "") -> Iterator[str]:
    with os.scandir(directory) as entries:
        for entry in entries:
            yield prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path), f"{prefix}{entry.name}/")


def _check_own(directory: Path, paths: list[str]) -> None:
    marked = _marked(directory)
    if marked is None:
        raise Refused(f"{directory} is not a demo's workspace; name another directory with --workspace.")
    for path in paths:
        if not OWN.fullmatch(path) or not _plain((directory / path).lstat().st_mode):
            raise Refused(f"{directory} holds {path}, which no demo made; move it away, or name another directory.")
    if len(paths) == 1:
        return
    for lock in (directory / "sessions").glob("*.lock"):
        if alive(lock.parent, lock.stem):
            raise Refused(f"Another process is at work in {directory}; wait for it, or name another directory.")
    with open_workspace(directory) as workspace, workspace.reading() as connection:
        runs = reader.count(connection, rows.Run)
    # A demo that was stopped may have started one more run than it could write down.
    if runs > marked[0] + (not marked[1]):
        raise Refused(f"{directory} holds runs that no demo made; name another directory with --workspace.")


def _marked(directory: Path) -> tuple[int, bool] | None:
    """Return the runs of an earlier demo and whether it ended, if the mark is one that only stepdown writes."""
    path = directory / MARK
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        stored = json.loads(files.contents(path))
        number, runs, finished = stored["stepdown-demo"], stored["runs"], stored["finished"]
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None
    marker = Marker.read(directory)
    if not isinstance(number, int) or not isinstance(runs, int) or (marker is not None and marker.id != number):
        return None
    if marker is not None and marker.database is not None:
        raise WorkspaceError(f"{directory} keeps its history elsewhere, and no demo does; name another directory.")
    return runs, bool(finished)


def _plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _remove(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
