"""Schema versions: bring a database forward, refuse one from the future. Alembic is imported only when there is work."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from stepdown.errors import WorkspaceError

HEAD = "0001"
"""The newest migration; a test compares it with the directory."""

MIGRATIONS = Path(__file__).with_name("migrations")


def version(connection: Connection) -> str | None:
    """Return the schema version of a database, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest schema version, inside the caller's transaction.

    Raises:
        WorkspaceError: A newer stepdown wrote it.
    """
    found = version(connection)
    if found == HEAD:
        return
    known = {path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    if found is not None and found not in known:
        raise WorkspaceError(
            f"The database has schema version {found}, and this stepdown knows up to {HEAD}: upgrade stepdown.",
            kind="workspace-newer",
        )
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, "head")
