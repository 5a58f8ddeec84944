"""`workspace.json`: what a workspace remembers of itself, and what lies in its directory."""

import json
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_args

from sqlalchemy import URL

from stepdown import files
from stepdown.errors import InvalidValue, WorkspaceError
from stepdown.history import urls
from stepdown.history.engine import Durability

FORMAT = 1
"""The workspace format that this version writes and reads."""

NAME = "workspace.json"
DATABASE = "stepdown.db"
TRACE = "trace.jsonl"
FOLDERS = ("datasets", "bundles", "jobs", "knowledge", "sessions")
LIMIT = 1 << 20
"""Bytes; a larger marker is not one of ours, and is not read."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What `workspace.json` says.

    Attributes:
        database: Where history is kept; None is the file in the directory.
        durability: See `history.engine.create`.
        id: The workspace's number, which its database holds too; None before versions that write one.
        format: The workspace format.
    """

    database: URL | None = field(default=None, repr=False)
    durability: Durability = "full"
    id: int | None = None
    format: int = FORMAT

    def url(self, root: Path) -> URL:
        """Return the database of a workspace at this place."""
        return self.database if self.database is not None else urls.sqlite(root / DATABASE)

    def write(self, root: Path) -> None:
        """Replace the file in one step."""
        database = urls.as_json(self.database) if self.database is not None else None
        stored = {"format": self.format, "database": database, "durability": self.durability, "id": self.id}
        write_atomically(root / NAME, json.dumps(stored))

    @classmethod
    def read(cls, root: Path) -> Self | None:
        """Read it, and believe no value of a kind that stepdown does not write; None if there is none.

        Raises:
            WorkspaceError: It is damaged, unreadable or newer.
        """
        path = root / NAME
        try:
            stored = json.loads(files.contents(path, LIMIT))
            marker = cls(**_believed(stored))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unusable(root, error) from error
        except (ValueError, RecursionError) as error:
            raise WorkspaceError(f"{path} is damaged; write {{}} into it to use the default database.") from error
        if marker.format > FORMAT:
            raise WorkspaceError(
                f"{root} has workspace format {marker.format}, and this stepdown knows up to {FORMAT}: upgrade stepdown.",
                kind="workspace-newer",
            )
        return marker


def _believed(stored: Any) -> dict[str, Any]:
    kinds: dict[str, tuple[Any, Any]] = {"format": (int, FORMAT), "durability": (str, "full"), "id": (int | None, None)}
    if not isinstance(stored, dict) or not all(isinstance(stored.get(n, d), k) for n, (k, d) in kinds.items()):
        raise ValueError("it is not a workspace's")
    values = {name: stored.get(name, default) for name, (_, default) in kinds.items()}
    if values["durability"] not in get_args(Durability):
        raise ValueError("it names no durability")
    return {**values, "database": urls.from_json(stored.get("database"))}


def unusable(root: Path, error: OSError | ValueError) -> WorkspaceError:
    """Return what to say of a directory in which nothing can be read or made."""
    why = error.strerror if isinstance(error, OSError) else "its path holds a character that no file system takes"
    return WorkspaceError(f"{root} cannot be used as a workspace: {why}.")


def check_path(root: Path) -> None:
    """Refuse a path that no file system takes.

    Raises:
        WorkspaceError: It holds a character that cannot be, or is a link that leads nowhere.
    """
    try:
        os.fsencode(root)
    except UnicodeEncodeError as error:
        raise unusable(root, error) from error
    if "\0" in str(root):
        raise unusable(root, ValueError())
    _check_link(root)


def _check_link(root: Path) -> None:
    try:
        nowhere = root.is_symlink() and not root.exists()
    except OSError:
        return  # What is not even a name is refused where it is used.
    if nowhere:
        raise WorkspaceError(
            f"{root} is a link to {root.readlink()}, which leads nowhere; mend it, or name another place."
        )


def present(root: Path) -> bool:
    """Tell whether a directory is a workspace.

    Raises:
        WorkspaceError: Nobody may look.
    """
    try:
        (root / NAME).lstat()
    except (FileNotFoundError, NotADirectoryError):
        _check_link(root)
        return False
    except (OSError, ValueError) as error:
        _check_link(root)
        raise unusable(root, error) from error
    return True


def absent(root: Path) -> WorkspaceError:
    """Return the refusal of a directory without a marker: where a history lies in it, with the way to open that."""
    if (root / DATABASE).is_file():
        return WorkspaceError(
            f"{root} holds a history and no {NAME}; write {{}} into {root / NAME}, and it is opened as it was.",
            kind="workspace-absent",
        )
    return WorkspaceError(f"There is no workspace at {root}; `stepdown run` makes one.", kind="workspace-absent")


def check_files(root: Path, database: Path | None) -> None:
    """Refuse a pipe, a device or a directory in the place of a file: opening it might never return.

    Raises:
        WorkspaceError: With its path.
    """
    for path in filter(None, (database, root / TRACE)):
        with suppress(OSError):
            mode = path.stat().st_mode
            if not (stat.S_ISREG(mode) or (path == database and stat.S_ISDIR(mode))):
                raise WorkspaceError(f"{path} is not a file; move away what is in its place, and restore a copy.")


def sessions(root: Path, marker: Marker) -> Path:
    """Return where the locks of living processes lie: beside the database, so that whoever has it sees them."""
    file = urls.file(marker.url(root))
    # Behind every link: the file itself lies in one place only, whatever leads to it.
    real = file and Path(os.path.realpath(file))
    if real is None or real.parent == Path(os.path.realpath(root)):
        return root / "sessions"
    return Path(f"{real}-sessions")


def writable(root: Path, database: Path | None, locks: Path) -> bool:
    """Tell whether this process may write a workspace: its directory, its locks and its database."""
    paths = [root, locks, *([database, database.parent] if database else [])]
    return all(os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0)) for path in paths if path.exists())


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's text in one step: a reader sees the old text or the new one, whole."""
    # Threads of one process may write the same file at once.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        aside.write_text(text, "utf-8")
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def check_same(root: Path, marker: Marker, url: URL | None) -> None:
    """Refuse to open a workspace with another database than its own.

    Raises:
        InvalidValue: With the database that it has.
    """
    if url is not None and _parts(url) != _parts(urls.absolute(marker.url(root))):
        kept = urls.shown(marker.database) if marker.database is not None else "its own SQLite file"
        raise InvalidValue(f"{root} keeps its history in {kept}; leave out the URL, or choose another workspace.")


def same_database(root: Path, marker: Marker, other_root: Path, other: Marker) -> bool:
    """Tell whether two workspaces keep their history in one database, as far as their markers say."""
    urls_ = [urls.absolute(each.url(at)) for at, each in ((root, marker), (other_root, other))]
    one, two = [os.path.realpath(file) if (file := urls.file(url)) else _parts(url) for url in urls_]
    return one == two


def _parts(url: URL) -> tuple[object, ...]:
    # Without its password: a workspace of an earlier version may still hold one.
    return (url.drivername, url.username, url.host, url.port, url.database, url.query)
