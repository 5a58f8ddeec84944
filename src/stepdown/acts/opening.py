"""Opening a workspace: found, made or refused. What cannot be opened stays as it was, and nothing is left behind for it."""

import secrets
from dataclasses import replace
from pathlib import Path

from sqlalchemy import URL, Connection, Engine

from stepdown.acts.recover import recover
from stepdown.errors import InvalidValue, WorkspaceError
from stepdown.history import engine as engines
from stepdown.history import migrate, owner, snapshot, urls
from stepdown.workspace import Settings, Workspace
from stepdown.workspace.claims import DatabaseSession
from stepdown.workspace.founding import founding
from stepdown.workspace.home import at_home, check_alone, settle
from stepdown.workspace.marker import (
    FOLDERS,
    TRACE,
    Marker,
    check_files,
    check_path,
    check_same,
    sessions,
    unusable,
    writable,
)
from stepdown.workspace.sessions import Session
from stepdown.workspace.task import Beside


def open_workspace(root: Path | str, *, url: str | None = None, settings: Settings | None = None) -> Workspace:
    """Open a workspace, making it if it is new, migrating it if it is older, and closing what a crash left open.

    Where this process may not write, it is opened to be read, as it was left.

    Args:
        root: The directory.
        url: Database of a new workspace; by default a SQLite file in the directory.
        settings: What to compose it of.

    Raises:
        WorkspaceError: It is newer than this version, locked, damaged, on a full disk, without its database, or the
            database is another workspace's or cannot be reached. Nothing that was made for it stays.
        InvalidValue: The URL cannot be used or remembered, or the workspace was made with another one.
    """
    if not str(root):
        raise InvalidValue("A workspace needs a directory; name one, or leave out --workspace.")
    root = Path(root).absolute()
    return _opened(root, url, settings or Settings(scenario=Beside(root.parent)))


def _opened(root: Path, text: str | None, settings: Settings) -> Workspace:
    check_path(root)
    url = _asked(text)
    marker = Marker.read(root)
    if marker is None:
        marker = _founded(root, url, settings)
    check_same(root, marker, url)
    file = urls.file(marker.url(root))
    check_files(root, file)
    if file is not None and not file.exists():
        raise _gone(root, f"{file} is missing")
    settings = replace(settings, durability=settings.durability or marker.durability)
    if not writable(root, file, sessions(root, marker)):
        return _to_read(root, marker, settings)
    return _to_work(root, marker, settings)


def _asked(text: str | None) -> URL | None:
    """Return the database that somebody named, if a workspace can be made on it: before anything is."""
    if text is None:
        return None
    url = urls.absolute(urls.parse(text))
    urls.check_memorable(url)
    engines.create(url).dispose()
    return url


def _founded(root: Path, url: URL | None, settings: Settings) -> Marker:
    """Make a workspace: the marker last, so that whoever finds one knows that there was a database."""
    marker = Marker(url, settings.durability or "full", secrets.randbelow(owner.LARGEST) + 1)
    file = urls.file(marker.url(root))
    with founding(root, file, sessions(root, marker)):
        check_files(root, file)
        earlier = Marker.read(root)
        if earlier is not None:
            return earlier  # Somebody else made it while this one waited.
        engine = settings.engine(marker.url(root), marker.durability, settings.busy_milliseconds)
        try:
            engines.reach(engine)
            with engines.writing(engine) as connection:
                if migrate.version(connection) is None and _written(root / TRACE):
                    raise _gone(root, f"{root / TRACE} has no history beside it")
                migrate.upgrade(connection)
                marker = _numbered(root, marker, owner.owner(connection))
            _make_folders(root, marker)
            marker.write(root)
            # After the marker: a crash in between leaves a database that nobody claims, and not one that nobody may open.
            with engines.writing(engine) as connection:
                return _claimed(root, marker, connection)
        finally:
            engine.dispose()


def _written(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _make_folders(root: Path, marker: Marker) -> None:
    try:
        for folder in (*(root / name for name in FOLDERS), sessions(root, marker)):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise unusable(root, error) from error


def _gone(root: Path, what: str) -> WorkspaceError:
    return WorkspaceError(
        f"The history of {root} is gone: {what}. Restore a copy of it, or move the directory away to begin anew.",
        kind="database-absent",
    )


def _numbered(root: Path, marker: Marker, holder: int | None) -> Marker:
    """Return a new or old marker with the number that its database has, or refuse the database.

    Raises:
        WorkspaceError: The database is another workspace's.
    """
    if holder is None or holder == marker.id:
        return marker
    if marker.database is None:
        # The file in the directory is its own, whatever happened to a marker.
        return replace(marker, id=holder)
    raise WorkspaceError(
        f"The database {urls.shown(marker.database)} belongs to another workspace than {root}, number {holder}; "
        f"open that one, or choose another database.",
        kind="database-taken",
    )


def _to_work(root: Path, marker: Marker, settings: Settings) -> Workspace:
    engine = settings.engine(marker.url(root), settings.durability or "full", settings.busy_milliseconds)
    workspace = Workspace(root, engine, settings, _session(root, marker, engine), {}, closing=recover)
    try:
        engines.reach(engine)
        _bring_forward(workspace, marker)
        _make_folders(root, marker)
        recover(workspace)
    except BaseException:
        engine.dispose()
        raise
    return workspace


def _session(root: Path, marker: Marker, engine: Engine) -> Session:
    directory = sessions(root, marker)
    return DatabaseSession(directory, engine=engine) if engine.dialect.name == "postgresql" else Session(directory)


def _bring_forward(workspace: Workspace, marker: Marker) -> None:
    """Migrate the database, and make sure that it is this workspace's."""
    with workspace.reading() as connection:
        current = migrate.version(connection)
        if current is None:
            raise _gone(workspace.root, f"{_address(workspace, marker)} is empty")
        check_alone(workspace.root, marker, connection)
    if current != migrate.HEAD:
        with workspace.writing() as connection:
            migrate.upgrade(connection)
    with workspace.reading() as connection:
        holder = owner.owner(connection)
    if workspace.engine.dialect.name in owner.KEEPERS and (marker.id is None or holder != marker.id):
        _claim(workspace)
    _settle(workspace)


def _address(workspace: Workspace, marker: Marker) -> str:
    return urls.shown(marker.database) if marker.database is not None else str(urls.file(marker.url(workspace.root)))


def _claim(workspace: Workspace) -> None:
    """Give workspace and database the same number, if neither is another's."""
    root = workspace.root
    with founding(root, None), workspace.writing() as connection:
        marker = _numbered(root, Marker.read(root) or Marker(), owner.owner(connection))
        if marker.id is None:
            marker = replace(marker, id=secrets.randbelow(owner.LARGEST) + 1)
        _claimed(root, marker, connection).write(root)


def _claimed(root: Path, marker: Marker, connection: Connection) -> Marker:
    """Write a marker's number into the database, unless it has one: then it must be the same."""
    holder = owner.owner(connection)
    if holder is None and marker.id is not None:
        owner.claim(connection, marker.id)
    return _numbered(root, marker, holder)


def _settle(workspace: Workspace) -> None:
    """Let a database that lies elsewhere remember where this workspace does."""
    root = workspace.root
    marker = Marker.read(root) or Marker()
    with workspace.reading() as connection:
        settled = at_home(root, marker, connection)
    if not settled:
        with workspace.writing() as connection:
            settle(root, marker, connection)


def _to_read(root: Path, marker: Marker, settings: Settings) -> Workspace:
    """Open what nobody may write: nothing is made, locked or recovered."""
    file = urls.file(marker.url(root))
    shots = [lambda: snapshot.of(file), lambda: snapshot.copied(file)] if file is not None else [lambda: None]
    for take in shots:
        shot = take()
        url = shot.url if shot is not None else marker.url(root)
        engine = settings.engine(url, settings.durability or "full", settings.busy_milliseconds)
        workspace = Workspace(root, engine, settings, _session(root, marker, engine), {}, shot, read_only=True)
        try:
            if _readable(workspace, marker):
                return workspace
        except BaseException:
            workspace.close()
            raise
        workspace.close()
    raise WorkspaceError(
        f"The history of {root} has an older schema; let somebody who may write it open it once, or copy it."
    )


def _readable(workspace: Workspace, marker: Marker) -> bool:
    """Tell whether a database can be read as it is; a private copy may be brought forward, and the original not."""
    private = workspace.snapshot is not None and workspace.snapshot.copy is not None
    try:
        engines.reach(workspace.engine)
        with workspace.reading() as connection:
            current = migrate.version(connection)
    except WorkspaceError:
        if private or workspace.snapshot is None:
            raise
        return False
    if current is None:
        raise _gone(workspace.root, f"{_address(workspace, marker)} is empty")
    if current != migrate.HEAD:
        with engines.writing(workspace.engine) if private else workspace.reading() as connection:
            if not private and current < migrate.HEAD:
                return False
            migrate.upgrade(connection)
    with workspace.reading() as connection:
        _numbered(workspace.root, marker, owner.owner(connection))
    return True
