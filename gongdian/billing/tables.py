"""Tables of the bills (电费账单): bills by version, payments, balances of prepaid customers.

Feeds fill them; ``run_id`` and ``row_no`` name the import and its row. ``paid``, ``is_open`` and
the credits are kept by ``gongdian.billing.settling`` from bills and payments, never by hand.
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
    Text,
    UniqueConstraint,
    text,
)

from gongdian.columns import Fen, KeyText, RowId, UtcDateTime
from gongdian.db import metadata

bills = Table(
    "bills",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("customer_no", KeyText(20), nullable=False),
    Column("bill_no", KeyText(32), nullable=False),  # 应收编号
    Column("version", SmallInteger, nullable=False),
    # normal, adjustment 退补, reversal 冲红, reissue 重发
    Column("kind", KeyText(12), nullable=False),
    Column("period", KeyText(6), nullable=False),  # 202610
    # the principal payable [yuan]; an adjustment may be negative, a reversal is 0
    Column("amount", Fen, nullable=False),
    # what payments have settled of it [yuan]; of a negative adjustment its amount, of an
    # overtaken version 0
    Column("paid", Fen, nullable=False, server_default=text("0")),
    # the highest version of its bill_no
    Column("is_current", Boolean, nullable=False),
    # is_current and amount > paid
    Column("is_open", Boolean, nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    # not Float: MariaDB's FLOAT gives back six digits
    Column("kwh", Double, nullable=False),
    # JSON: readings and fee lines as billed, see gongdian.billing.model
    Column("lines", Text, nullable=False),
    Column("run_id", RowId, nullable=False),
    Column("row_no", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    UniqueConstraint("customer_no", "bill_no", "version"),
    Index("ix_bills_open", "is_open", "customer_no"),
)

payments = Table(
    "payments",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("payment_no", KeyText(40), nullable=False, unique=True),
    Column("customer_no", KeyText(20), nullable=False),
    Column("bill_no", KeyText(32), nullable=False),  # '' = for the oldest debt first
    Column("amount", Fen, nullable=False),
    # in_flight 在途, booked 已销账, failed 扣款失败, reversed 冲正
    Column("state", KeyText(12), nullable=False),
    # counter, wechat, bank_debit, collection, transfer, other
    Column("method", KeyText(12), nullable=False),
    Column("paid_at", UtcDateTime, nullable=False),
    # 扣款日 of money that is on its way
    Column("expected_on", Date),
    Column("run_id", RowId, nullable=False),
    Column("row_no", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_payments_customer", "customer_no", "state"),
)

# Money that is bound to no one bill, or waits for one that has not come (预收余款). A customer
# whose payments all name their bills, and fit them, has no row.
credits = Table(
    "credits",
    metadata,
    Column("customer_no", KeyText(20), primary_key=True),
    # unnamed payments, rests, negative adjustments: spent or not [yuan]
    Column("loose", Fen, nullable=False),
    # what is left of it for the next bill [yuan]
    Column("credit", Fen, nullable=False),
    # booked for bills that have not come [yuan]
    Column("waiting", Fen, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

# Its one row is locked by whoever changes bills or payments.
billing_turns = Table(
    "billing_turns",
    metadata,
    Column("name", KeyText(20), primary_key=True),
)

# 费控 customers have a balance and no due date.
balances = Table(
    "balances",
    metadata,
    Column("customer_no", KeyText(20), primary_key=True),
    Column("balance", Fen, nullable=False),
    Column("measured_at", UtcDateTime, nullable=False),
    Column("run_id", RowId, nullable=False),
    Column("row_no", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
