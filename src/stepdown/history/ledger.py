"""The one writer. Every INSERT of stepdown stands here, and no statement of any other kind.

A function takes the connection of a transaction that its caller opened, so that what belongs together is committed
together.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Table, insert

from stepdown.history import rows, schema

TABLES: dict[type, Table] = {
    rows.Run: schema.run,
    rows.Ending: schema.ending,
    rows.Resumption: schema.resumption,
    rows.Announcement: schema.announcement,
    rows.Attempt: schema.attempt,
    rows.Step: schema.step,
    rows.PlayedMatch: schema.match,
    rows.Generation: schema.generation,
    rows.Lesson: schema.knowledge,
    rows.Dataset: schema.dataset,
    rows.Bundle: schema.bundle,
    rows.Evaluation: schema.evaluation,
    rows.Holdout: schema.holdout,
    rows.Act: schema.act,
    rows.PolicyChange: schema.policy,
    rows.HarnessSwitch: schema.harness,
    rows.Verdict: schema.verdict,
    rows.GivenScore: schema.judgement,
    rows.Spending: schema.spending,
    rows.Loss: schema.loss,
    rows.Log: schema.log,
    rows.Exchange: schema.exchange,
}
"""Which table keeps which row."""


INSERTS = {kind: insert(table) for kind, table in TABLES.items()}
COLUMNS = {kind: tuple(field.name for field in fields(kind)) for kind in TABLES}


def append(connection: Connection, *values: Any) -> None:
    """Append rows, each to the table of its type, in the order given."""
    for value in values:
        connection.execute(INSERTS[type(value)], _row(value))


def append_all(connection: Connection, values: Iterable[Any]) -> None:
    """Append many rows of one type in one statement."""
    batch = list(values)
    if batch:
        connection.execute(INSERTS[type(batch[0])], [_row(value) for value in batch])


def _row(value: Any) -> dict[str, Any]:
    # Not asdict: it would copy the JSON columns deeply, and nothing here can change them.
    return {name: getattr(value, name) for name in COLUMNS[type(value)]}
