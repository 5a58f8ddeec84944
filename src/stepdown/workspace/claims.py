"""A session's claim in a database that is no file: an advisory lock, which its server gives up when the process is gone.

So whoever has the database sees who lives, from whichever machine.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, text

from stepdown.history.engine import plainly
from stepdown.workspace.sessions import Session

_inherited: list[Any] = []
"""Connections of a parent, kept for ever in its forked child: closing one would end the parent's conversation."""


@dataclass(slots=True, eq=False, weakref_slot=False)
class DatabaseSession(Session):
    """A claim that PostgreSQL holds, on a connection of its own.

    Attributes:
        engine: Of the run database.
    """

    engine: Engine = field(kw_only=True, repr=False)
    connection: Connection | None = field(default=None, repr=False)

    @property
    def held(self) -> bool:
        """Whether the claim is taken now."""
        return self.connection is not None

    def alive(self, session: str) -> bool:
        """Tell whether a session is still held: by the database, or as versions did that locked a file."""
        if Session.alive(self, session):
            return True
        with plainly(self.engine), self.engine.begin() as connection:
            free = connection.execute(text("SELECT pg_try_advisory_xact_lock_shared(:key)"), {"key": _key(session)})
            return not free.scalar()

    def let_go(self) -> None:
        """Forget the parent's connection, and leave it open."""
        if self.connection is not None:
            _inherited.append(self.connection)
            self.connection = None

    def _take(self) -> None:
        with plainly(self.engine):
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _key(self.id)})
        self.connection = connection

    def _release(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            # Not back into the pool: whatever becomes of the server, nobody inherits a claim.
            connection.invalidate()
            connection.close()


def _key(session: str) -> int:
    return int.from_bytes(sha256(session.encode()).digest()[:8], signed=True)
