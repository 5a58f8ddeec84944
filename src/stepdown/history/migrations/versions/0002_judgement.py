"""A judgement may come later than the answer: a row of its own."""

import sqlalchemy as sa
from alembic import op

from stepdown.history.append_only import triggers

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table, and let nobody change what stands in it."""
    op.create_table(
        "judgement",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("call", sa.String(length=120), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["call"], ["attempt.call"], name=op.f("fk_judgement_call")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_judgement")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_judgement_call_seq"), "judgement", ["call", "seq"], unique=False)
    for statement in triggers(op.get_bind().dialect.name, ["judgement"]):
        op.execute(statement)
