"""Where else a contact can be reached, in the order of their preference."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from gongdian.columns import Digest, KeyText, RowId, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "contact_channels",
        sa.Column("contact_id", RowId, autoincrement=False, nullable=False),
        sa.Column("channel", KeyText(length=20), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column(
            "address",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb"),
            nullable=False,
        ),
        sa.Column("address_hash", Digest(), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), nullable=False),
        sa.Column("refused_reason", KeyText(length=64), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "channel", name=op.f("pk_contact_channels")),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.create_index("ix_contact_channels_address", "contact_channels", ["address_hash"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("contact_channels")
