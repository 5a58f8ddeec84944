"""What tables are made of: one metadata, one kind of instant, and the columns that many tables share."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Dialect, ForeignKey, Integer, MetaData, String, Table, Text, TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Utc(TypeDecorator[datetime]):
    """An aware UTC instant, stored as fixed-width ISO 8601 text, so that text order is time order in every database."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Refuse a naive instant: nobody could say later what it meant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; instants in history are aware")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware instant."""
        return None if value is None else datetime.fromisoformat(value)


def table(name: str, *columns: Any) -> Table:
    """Return a table that counts its rows in `seq`."""
    count = Column("seq", Integer, primary_key=True, autoincrement=True)
    # AUTOINCREMENT: a number is never used again, so no old reference can point at a new row.
    return Table(name, metadata, count, *columns, sqlite_autoincrement=True)


def ref(name: str, target: str, *, nullable: bool = False) -> Column[str]:
    """Return a column that names a row of another table."""
    return Column(name, String(120), ForeignKey(target), nullable=nullable)


def word(name: str, *, nullable: bool = False, unique: bool = False, key: str | None = None) -> Column[str]:
    """Return a column of short words or ids."""
    return Column(name, String(120), nullable=nullable, unique=unique, key=key or name)


def at(name: str = "at") -> Column[datetime]:
    """Return a column of instants."""
    return Column(name, Utc, nullable=False)


def by() -> tuple[Column[Any], ...]:
    """Return the columns of an act: who, why and when."""
    return (word("by"), Column("why", Text, nullable=False), at())
