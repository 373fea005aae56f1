"""Rules of bills and money (账单与核销): versions, payment states, settlement, lines. Pure.

``gongdian.billing.service`` applies them to the tables. Amounts are whole fen here: settlement
adds and compares them by the hundred thousand, and a fen is never split.

Settlement is a function of the facts, never of the order in which they came:

1. Of each bill the highest version counts. A reversal (冲红) is a version of 0 yuan.
2. A booked payment that names a bill pays that bill, at most its amount.
3. What is left over is *loose*: the rest of 2, payments that name no bill, payments on a bill that
   was reversed, and negative adjustments (退补). It pays the oldest due bills first.
4. What is loose and still left is *credit*; it pays the next bill when that comes.
5. A payment that names a bill which has not come *waits* for it: it is another debt's money.

So for each customer: paid on current bills + credit + waiting = booked. A negative adjustment
counts as paid with its own (negative) amount: that is what it gave to the others.

``bills.lines`` is JSON, made by the import; keys without a value are left out, fees are whole fen:
``{"readings": [{"meter": "...", "previous": 1.0, "current": 2.0, "multiplier": 20.0}],
"loss_kwh": 0.0, "kwh": {"sharp", "peak", "flat", "valley"}, "fees": {"energy", "line_loss",
"transmission", "system", "funds", "basic", "power_factor", "other"}}``. Pages show it line by line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from gongdian.errors import InputError
from gongdian.money import from_fen

KIND_NORMAL, KIND_ADJUSTMENT = "normal", "adjustment"
KIND_REVERSAL, KIND_REISSUE = "reversal", "reissue"
KIND_LABELS = {
    KIND_NORMAL: "正常",
    KIND_ADJUSTMENT: "退补",
    KIND_REVERSAL: "冲红",
    KIND_REISSUE: "重发",
}

IN_FLIGHT, FAILED, BOOKED, REVERSED = "in_flight", "failed", "booked", "reversed"
STATE_LABELS = {IN_FLIGHT: "在途", FAILED: "扣款失败", BOOKED: "已销账", REVERSED: "已冲正"}
# A payment goes this way only: a file that comes late cannot take it back.
_STATE_RANKS = {IN_FLIGHT: 0, FAILED: 1, BOOKED: 2, REVERSED: 3}

METHOD_LABELS = {
    "counter": "柜台",
    "wechat": "微信",
    "bank_debit": "银行代扣",
    "collection": "托收",
    "transfer": "转账",
    "other": "其他",
}

# In the order of the printed bill.
FEE_LABELS = {
    "energy": "购电费",
    "line_loss": "上网环节线损费",
    "transmission": "输配电费",
    "system": "系统运行费",
    "funds": "政府性基金及附加",
    "basic": "容(需)量电费",
    "power_factor": "力调电费",
    "other": "其他费用",
}
PERIOD_LABELS = {"sharp": "尖段", "peak": "峰段", "flat": "平段", "valley": "谷段"}


class Bill(NamedTuple):
    """One version of a bill as settlement sees it."""

    bill_no: str
    version: int
    period: str
    amount_fen: int
    due_on: date


class Payment(NamedTuple):
    """One payment as settlement sees it; ``bill_no`` '' is for the oldest debt first."""

    bill_no: str
    amount_fen: int
    state: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """Whose money is where [fen]; ``paid_fen`` by the number of each current bill."""

    paid_fen: dict[str, int]
    # all money that is bound to no one bill, spent or not
    loose_fen: int
    # what is left of it
    credit_fen: int
    # booked for bills that have not come
    waiting_fen: int


def latest_versions(bills: Iterable[Bill]) -> dict[str, Bill]:
    """The highest version of each bill, by number; of equal versions the last one given."""
    latest: dict[str, Bill] = {}
    for bill in bills:
        known = latest.get(bill.bill_no)
        if known is None or bill.version >= known.version:
            latest[bill.bill_no] = bill
    return latest


def is_stale(
    known_state: str, known_paid_at: datetime, coming_state: str, coming_paid_at: datetime
) -> bool:
    """Whether a row about a known payment tells of its past.

    in_flight < failed < booked < reversed; within one state the later ``paid_at`` counts, and at
    one instant the row that came last: that is a correction.
    """
    known, coming = _STATE_RANKS[known_state], _STATE_RANKS[coming_state]
    return coming < known or (coming == known and coming_paid_at < known_paid_at)


def settle(bills: Iterable[Bill], payments: Iterable[Payment]) -> Settlement:
    """Settle one customer's bills by their booked payments; see the rules above."""
    current = latest_versions(bills)
    named: dict[str, int] = {}
    loose = 0
    for payment in payments:
        if payment.state != BOOKED:
            continue
        if payment.bill_no:
            named[payment.bill_no] = named.get(payment.bill_no, 0) + payment.amount_fen
        else:
            loose += payment.amount_fen
    waiting = sum(amount for bill_no, amount in named.items() if bill_no not in current)
    paid: dict[str, int] = {}
    for bill in current.values():
        own = named.get(bill.bill_no, 0)
        paid[bill.bill_no] = min(own, bill.amount_fen)
        loose += own - paid[bill.bill_no]
    credit = _spend(loose, current.values(), paid) if loose else 0
    return Settlement(paid, loose, credit, waiting)


def _spend(loose: int, bills: Iterable[Bill], paid: dict[str, int]) -> int:
    """Pay the oldest due bills from what is loose; the rest."""
    for bill in sorted(bills, key=_by_age):
        part = min(loose, bill.amount_fen - paid[bill.bill_no])
        paid[bill.bill_no] += part
        loose -= part
        if not loose:
            break
    return loose


def _by_age(bill: Bill) -> tuple[date, str, str]:
    """Oldest due first; the numbers decide between bills due on one day."""
    return bill.due_on, bill.period, bill.bill_no


class FeeLine(NamedTuple):
    """One fee [yuan]; a reward, as of 力调电费, is negative."""

    label: str
    amount: Decimal


class PeriodLine(NamedTuple):
    """The energy of one tariff period [kWh]."""

    label: str
    kwh: float


class Reading(NamedTuple):
    """One meter; ``kwh`` is (current - previous) x multiplier (倍率)."""

    meter: str
    previous: float
    current: float
    multiplier: float
    kwh: float


@dataclass(frozen=True, slots=True)
class BillLines:
    """A bill line by line; ``adds_up`` is False when its fees are missing or another sum."""

    readings: tuple[Reading, ...]
    # 变线损电量
    loss_kwh: float
    periods: tuple[PeriodLine, ...]
    fees: tuple[FeeLine, ...]
    adds_up: bool


def bill_lines(text: str, amount: Decimal) -> BillLines:
    """Parse ``bills.lines`` of a bill of ``amount`` [yuan]; InputError ``bad_lines``."""
    try:
        lines = json.loads(text)
        readings = tuple(_reading(one) for one in lines.get("readings", ()))
        periods = period_lines(lines)
        fees = fee_lines(lines)
        loss_kwh = float(lines.get("loss_kwh", 0.0))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("bad_lines", "the lines of a bill cannot be read") from error
    adds_up = bool(fees) and sum(fee.amount for fee in fees) == amount
    return BillLines(readings, loss_kwh, periods, fees, adds_up)


def fee_lines(lines: dict[str, Any]) -> tuple[FeeLine, ...]:
    """The fees that are not zero, labelled, in the order of the bill [yuan]."""
    fees = lines.get("fees", {})
    return tuple(
        FeeLine(label, _yuan(fees[name])) for name, label in FEE_LABELS.items() if fees.get(name)
    )


def _yuan(fen: Any) -> Decimal:
    if not isinstance(fen, int):
        raise TypeError("a fee is whole fen")
    return from_fen(fen)


def period_lines(lines: dict[str, Any]) -> tuple[PeriodLine, ...]:
    """The energy by tariff period, without those of none."""
    kwh = lines.get("kwh", {})
    return tuple(
        PeriodLine(label, float(kwh[name]))
        for name, label in PERIOD_LABELS.items()
        if kwh.get(name)
    )


def _reading(one: dict[str, Any]) -> Reading:
    previous, current = float(one["previous"]), float(one["current"])
    multiplier = float(one.get("multiplier", 1.0))
    # A product of decimals such as 0.1 x 3 carries dust; meters show at most four places.
    kwh = round((current - previous) * multiplier, 4)
    return Reading(str(one.get("meter", "")), previous, current, multiplier, kwh)
