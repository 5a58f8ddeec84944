"""What a slot's promotions may still err, how a training's loss went, and logs of other systems."""

import sqlalchemy as sa
from alembic import op

from stepdown.history.append_only import triggers

revision = "0004"
down_revision = "0003"

WORD = sa.String(length=120)


def upgrade() -> None:
    """Make the tables, and let nobody change what stands in them."""
    _table(
        "spending",
        sa.Column("run", WORD, nullable=False),
        sa.Column("scenario", WORD, nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_spending_run")),
        sa.UniqueConstraint("run", name=op.f("uq_spending_run")),
    )
    op.create_index(op.f("ix_spending_scenario_role_number"), "spending", ["scenario", "role", "number"], unique=True)
    _table(
        "loss",
        sa.Column("bundle", WORD, nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("loss", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["bundle"], ["bundle.id"], name=op.f("fk_loss_bundle")),
    )
    op.create_index(op.f("ix_loss_bundle_seq"), "loss", ["bundle", "seq"], unique=False)
    _logs()
    for statement in triggers(op.get_bind().dialect.name, ["spending", "loss", "log", "exchange"]):
        op.execute(statement)


def _logs() -> None:
    _table(
        "log",
        sa.Column("id", WORD, nullable=False),
        sa.Column("scenario", WORD, nullable=False),
        sa.Column("scenario_version", sa.Integer(), nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("digest", WORD, nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.JSON(), nullable=False),
        sa.Column("by", WORD, nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.UniqueConstraint("id", name=op.f("uq_log_id")),
    )
    op.create_index(op.f("ix_log_scenario_role_seq"), "log", ["scenario", "role", "seq"], unique=False)
    _table(
        "exchange",
        sa.Column("log", WORD, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("input", sa.JSON(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("model", WORD, nullable=True),
        sa.ForeignKeyConstraint(["log"], ["log.id"], name=op.f("fk_exchange_log")),
    )
    op.create_index(op.f("ix_exchange_log_line"), "exchange", ["log", "line"], unique=True)


def _table(name: str, *columns: sa.schema.SchemaItem) -> None:
    seq = sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False)
    primary = sa.PrimaryKeyConstraint("seq", name=op.f(f"pk_{name}"))
    op.create_table(name, seq, *columns, primary, sqlite_autoincrement=True)
