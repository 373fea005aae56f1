"""Tables of the outbox (发件箱): messages, attempts, events, receipts, intents, budgets."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, Index, Integer, SmallInteger, String, Table, text

from gongdian.columns import Digest, EncryptedJson, EncryptedText, KeyText, RowId, UtcDateTime
from gongdian.db import metadata
from gongdian.outbox.model import CHANNEL_TEMPLATE

messages = Table(
    "messages",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("key", KeyText(190), nullable=False, unique=True),
    Column("flow", KeyText(20), nullable=False),
    Column("subject", KeyText(80), nullable=False),
    Column("occasion", KeyText(40), nullable=False),
    Column("recipient", KeyText(40), nullable=False),
    Column("topic", KeyText(120), nullable=False),
    Column("account", KeyText(32), nullable=False),
    Column("channel", KeyText(20), nullable=False),
    Column("kind", KeyText(40), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("is_legal", Boolean, nullable=False),
    Column("passes_quiet", Boolean, nullable=False),
    Column("state", KeyText(12), nullable=False),
    Column("reason", KeyText(64), nullable=False, default=""),
    Column("content", EncryptedJson("messages.content"), nullable=False),
    Column("address", EncryptedText("messages.address"), nullable=False),
    Column("address_hash", Digest, nullable=False),
    # whose message it is, whatever its channel: the hash of the first channel's address
    Column("person_hash", Digest, nullable=False),
    Column("client_msg_id", KeyText(32), nullable=False),
    Column("link_hash", Digest),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("held_until", UtcDateTime),
    Column("withdraw_requested", Boolean, nullable=False, default=False),
    Column("is_superseded", Boolean, nullable=False, default=False, server_default=text("0")),
    # the claim: ``fence`` grows with each claim and each lost lease
    Column("fence", Integer, nullable=False, default=0),
    Column("claimed_by", KeyText(64)),
    Column("claimed_at", UtcDateTime),
    Column("lease_until", UtcDateTime),
    Column("attempts", SmallInteger, nullable=False, default=0),
    # since when the platform may or may not have shown it
    Column("unknown_since", UtcDateTime),
    # the China days for which this message is counted
    Column("budget_on", Date),
    Column("cap_on", Date),
    Column("platform_msgid", KeyText(32), nullable=False, default=""),
    # fallback: the step that is under way, the one that would follow, and when at the latest
    Column("step", SmallInteger, nullable=False, default=0, server_default="0"),
    Column("next_step", SmallInteger),
    Column("switch_at", UtcDateTime),
    Column("accepted_at", UtcDateTime),
    Column("receipt_status", String(64), nullable=False, default=""),
    Column("receipt_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("opened_at", UtcDateTime),
    Column("answered_at", UtcDateTime),
    Column("answer", KeyText(40), nullable=False, default=""),
    Index("ix_messages_claim", "state", "account", "channel", "priority", "not_before", "id"),
    Index("ix_messages_step", "account", "state", "next_step", "switch_at"),
    Index("ix_messages_lease", "state", "lease_until"),
    Index("ix_messages_unknown", "state", "unknown_since"),
    Index("ix_messages_expiry", "state", "expires_at"),
    Index("ix_messages_accepted", "state", "accepted_at"),
    Index("ix_messages_platform_msgid", "account", "platform_msgid"),
    Index("ix_messages_person", "person_hash"),
    Index("ix_messages_client_msg_id", "client_msg_id"),
    Index("ix_messages_topic", "topic", "state"),
    Index("ix_messages_subject", "flow", "subject"),
    Index("ix_messages_link_hash", "link_hash", unique=True),
)

message_attempts = Table(
    "message_attempts",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("message_id", RowId, nullable=False, index=True),
    Column("channel", KeyText(20), nullable=False),
    Column("worker", KeyText(64), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("outcome", KeyText(12), nullable=False),
    Column("errcode", Integer),
    Column("detail", String(200), nullable=False, default=""),
    Column("rid", KeyText(64), nullable=False, default=""),
    Column("platform_msgid", KeyText(32), nullable=False, default=""),
    Column("cost_fen", Integer, nullable=False, default=0, server_default="0"),
)

# The channels after the first (备用渠道), in order; a message has at most one row a step. Step 0
# gets one when the message leaves its first channel: reports may still come from there.
message_steps = Table(
    "message_steps",
    metadata,
    Column("message_id", RowId, primary_key=True, autoincrement=False),
    Column("step", SmallInteger, primary_key=True, autoincrement=False),
    Column("channel", KeyText(20), nullable=False),
    Column("content", EncryptedJson("message_steps.content"), nullable=False),
    Column("address", EncryptedText("message_steps.address"), nullable=False),
    Column("address_hash", Digest, nullable=False),
    Column("wait_s", Integer),
    # of the first channel: when it may have shown the message for the first time
    Column("begun_at", UtcDateTime),
    Column("because", KeyText(64), nullable=False, default=""),
    Column("platform_msgid", KeyText(32), nullable=False, default="", server_default=text("''")),
    Index("ix_message_steps_platform_msgid", "platform_msgid"),
    Index("ix_message_steps_address", "address_hash"),
)

# What is not an attempt: held, withdrawn, superseded, opened, answered, doubtful receipts.
message_events = Table(
    "message_events",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("message_id", RowId, nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("what", KeyText(40), nullable=False),
    Column("detail", String(200), nullable=False, default=""),
)

# Receipts that no message answers to yet: early ones, MsgID 0, other systems' messages.
pending_receipts = Table(
    "pending_receipts",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("dedupe", Digest, nullable=False, unique=True),
    Column("account", KeyText(32), nullable=False),
    Column("address_hash", Digest, nullable=False),
    Column("platform_msgid", KeyText(32), nullable=False),
    Column("channel", KeyText(20), nullable=False, server_default=CHANNEL_TEMPLATE),
    Column("client_msg_id", KeyText(32), nullable=False, default="", server_default=text("''")),
    Column("status", String(64), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    # the message was not sent before
    Column("since", UtcDateTime, nullable=False),
    Index("ix_pending_receipts_msgid", "account", "platform_msgid"),
    Index("ix_pending_receipts_person", "account", "address_hash"),
    Index("ix_pending_receipts_client_msg_id", "account", "client_msg_id"),
    Index("ix_pending_receipts_received", "received_at"),
)

intents = Table(
    "intents",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("key", KeyText(190), nullable=False, unique=True),
    Column("kind", KeyText(40), nullable=False),
    Column("payload", EncryptedJson("intents.payload"), nullable=False),
    Column("state", KeyText(12), nullable=False),
    Column("detail", String(200), nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_until", UtcDateTime),
    Column("attempts", SmallInteger, nullable=False, default=0),
    Column("closed_at", UtcDateTime),
    Index("ix_intents_claim", "state", "not_before", "id"),
)

# Stops: all sending, one channel of one account, one message kind.
switches = Table(
    "switches",
    metadata,
    Column("name", KeyText(100), primary_key=True),
    Column("stopped_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Column("reason", String(200), nullable=False),
    Column("stopped_by", String(64), nullable=False),
)

rate_windows = Table(
    "rate_windows",
    metadata,
    Column("name", KeyText(64), primary_key=True),
    Column("window", RowId, nullable=False),
    Column("used", Integer, nullable=False),
)

daily_budgets = Table(
    "daily_budgets",
    metadata,
    Column("account", KeyText(32), primary_key=True),
    Column("on", Date, primary_key=True),
    Column("used", Integer, nullable=False),
)

contact_days = Table(
    "contact_days",
    metadata,
    Column("person_hash", Digest, primary_key=True),
    Column("on", Date, primary_key=True),
    Column("used", SmallInteger, nullable=False),
)
