"""Receipts without an id find the cards that messages have left; both look back equally far."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gongdian.columns import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PERSON = ["account", "address_hash"]
CLIENT = ["account", "client_msg_id"]


def upgrade() -> None:
    """A receipt that waits already may be for a card of the two days before it."""
    op.add_column("pending_receipts", sa.Column("since", UtcDateTime(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE pending_receipts SET since = datetime(received_at, '-2 days')")
    else:
        op.execute("UPDATE pending_receipts SET since = received_at - INTERVAL 2 DAY")
    with op.batch_alter_table("pending_receipts") as rows:
        rows.alter_column("since", existing_type=UtcDateTime(), nullable=False)
    op.create_index("ix_pending_receipts_person", "pending_receipts", PERSON)
    op.create_index("ix_pending_receipts_client_msg_id", "pending_receipts", CLIENT)
    op.create_index("ix_message_steps_address", "message_steps", ["address_hash"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("ix_message_steps_address", "message_steps")
    op.drop_index("ix_pending_receipts_client_msg_id", "pending_receipts")
    op.drop_index("ix_pending_receipts_person", "pending_receipts")
    with op.batch_alter_table("pending_receipts") as rows:
        rows.drop_column("since")
