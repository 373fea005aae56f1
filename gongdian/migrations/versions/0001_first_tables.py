"""The first tables: accounts, inbox, outbox, credentials, audit, alarms."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from gongdian.columns import Digest, KeyText, RowId, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
Sealed = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
TABLES = (
    "alarms",
    "audit_heads",
    "audit_rows",
    "callbacks",
    "consents",
    "contact_days",
    "contacts",
    "daily_budgets",
    "intents",
    "message_attempts",
    "message_events",
    "messages",
    "pending_receipts",
    "platform_credentials",
    "rate_windows",
    "switches",
)


def upgrade() -> None:
    """Make every table."""
    _alarms()
    _audit_heads()
    _audit_rows()
    _callbacks()
    _consents()
    _contact_days()
    _contacts()
    _daily_budgets()
    _intents()
    _message_attempts()
    _message_events()
    _messages()
    _pending_receipts()
    _platform_credentials()
    _rate_windows()
    _switches()


def downgrade() -> None:
    """Drop every table."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("key", KeyText(length=100), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alarms")),
        **OPTIONS,
    )
    op.create_index("ix_alarms_last_at", "alarms", ["last_at"], unique=False)


def _audit_heads() -> None:
    op.create_table(
        "audit_heads",
        sa.Column("name", KeyText(length=20), nullable=False),
        sa.Column("seal_no", RowId, nullable=False),
        sa.Column("seal", Digest(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_heads")),
        **OPTIONS,
    )


def _audit_rows() -> None:
    op.create_table(
        "audit_rows",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", KeyText(length=64), nullable=False),
        sa.Column("action", KeyText(length=80), nullable=False),
        sa.Column("subject", KeyText(length=190), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("seal_no", RowId, nullable=True),
        sa.Column("seal", Digest(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_rows")),
        sa.UniqueConstraint("seal_no", name=op.f("uq_audit_rows_seal_no")),
        **OPTIONS,
    )
    op.create_index("ix_audit_rows_subject", "audit_rows", ["subject", "id"], unique=False)


def _callbacks() -> None:
    op.create_table(
        "callbacks",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("dedupe", Digest(), nullable=False),
        sa.Column("account", KeyText(length=32), nullable=False),
        sa.Column("kind", KeyText(length=80), nullable=False),
        sa.Column("raw", Sealed, nullable=False),
        sa.Column("is_json", sa.Boolean(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("state", KeyText(length=12), nullable=False),
        sa.Column("reply", Sealed, nullable=True),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callbacks")),
        sa.UniqueConstraint("dedupe", name=op.f("uq_callbacks_dedupe")),
        **OPTIONS,
    )
    op.create_index("ix_callbacks_claim", "callbacks", ["state", "not_before", "id"], unique=False)
    op.create_index("ix_callbacks_received", "callbacks", ["received_at"], unique=False)


def _consents() -> None:
    op.create_table(
        "consents",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("contact_id", RowId, nullable=False),
        sa.Column("purpose", KeyText(length=40), nullable=False),
        sa.Column("version", KeyText(length=20), nullable=False),
        sa.Column("decision", KeyText(length=12), nullable=False),
        sa.Column("source", KeyText(length=190), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
        **OPTIONS,
    )
    op.create_index(
        "ix_consents_contact", "consents", ["contact_id", "purpose", "id"], unique=False
    )


def _contact_days() -> None:
    op.create_table(
        "contact_days",
        sa.Column("address_hash", Digest(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("used", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address_hash", "on", name=op.f("pk_contact_days")),
        **OPTIONS,
    )


def _contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("account", KeyText(length=32), nullable=False),
        sa.Column("openid", Sealed, nullable=True),
        sa.Column("openid_hash", Digest(), nullable=False),
        sa.Column("state", KeyText(length=12), nullable=False),
        sa.Column("scene", sa.String(length=64), nullable=False),
        sa.Column("met_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("refused_reason", KeyText(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("account", "openid_hash", name=op.f("uq_contacts_account_openid_hash")),
        **OPTIONS,
    )


def _daily_budgets() -> None:
    op.create_table(
        "daily_budgets",
        sa.Column("account", KeyText(length=32), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", "on", name=op.f("pk_daily_budgets")),
        **OPTIONS,
    )


def _intents() -> None:
    op.create_table(
        "intents",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("key", KeyText(length=190), nullable=False),
        sa.Column("kind", KeyText(length=40), nullable=False),
        sa.Column("payload", Sealed, nullable=False),
        sa.Column("state", KeyText(length=12), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intents")),
        sa.UniqueConstraint("key", name=op.f("uq_intents_key")),
        **OPTIONS,
    )
    op.create_index("ix_intents_claim", "intents", ["state", "not_before", "id"], unique=False)


def _message_attempts() -> None:
    op.create_table(
        "message_attempts",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("message_id", RowId, nullable=False),
        sa.Column("channel", KeyText(length=20), nullable=False),
        sa.Column("worker", KeyText(length=64), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=False),
        sa.Column("outcome", KeyText(length=12), nullable=False),
        sa.Column("errcode", sa.Integer(), nullable=True),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("rid", KeyText(length=64), nullable=False),
        sa.Column("platform_msgid", KeyText(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_attempts")),
        **OPTIONS,
    )
    op.create_index(
        op.f("ix_message_attempts_message_id"), "message_attempts", ["message_id"], unique=False
    )


def _message_events() -> None:
    op.create_table(
        "message_events",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("message_id", RowId, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("what", KeyText(length=40), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_events")),
        **OPTIONS,
    )
    op.create_index(
        op.f("ix_message_events_message_id"), "message_events", ["message_id"], unique=False
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("key", KeyText(length=190), nullable=False),
        sa.Column("flow", KeyText(length=20), nullable=False),
        sa.Column("subject", KeyText(length=80), nullable=False),
        sa.Column("occasion", KeyText(length=40), nullable=False),
        sa.Column("recipient", KeyText(length=40), nullable=False),
        sa.Column("topic", KeyText(length=120), nullable=False),
        sa.Column("account", KeyText(length=32), nullable=False),
        sa.Column("channel", KeyText(length=20), nullable=False),
        sa.Column("kind", KeyText(length=40), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("is_legal", sa.Boolean(), nullable=False),
        sa.Column("passes_quiet", sa.Boolean(), nullable=False),
        sa.Column("state", KeyText(length=12), nullable=False),
        sa.Column("reason", KeyText(length=64), nullable=False),
        sa.Column("content", Sealed, nullable=False),
        sa.Column("address", Sealed, nullable=False),
        sa.Column("address_hash", Digest(), nullable=False),
        sa.Column("client_msg_id", KeyText(length=32), nullable=False),
        sa.Column("link_hash", Digest(), nullable=True),
        sa.Column("queued_at", UtcDateTime(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("held_until", UtcDateTime(), nullable=True),
        sa.Column("withdraw_requested", sa.Boolean(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("claimed_by", KeyText(length=64), nullable=True),
        sa.Column("claimed_at", UtcDateTime(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("unknown_since", UtcDateTime(), nullable=True),
        sa.Column("budget_on", sa.Date(), nullable=True),
        sa.Column("cap_on", sa.Date(), nullable=True),
        sa.Column("platform_msgid", KeyText(length=32), nullable=False),
        sa.Column("accepted_at", UtcDateTime(), nullable=True),
        sa.Column("receipt_status", sa.String(length=64), nullable=False),
        sa.Column("receipt_at", UtcDateTime(), nullable=True),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("opened_at", UtcDateTime(), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("answer", KeyText(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("key", name=op.f("uq_messages_key")),
        **OPTIONS,
    )
    op.create_index("ix_messages_accepted", "messages", ["state", "accepted_at"], unique=False)
    op.create_index("ix_messages_address", "messages", ["address_hash", "state"], unique=False)
    op.create_index(
        "ix_messages_claim",
        "messages",
        ["state", "account", "priority", "not_before", "id"],
        unique=False,
    )
    op.create_index("ix_messages_expiry", "messages", ["state", "expires_at"], unique=False)
    op.create_index("ix_messages_lease", "messages", ["state", "lease_until"], unique=False)
    op.create_index("ix_messages_link_hash", "messages", ["link_hash"], unique=True)
    op.create_index(
        "ix_messages_platform_msgid", "messages", ["account", "platform_msgid"], unique=False
    )
    op.create_index("ix_messages_subject", "messages", ["flow", "subject"], unique=False)
    op.create_index("ix_messages_topic", "messages", ["topic", "state"], unique=False)
    op.create_index("ix_messages_unknown", "messages", ["state", "unknown_since"], unique=False)


def _pending_receipts() -> None:
    op.create_table(
        "pending_receipts",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("dedupe", Digest(), nullable=False),
        sa.Column("account", KeyText(length=32), nullable=False),
        sa.Column("address_hash", Digest(), nullable=False),
        sa.Column("platform_msgid", KeyText(length=32), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_receipts")),
        sa.UniqueConstraint("dedupe", name=op.f("uq_pending_receipts_dedupe")),
        **OPTIONS,
    )
    op.create_index(
        "ix_pending_receipts_msgid", "pending_receipts", ["account", "platform_msgid"], unique=False
    )
    op.create_index(
        "ix_pending_receipts_received", "pending_receipts", ["received_at"], unique=False
    )


def _platform_credentials() -> None:
    op.create_table(
        "platform_credentials",
        sa.Column("name", KeyText(length=128), nullable=False),
        sa.Column("value", Sealed, nullable=True),
        sa.Column("value_hash", Digest(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("lease_holder", KeyText(length=64), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_platform_credentials")),
        **OPTIONS,
    )


def _rate_windows() -> None:
    op.create_table(
        "rate_windows",
        sa.Column("name", KeyText(length=64), nullable=False),
        sa.Column("window", RowId, nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rate_windows")),
        **OPTIONS,
    )


def _switches() -> None:
    op.create_table(
        "switches",
        sa.Column("name", KeyText(length=100), nullable=False),
        sa.Column("stopped_at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("stopped_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switches")),
        **OPTIONS,
    )
