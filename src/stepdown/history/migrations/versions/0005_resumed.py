"""A run may go on after it had ended before it was done; an evaluation names what the trace has of it."""

import sqlalchemy as sa
from alembic import op

from stepdown.history.append_only import triggers

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add table and column, and let a run end as often as it was begun."""
    op.create_table(
        "resumption",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sa.String(length=120), nullable=False),
        sa.Column("session", sa.String(length=120), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_resumption_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_resumption")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_resumption_run"), "resumption", ["run"], unique=False)
    op.add_column("evaluation", sa.Column("call", sa.String(length=120), nullable=True))
    tables = ["resumption"]
    if op.get_bind().dialect.name == "sqlite":
        _ending_anew()
        tables.append("ending")
    op.create_index(op.f("ix_ending_run"), "ending", ["run"], unique=False)
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("uq_ending_run"), "ending", type_="unique")
    for statement in triggers(op.get_bind().dialect.name, tables):
        op.execute(statement)


def _ending_anew() -> None:
    """Make the table of endings again: SQLite takes no constraint away. Its triggers go with it, and nothing refers to it."""
    op.create_table(
        "ending_anew",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sa.String(length=120), nullable=False),
        sa.Column("outcome", sa.String(length=120), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_ending_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ending")),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO ending_anew SELECT seq, run, outcome, error, at FROM ending ORDER BY seq")
    op.drop_table("ending")
    op.rename_table("ending_anew", "ending")
