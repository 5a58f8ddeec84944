"""What was begun and has not ended, of living and dead processes."""

from dataclasses import replace

from sqlalchemy import Connection

from stepdown.history import questions, reader, rows


def calls(connection: Connection) -> list[rows.Announcement]:
    """Return the calls that were announced and not finished, by living and dead processes, oldest first."""
    return [rows.Announcement(*row) for row in connection.execute(questions.UNFINISHED)]


def runs(connection: Connection) -> list[rows.Run]:
    """Return the runs that have not ended, oldest first, each with the session whose it is now."""
    unended = [rows.Run(*row) for row in connection.execute(questions.UNENDED)]
    last = {run.id: reader.newest(connection, rows.Resumption, run=run.id) for run in unended}
    return [replace(run, session=again.session) if (again := last[run.id]) else run for run in unended]
