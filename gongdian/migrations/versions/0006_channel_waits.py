"""How long a contact's channel waits for the one before it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing in it means the usual patience."""
    op.add_column("contact_channels", sa.Column("wait_s", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    with op.batch_alter_table("contact_channels") as rows:
        rows.drop_column("wait_s")
