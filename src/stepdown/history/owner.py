"""Whose a database is: the number of its workspace, kept where the database keeps words about itself.

Two workspaces on one database would close each other's calls by the wrong trace, and each would miss the other's bundles.
"""

import os
import re
from urllib.parse import quote, unquote_to_bytes

from sqlalchemy import Connection, text

LARGEST = 2**31 - 1
"""SQLite keeps one signed number of 32 bits for whoever uses the file."""

KEEPERS = ("sqlite", "postgresql")
"""Databases that have a place for such words."""

_COMMENT = re.compile(r"stepdown workspace ([0-9]+)(?: at (\S+))?")


def owner(connection: Connection) -> int | None:
    """Return the number of the workspace that a migrated database belongs to; None when nobody claimed it yet."""
    match connection.dialect.name:
        case "sqlite":
            return connection.execute(text("PRAGMA user_version")).scalar() or None
        case "postgresql":
            comment = _comment(connection)
            return int(comment[1]) if comment else None
    return None


def claim(connection: Connection, number: int) -> None:
    """Write down, in the caller's transaction, which workspace the database belongs to."""
    match connection.dialect.name:
        case "sqlite":
            connection.execute(text(f"PRAGMA user_version = {number:d}"))
        case "postgresql":
            connection.execute(text(f"COMMENT ON TABLE run IS 'stepdown workspace {number:d}'"))


def address(connection: Connection) -> str | None:
    """Return the directory of the workspace that a server's database belongs to; None when it remembers none."""
    comment = _comment(connection) if connection.dialect.name == "postgresql" else None
    return os.fsdecode(unquote_to_bytes(comment[2])) if comment and comment[2] else None


def settle(connection: Connection, directory: str) -> None:
    """Write down, in the caller's transaction, where the workspace lies that a server's database belongs to."""
    number = owner(connection) if connection.dialect.name == "postgresql" else None
    if number is not None:
        # Quoted, no character of a path is one of SQL's, or a colon.
        where = quote(os.fsencode(directory))
        connection.execute(text(f"COMMENT ON TABLE run IS 'stepdown workspace {number:d} at {where}'"))


def _comment(connection: Connection) -> re.Match[str] | None:
    words = connection.execute(text("SELECT obj_description('run'::regclass, 'pg_class')")).scalar()
    return _COMMENT.fullmatch(words or "")
