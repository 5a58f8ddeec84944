"""How runs ended, and when they went on."""

from sqlalchemy import Connection

from stepdown.history import reader, rows


def last(connection: Connection, run_id: str) -> rows.Ending | None:
    """Return how a run ended at last, None while it is under way."""
    ended = reader.all_of(connection, rows.Ending, run=run_id)
    return ended[-1] if len(ended) > len(resumptions(connection, run_id)) else None


def resumptions(connection: Connection, run_id: str) -> list[rows.Resumption]:
    """Return when a run went on after it had ended, oldest first."""
    return reader.all_of(connection, rows.Resumption, run=run_id)
