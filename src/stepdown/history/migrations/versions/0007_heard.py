"""An evaluation names the steps in which a model judged its replies; one that it gave no verdict on has no score."""

import sqlalchemy as sa
from alembic import op

from stepdown.history.append_only import triggers

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column, and let a score be missing."""
    op.add_column("evaluation", sa.Column("judged", sa.String(length=120), nullable=True))
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("holdout", "score", existing_type=sa.Float(), nullable=True)
        return
    _holdout_anew()
    for statement in triggers("sqlite", ["holdout"]):
        op.execute(statement)


def _holdout_anew() -> None:
    """Make the table of held-out replies again: SQLite changes no column. Its triggers go with it, and nothing refers to it."""
    op.create_table(
        "holdout_anew",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("evaluation", sa.String(length=120), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("legal", sa.Boolean(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["evaluation"], ["evaluation.id"], name=op.f("fk_holdout_evaluation")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_holdout")),
        sqlite_autoincrement=True,
    )
    columns = "seq, evaluation, seed, score, legal, reply"
    op.execute(f"INSERT INTO holdout_anew SELECT {columns} FROM holdout ORDER BY seq")
    op.drop_table("holdout")
    op.rename_table("holdout_anew", "holdout")
    op.create_index(op.f("ix_holdout_evaluation"), "holdout", ["evaluation"], unique=False)
