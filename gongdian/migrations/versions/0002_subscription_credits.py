"""Subscription credits: how often a contact lets us send a subscription message."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gongdian.columns import KeyText, RowId, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "subscription_credits",
        sa.Column("contact_id", RowId, autoincrement=False, nullable=False),
        sa.Column("template_id", KeyText(length=64), nullable=False),
        sa.Column("credits", sa.Integer(), nullable=False),
        sa.Column("is_long_term", sa.Boolean(), nullable=False),
        sa.Column("refused_at", UtcDateTime(), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "template_id", name=op.f("pk_subscription_credits")),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("subscription_credits")
