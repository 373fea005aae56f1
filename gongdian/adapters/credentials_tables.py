"""The table of platform credentials (平台凭证); the database store and the migrations use it."""

from __future__ import annotations

from sqlalchemy import Column, Table

from gongdian.columns import Digest, EncryptedText, KeyText, UtcDateTime
from gongdian.db import metadata

platform_credentials = Table(
    "platform_credentials",
    metadata,
    Column("name", KeyText(128), primary_key=True),  # wx123:access_token
    Column("value", EncryptedText("platform_credentials.value")),
    Column("value_hash", Digest),  # ciphertexts of one value differ, so they cannot be compared
    Column("expires_at", UtcDateTime),
    Column("lease_holder", KeyText(64)),
    Column("lease_until", UtcDateTime),
)
