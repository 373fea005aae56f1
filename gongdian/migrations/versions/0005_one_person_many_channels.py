"""A message belongs to a person; what a channel that it has left reports is still known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gongdian.columns import Digest, KeyText

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FIRST_CHANNEL = "wechat_template"


def upgrade() -> None:
    """The address of the first channel stands for the person."""
    op.add_column("messages", sa.Column("person_hash", Digest(), nullable=True))
    op.execute("UPDATE messages SET person_hash = address_hash")
    with op.batch_alter_table("messages") as rows:
        rows.alter_column("person_hash", existing_type=Digest(), nullable=False)
        rows.add_column(
            sa.Column("is_superseded", sa.Boolean(), nullable=False, server_default=sa.text("0"))
        )
    op.drop_index("ix_messages_next_step", "messages")
    op.drop_index("ix_messages_address", "messages")
    op.create_index("ix_messages_step", "messages", ["account", "state", "next_step", "switch_at"])
    op.create_index("ix_messages_person", "messages", ["person_hash"])
    op.create_index("ix_messages_client_msg_id", "messages", ["client_msg_id"])
    op.add_column("message_steps", _text("platform_msgid", 32))
    op.create_index("ix_message_steps_platform_msgid", "message_steps", ["platform_msgid"])
    op.add_column("pending_receipts", _text("channel", 20, FIRST_CHANNEL))
    op.add_column("pending_receipts", _text("client_msg_id", 32))
    _rename_contact_days("address_hash", "person_hash")


def downgrade() -> None:
    """Take it away again."""
    _rename_contact_days("person_hash", "address_hash")
    with op.batch_alter_table("pending_receipts") as receipts:
        receipts.drop_column("client_msg_id")
        receipts.drop_column("channel")
    op.drop_index("ix_message_steps_platform_msgid", "message_steps")
    with op.batch_alter_table("message_steps") as steps:
        steps.drop_column("platform_msgid")
    for name in ("ix_messages_client_msg_id", "ix_messages_person", "ix_messages_step"):
        op.drop_index(name, "messages")
    with op.batch_alter_table("messages") as rows:
        rows.drop_column("is_superseded")
        rows.drop_column("person_hash")
    op.create_index("ix_messages_address", "messages", ["address_hash", "state"])
    op.create_index("ix_messages_next_step", "messages", ["next_step", "state"])


def _text(name: str, length: int, default: str = "") -> sa.Column[str]:
    given = sa.text(f"'{default}'")
    return sa.Column(name, KeyText(length=length), nullable=False, server_default=given)


def _rename_contact_days(old: str, new: str) -> None:
    op.execute(f"ALTER TABLE contact_days RENAME COLUMN {old} TO {new}")
