"""Fallback channels: the steps of a message, what an attempt costs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from gongdian.columns import Digest, KeyText, RowId, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Sealed = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
OLD_CLAIM = ["state", "account", "priority", "not_before", "id"]
NEW_CLAIM = ["state", "account", "channel", "priority", "not_before", "id"]


def upgrade() -> None:
    """Add the columns and the table; the claim index learns the channel."""
    op.create_table(
        "message_steps",
        sa.Column("message_id", RowId, autoincrement=False, nullable=False),
        sa.Column("step", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", KeyText(length=20), nullable=False),
        sa.Column("content", Sealed, nullable=False),
        sa.Column("address", Sealed, nullable=False),
        sa.Column("address_hash", Digest(), nullable=False),
        sa.Column("wait_s", sa.Integer(), nullable=True),
        sa.Column("begun_at", UtcDateTime(), nullable=True),
        sa.Column("because", KeyText(length=64), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "step", name=op.f("pk_message_steps")),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.add_column(
        "messages", sa.Column("step", sa.SmallInteger(), nullable=False, server_default="0")
    )
    op.add_column("messages", sa.Column("next_step", sa.SmallInteger(), nullable=True))
    op.add_column("messages", sa.Column("switch_at", UtcDateTime(), nullable=True))
    op.add_column(
        "message_attempts", sa.Column("cost_fen", sa.Integer(), nullable=False, server_default="0")
    )
    op.create_index("ix_messages_next_step", "messages", ["next_step", "state"])
    op.drop_index("ix_messages_claim", "messages")
    op.create_index("ix_messages_claim", "messages", NEW_CLAIM)


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("ix_messages_claim", "messages")
    op.create_index("ix_messages_claim", "messages", OLD_CLAIM)
    op.drop_index("ix_messages_next_step", "messages")
    with op.batch_alter_table("message_attempts") as attempts:
        attempts.drop_column("cost_fen")
    with op.batch_alter_table("messages") as rows:
        for name in ("switch_at", "next_step", "step"):
            rows.drop_column(name)
    op.drop_table("message_steps")
