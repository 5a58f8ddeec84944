"""What a run's story needs is found by an index, however much was recorded before and since."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the indexes."""
    op.create_index(op.f("ix_knowledge_step"), "knowledge", ["step"], unique=False)
    op.create_index(op.f("ix_evaluation_run"), "evaluation", ["run"], unique=False)
    op.create_index(op.f("ix_verdict_run"), "verdict", ["run"], unique=False)
    op.create_index(op.f("ix_step_role_served_seq"), "step", ["role", "served", "seq"], unique=False)
