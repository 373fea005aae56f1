"""The table of the local queue (本地队列); the adapter and the migrations use it."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, UniqueConstraint

from gongdian.columns import EncryptedJson, KeyText, PackedText, RowId, UtcDateTime
from gongdian.db import metadata

queue_messages = Table(
    "queue_messages",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("queue", KeyText(80), nullable=False),
    # who sends the same key again means the same message; it stays when the message is done
    Column("key", KeyText(300), nullable=False),
    Column("body", PackedText("queue_messages.body")),
    Column("attributes", EncryptedJson("queue_messages.attributes")),
    Column("sent_at", UtcDateTime, nullable=False),
    Column("visible_at", UtcDateTime),  # null: deleted by its reader
    Column("receives", Integer, nullable=False),
    UniqueConstraint("queue", "key"),
    Index("ix_queue_messages_visible", "queue", "visible_at"),
    Index("ix_queue_messages_sent", "sent_at"),
)
