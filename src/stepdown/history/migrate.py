"""Schema versions: bring a database forward, refuse one from the future. Alembic is imported only when there is work."""

import os
import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from stepdown.errors import WorkspaceError
from stepdown.history.schema import metadata

HEAD = "0007"
"""The newest migration; a test compares it with the directory."""

MIGRATIONS = Path(__file__).with_name("migrations")


_turn = threading.Lock()
"""One migration at a time in a process: alembic keeps its context in globals, so two would run each other's statements.

Taken inside the transaction of the database's one writer: processes take turns there, and nobody waits in a circle.
"""


def _anew() -> None:
    global _turn  # noqa: PLW0603 - the thread that holds it does not exist in a forked child
    _turn = threading.Lock()


os.register_at_fork(after_in_child=_anew)


def version(connection: Connection) -> str | None:
    """Return the schema version of a database, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest schema version, inside the caller's transaction.

    Raises:
        WorkspaceError: A newer stepdown wrote it, or it is somebody else's.
    """
    current = version(connection)
    if current == HEAD:
        return
    versions = {path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    if current is not None and current not in versions:
        raise WorkspaceError(
            f"The database has schema version {current}, and this stepdown knows up to {HEAD}: upgrade stepdown.",
            kind="workspace-newer",
        )
    if current is None and (strange := set(inspect(connection).get_table_names()) & metadata.tables.keys()):
        raise WorkspaceError(
            f"The database holds tables of something else ({', '.join(sorted(strange))}); choose an empty one."
        )
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    with _turn:
        command.upgrade(config, "head")
