"""Tables of the accounts (账户): contacts by their WeChat identity, their consents, and how often
each lets us send a subscription message. Services, queries and the migrations' check read it.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from gongdian.columns import Digest, EncryptedText, KeyText, RowId, UtcDateTime
from gongdian.db import metadata

contacts = Table(
    "contacts",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("account", KeyText(32), nullable=False),
    # None after the person left: the platform requires their data to be deleted
    Column("openid", EncryptedText("contacts.openid")),
    Column("openid_hash", Digest, nullable=False),
    Column("state", KeyText(12), nullable=False),
    Column("scene", String(64), nullable=False, default=""),
    Column("met_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("refused_reason", KeyText(64), nullable=False, default=""),
    UniqueConstraint("account", "openid_hash"),
)

# Where else a contact can be reached (其他联系方式), in the order of their preference.
contact_channels = Table(
    "contact_channels",
    metadata,
    Column("contact_id", RowId, primary_key=True, autoincrement=False),
    Column("channel", KeyText(20), primary_key=True),
    Column("position", SmallInteger, nullable=False),
    Column("address", EncryptedText("contact_channels.address"), nullable=False),
    Column("address_hash", Digest, nullable=False),
    Column("is_wanted", Boolean, nullable=False),
    # how long the channel before it may leave a message undelivered; NULL: as its priority says
    Column("wait_s", Integer),
    Column("refused_reason", KeyText(64), nullable=False, default=""),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_contact_channels_address", "address_hash"),
)

consents = Table(
    "consents",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("contact_id", RowId, nullable=False),
    Column("purpose", KeyText(40), nullable=False),
    Column("version", KeyText(20), nullable=False),
    Column("decision", KeyText(12), nullable=False),
    Column("source", KeyText(190), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Index("ix_consents_contact", "contact_id", "purpose", "id"),
)

subscription_credits = Table(
    "subscription_credits",
    metadata,
    Column("contact_id", RowId, primary_key=True, autoincrement=False),
    Column("template_id", KeyText(64), primary_key=True),
    Column("credits", Integer, nullable=False, default=0),
    Column("is_long_term", Boolean, nullable=False, default=False),
    Column("refused_at", UtcDateTime),
    # When what it says happened on the platform, not when we heard of it
    Column("changed_at", UtcDateTime, nullable=False),
)
