"""Tables of the customers (用电客户): supply accounts by 户号, the people behind them, requests to
bind. Feeds fill the first two; ``run_id`` and ``row_no`` name the import and its row.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Double,
    Index,
    Integer,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from gongdian.columns import Digest, EncryptedJson, EncryptedText, KeyText, RowId, UtcDateTime
from gongdian.db import metadata

customers = Table(
    "customers",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    # 户号, as printed on the bill
    Column("customer_no", KeyText(20), nullable=False, unique=True),
    # 客户编号: one party may hold several 户号; equal to customer_no where the source has none
    Column("party_no", KeyText(32), nullable=False),
    Column("name", EncryptedText("customers.name"), nullable=False),
    Column("name_hash", Digest, nullable=False),
    Column("address", EncryptedText("customers.address"), nullable=False),
    # residential, agricultural, industrial_one_part, industrial_two_part
    Column("customer_class", KeyText(24), nullable=False),
    # kV as text: 0.4, 10, 35, 110
    Column("voltage_kv", KeyText(8), nullable=False),
    Column("station", KeyText(40), nullable=False),  # 供电所
    Column("region", KeyText(20), nullable=False),
    Column("capacity_kva", Double),
    Column("is_important", Boolean, nullable=False),  # 重要用户
    Column("is_prepaid", Boolean, nullable=False),  # 费控
    # '', bank_debit 代扣, collection 托收
    Column("autopay", KeyText(12), nullable=False),
    Column("state", KeyText(12), nullable=False),  # active, closed 销户
    # grows with each 过户: what was agreed with an earlier holder counts no more
    Column("holder", Integer, nullable=False, server_default=text("1")),
    # the China day on which the feed first told of this holder; NULL: of the first one
    Column("holder_since_on", Date),
    Column("run_id", RowId, nullable=False),
    Column("row_no", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_customers_party", "party_no"),
    Index("ix_customers_station", "station", "customer_no"),
    Index("ix_customers_name", "name_hash"),
)

# Who speaks for a customer (客户联系人): from the feed, or by binding; ``contact_id`` is the
# WeChat contact behind it, when there is one.
customer_contacts = Table(
    "customer_contacts",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("customer_no", KeyText(20), nullable=False),
    # the source's number of the person; ``wx<contact id>`` for one who came by binding
    Column("contact_no", KeyText(40), nullable=False),
    # owner 户主, legal_person 法人, finance 财务, electrical 电气负责人, agent 经办人,
    # manager 客户经理 (ours, not theirs)
    Column("role", KeyText(16), nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("name", EncryptedText("customer_contacts.name"), nullable=False),
    Column("phone", EncryptedText("customer_contacts.phone"), nullable=False),
    Column("phone_hash", Digest),
    Column("mail", EncryptedText("customer_contacts.mail"), nullable=False),
    # in their order, joined by commas: wechat_template,sms,mail
    Column("channels", KeyText(40), nullable=False),
    Column("contact_id", RowId),
    Column("holder", Integer, nullable=False),
    # active, revoked, disowned (said 不是我的户号; the feed's row stays out until it changes)
    Column("state", KeyText(12), nullable=False),
    Column("origin", KeyText(12), nullable=False),  # feed, binding
    Column("run_id", RowId, nullable=False, server_default=text("0")),
    Column("row_no", Integer, nullable=False, server_default=text("0")),
    Column("changed_at", UtcDateTime, nullable=False),
    UniqueConstraint("customer_no", "contact_no"),
    Index("ix_customer_contacts_contact", "contact_id", "state"),
    Index("ix_customer_contacts_phone", "phone_hash"),
)

# A WeChat contact asks to be bound to a 户号 (绑定申请).
binding_requests = Table(
    "binding_requests",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("contact_id", RowId, nullable=False),
    Column("customer_no", KeyText(20), nullable=False),
    Column("kind", KeyText(12), nullable=False),  # resident, company
    # code_sent, waiting, approved, refused, expired, withdrawn
    Column("state", KeyText(12), nullable=False),
    # the person on file whose phone got the code
    Column("matched_id", RowId),
    Column("code_hash", Digest),
    Column("tries", SmallInteger, nullable=False, server_default=text("0")),
    # company: who acts for it and by what authorisation
    Column("applicant", EncryptedJson("binding_requests.applicant"), nullable=False),
    Column("holder", Integer, nullable=False),
    Column("consent_version", KeyText(20), nullable=False),
    Column("consent_digest", KeyText(64), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", KeyText(64), nullable=False, server_default=text("''")),
    Column("reason", KeyText(190), nullable=False, server_default=text("''")),
    Index("ix_binding_requests_contact", "contact_id", "customer_no", "state"),
    Index("ix_binding_requests_state", "state", "requested_at"),
)
