"""Checked rows as services take them (入库行): one query a feed, and the service it goes to.

``loading`` calls this. The queries run on the table ``good`` of ``gongdian.sources.checks``; what
can be shaped by column (the JSON of a bill's lines) is shaped there, not row by row in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gongdian.accounts.customer_contacts import ContactRow, apply_contacts
from gongdian.accounts.customers import CustomerRow, apply_customers
from gongdian.accounts.recipients import Addressee
from gongdian.billing.rows import Applied, BalanceRow, BillRow, PaymentRow
from gongdian.billing.service import apply_balances, apply_bills, apply_payments
from gongdian.db import Session

Rows = Sequence[tuple[Any, ...]]

_PERIODS = ("sharp", "peak", "flat", "valley")
_FEES = ("energy", "line_loss", "transmission", "system", "funds", "basic", "power_factor", "other")


@dataclass(slots=True)
class BatchApplied:
    """What a batch changed: whose debt may be another now, who is another customer now.

    ``former_parties``: whose customers those were; ``left``: who hears of a customer no more.
    """

    new: int
    changed: int
    same: int
    facts_changed: set[str] = field(default_factory=set)
    holder_changed: set[str] = field(default_factory=set)
    former_parties: set[str] = field(default_factory=set)
    people_changed: set[str] = field(default_factory=set)
    left: set[Addressee] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class FeedRows:
    """How one feed goes in: columns of ``good`` in the order of its row; where row_no stands."""

    query: str
    row_no_at: int
    apply: Callable[[Session, Rows, int, datetime], BatchApplied]


def _member(key: str, value: str, column: str) -> str:
    """SQL of ``"key":value`` as JSON text; NULL, and thus left out, when the column is NULL."""
    return f"""CASE WHEN {column} IS NOT NULL THEN '"{key}":' || {value} END"""


def _object(members: Sequence[str]) -> str:
    """SQL of a JSON object of the members that are there; NULL when none is."""
    joined = f"concat_ws(',', {', '.join(members)})"
    return f"CASE WHEN {joined} <> '' THEN '{{' || {joined} || '}}' END"


def _nested(key: str, body: str) -> str:
    return f"""'"{key}":' || ({body})"""


def _number(column: str) -> str:
    return f"CAST(to_json({column}) AS VARCHAR)"


def _lines() -> str:
    """SQL of ``bills.lines``, see ``gongdian.billing.model``."""
    reading = _object(
        [
            _member(
                "meter", "CAST(to_json(coalesce(meter_no, '')) AS VARCHAR)", "previous_reading"
            ),
            _member("previous", _number("previous_reading"), "previous_reading"),
            _member("current", _number("current_reading"), "current_reading"),
            _member("multiplier", _number("multiplier"), "multiplier"),
        ]
    )
    has_reading = "previous_reading IS NOT NULL AND current_reading IS NOT NULL"
    readings = f"""CASE WHEN {has_reading} THEN '"readings":[' || ({reading}) || ']' END"""
    kwh = _object([_member(one, _number(f"{one}_kwh"), f"{one}_kwh") for one in _PERIODS])
    fees = _object([_member(one, _number(f"{one}_fee"), f"{one}_fee") for one in _FEES])
    parts = (
        readings,
        _member("loss_kwh", _number("loss_kwh"), "loss_kwh"),
        _nested("kwh", kwh),
        _nested("fees", fees),
    )
    return f"'{{' || concat_ws(',', {', '.join(parts)}) || '}}'"


_QUERIES = {
    "customers": "customer_no, party_no, name, address, customer_class, voltage_kv, station, "
    "region, capacity_kva, is_important, is_prepaid, autopay, state, row_no",
    "contacts": "customer_no, contact_no, role, level, position, name, phone, mail, channels, "
    "state, row_no",
    "bills": "row_no, customer_no, bill_no, version, kind, period, amount, issued_on, due_on, "
    f"coalesce(kwh, 0.0) AS kwh, {_lines()} AS lines",
    "payments": "row_no, payment_no, customer_no, bill_no, amount, state, method, paid_at, "
    "expected_on",
    "balances": "row_no, customer_no, balance, measured_at",
}


def _customers(session: Session, rows: Rows, run_id: int, now: datetime) -> BatchApplied:
    done = apply_customers(session, [CustomerRow._make(row) for row in rows], run_id, now)
    left = {*done.holder_changed, *done.closed}
    # The class, 代扣 or the station decide about a debt, too.
    others = {row[0] for row in rows} - left if done.changed else set()
    former = done.former_parties
    return BatchApplied(done.new, done.changed, done.same, others, left, former)


def _contacts(session: Session, rows: Rows, run_id: int, now: datetime) -> BatchApplied:
    done = apply_contacts(session, [ContactRow._make(row) for row in rows], run_id, now)
    return BatchApplied(
        done.new, done.changed, done.same, people_changed=done.customers, left=done.left
    )


def _bills(session: Session, rows: Rows, run_id: int, now: datetime) -> BatchApplied:
    return _money(apply_bills(session, [BillRow._make(row) for row in rows], run_id, now))


def _payments(session: Session, rows: Rows, run_id: int, now: datetime) -> BatchApplied:
    made = [PaymentRow._make((*row[:7], row[7].replace(tzinfo=UTC), row[8])) for row in rows]
    return _money(apply_payments(session, made, run_id, now))


def _balances(session: Session, rows: Rows, run_id: int, now: datetime) -> BatchApplied:
    made = [BalanceRow._make((*row[:3], row[3].replace(tzinfo=UTC))) for row in rows]
    return _money(apply_balances(session, made, run_id, now))


def _money(done: Applied) -> BatchApplied:
    return BatchApplied(done.new, done.changed, done.same, facts_changed=done.customers)


_APPLY = {
    "customers": _customers,
    "contacts": _contacts,
    "bills": _bills,
    "payments": _payments,
    "balances": _balances,
}


def rows_of_feed(feed: str) -> FeedRows:
    """How a feed goes in."""
    columns = _QUERIES[feed]
    at = 0 if columns.startswith("row_no") else columns.count(",")
    # ``good`` comes in the order of row_no; to sort it again would spill a million rows to disk.
    query = f"SELECT {columns} FROM good"  # noqa: S608 - our own columns
    return FeedRows(query, at, _APPLY[feed])
