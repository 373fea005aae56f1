"""The table of the inbox (收件箱): authentic callbacks, stored before anything else happens."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, SmallInteger, String, Table

from gongdian.columns import Digest, EncryptedBytes, EncryptedJson, KeyText, RowId, UtcDateTime
from gongdian.db import metadata

callbacks = Table(
    "callbacks",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("dedupe", Digest, nullable=False, unique=True),
    Column("account", KeyText(32), nullable=False),
    Column("kind", KeyText(80), nullable=False),
    Column("raw", EncryptedBytes("callbacks.raw"), nullable=False),
    Column("is_json", Boolean, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("state", KeyText(12), nullable=False),
    # None until the handler is done; then the passive reply, or an empty object
    Column("reply", EncryptedJson("callbacks.reply")),
    Column("not_before", UtcDateTime, nullable=False),
    Column("fence", Integer, nullable=False, default=0),
    Column("attempts", SmallInteger, nullable=False, default=0),
    Column("detail", String(200), nullable=False, default=""),
    Column("done_at", UtcDateTime),
    Index("ix_callbacks_claim", "state", "not_before", "id"),
    Index("ix_callbacks_received", "received_at"),
)
