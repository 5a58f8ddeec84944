"""A log names the text of the prompt that its cases were put in."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; what was brought in before was put in the first text."""
    op.add_column("log", sa.Column("prompts", sa.String(length=120), nullable=True))
