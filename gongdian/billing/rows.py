"""Rows of the feeds as services take them (账单行), and what applying them did.

In this order also as plain tuples: an import fetches them by the ten thousand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple


class BillRow(NamedTuple):
    """One version of a bill; ``lines`` is JSON as in ``gongdian.billing.model``."""

    row_no: int
    customer_no: str
    bill_no: str
    version: int
    # normal, adjustment, reversal, reissue
    kind: str
    # YYYYMM
    period: str
    amount_fen: int
    issued_on: date
    due_on: date
    kwh: float
    lines: str


class PaymentRow(NamedTuple):
    """One payment; ``paid_at`` is aware, ``bill_no`` '' pays the oldest debt first."""

    row_no: int
    payment_no: str
    customer_no: str
    bill_no: str
    # > 0
    amount_fen: int
    # in_flight, failed, booked, reversed
    state: str
    # counter, wechat, bank_debit, collection, transfer, other
    method: str
    paid_at: datetime
    expected_on: date | None


class BalanceRow(NamedTuple):
    """What a prepaid customer has left; ``measured_at`` is aware."""

    row_no: int
    customer_no: str
    balance_fen: int
    measured_at: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did: new + changed + same are its rows.

    ``same`` changed nothing: an equal row, or one that a later state has overtaken. ``customers``
    are those whose debt, due dates, money on its way or balance changed.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    customers: set[str] = field(default_factory=set)
