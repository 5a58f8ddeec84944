"""A database that lies outside its workspace remembers where that lies, so that a copy of the workspace cannot go on beside it.

Original and copy have one number, and each would miss what the other's trace has. So whoever opens one looks whether the
directory that the database remembers is still there and still this workspace. If it is gone, the workspace was moved, or is
restored from a copy, and the database remembers the new place. What lies on another machine cannot be looked at.
"""

import json
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from stepdown import files
from stepdown.errors import WorkspaceError
from stepdown.history import owner, urls
from stepdown.workspace.marker import LIMIT, NAME, Marker, same_database, sessions, unusable, write_atomically

RECORD = "workspace.json"
"""The file beside the locks of a SQLite database that names its workspace's directory."""


def at_home(root: Path, marker: Marker, connection: Connection) -> bool:
    """Tell whether a database lies in its workspace's directory, or remembers that very one."""
    file = urls.file(marker.url(root))
    if file is not None and sessions(root, marker) == root / "sessions":
        return True
    remembered = _remembered(root, marker, connection)
    with suppress(OSError, ValueError):
        return remembered is not None and remembered.samefile(root)
    return False


def check_alone(root: Path, marker: Marker, connection: Connection) -> None:
    """Refuse a workspace while another directory is it too.

    Raises:
        WorkspaceError: There is one (kind `database-taken`), or nobody may look.
    """
    remembered, file = _remembered(root, marker, connection), urls.file(marker.url(root))
    if file is not None and (names := file.stat().st_nlink) > 1:
        # SQLite keeps a log beside each name, so two would not see what the other writes.
        raise WorkspaceError(
            f"The database {file} has {names} names (hard links), and may be used under one alone; put a copy in its place.",
            kind="database-taken",
        )
    if remembered is not None:
        try:
            copied = _is_it(remembered, root, marker)
        except (OSError, WorkspaceError) as error:
            raise _unseen(remembered, root, marker) from error
        if copied:
            raise _taken(remembered, root, marker)
    # A URL may name the file in the very directory that was copied: that one never had to be remembered.
    beside = False
    with suppress(OSError, WorkspaceError):
        beside = file is not None and _is_it(file.parent, root, marker)
    if file is not None and beside:
        raise _taken(file.parent, root, marker)


def settle(root: Path, marker: Marker, connection: Connection) -> None:
    """Let a database remember a workspace's directory, in the transaction of its one writer.

    Raises:
        WorkspaceError: Another directory is this workspace too, see `check_alone`, or the record cannot be written.
    """
    check_alone(root, marker, connection)
    if urls.file(marker.url(root)) is None:
        owner.settle(connection, str(root))
        return
    locks = sessions(root, marker)
    try:
        locks.mkdir(exist_ok=True)
        write_atomically(locks / RECORD, json.dumps({"workspace": str(root)}))
    except OSError as error:
        raise unusable(root, error) from error


def _remembered(root: Path, marker: Marker, connection: Connection) -> Path | None:
    if urls.file(marker.url(root)) is None:
        address = owner.address(connection)
        return Path(address) if address else None
    try:
        stored = json.loads(files.contents(sessions(root, marker) / RECORD, LIMIT))
        return Path(stored["workspace"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_it(directory: Path, root: Path, marker: Marker) -> bool:
    """Tell whether a directory is this workspace too, and another one than this.

    Raises:
        OSError: Nobody may look.
        WorkspaceError: It holds a marker that cannot be read.
    """
    try:
        if directory.samefile(root):
            return False
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    other = Marker.read(directory)
    return other is not None and other.id == marker.id and same_database(directory, other, root, marker)


def _taken(other: Path, root: Path, marker: Marker) -> WorkspaceError:
    database = urls.shown(marker.url(root))
    return WorkspaceError(
        f"{root} is a copy of {other}, and both name the database {database}: only one can go on with it. Open {other}, or "
        f"move that away; a workspace of its own needs a copy of the database too, and its URL in {root / NAME}.",
        kind="database-taken",
    )


def _unseen(other: Path, root: Path, marker: Marker) -> WorkspaceError:
    file = urls.file(marker.url(root))
    moved = f"; if it was moved from there, remove {sessions(root, marker) / RECORD}" if file is not None else ""
    return WorkspaceError(
        f"The database {urls.shown(marker.url(root))} is that of the workspace {other}, and whether that is still there cannot "
        f"be seen: let somebody open {root} who may look into it, or mend it{moved}.",
        kind="database-taken",
    )
