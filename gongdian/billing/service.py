"""Bills, payments and balances come in (账单入库): batches of a feed, stored and settled.

The imports call it. A batch is a few reads and a few bulk writes, in the caller's transaction; it
may repeat a bill or a payment, and may come twice. Rows are checked before they come here
(``gongdian.sources``); what counts here is which facts win.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import select, update

from gongdian.billing.bulk import (
    as_day,
    as_fen,
    check_key,
    chunks,
    day_text,
    delete_rows,
    in_order,
    insert_rows,
    instant_text,
    rows_by_pair,
)
from gongdian.billing.model import BOOKED, is_stale
from gongdian.billing.rows import Applied, BalanceRow, BillRow, PaymentRow
from gongdian.billing.settling import (
    customers_with_credits,
    settle_customers,
    settle_named,
    take_turn,
)
from gongdian.billing.tables import balances, bills, payments
from gongdian.db import Session

_BillKey = tuple[str, str]  # customer_no, bill_no
_VersionKey = tuple[str, str, int]

# What makes two rows of one version the same: from here to the end.
_CONTENT_AT = BillRow._fields.index("kind")
_STORED_COLUMNS = tuple(
    bills.c[name]
    for name in (
        *("customer_no", "bill_no", "version", "id", "is_current"),
        *("kind", "period", "amount", "issued_on", "due_on", "kwh", "lines"),
    )
)


class _StoredBills(NamedTuple):
    """What the tables hold of the bills of a batch."""

    ids: dict[_VersionKey, int]
    contents: dict[_VersionKey, tuple[Any, ...]]
    # the current version of each
    current: dict[_BillKey, int]


def apply_bills(session: Session, rows: Sequence[BillRow], run_id: int, now: datetime) -> Applied:
    """Store versions of bills (账单版本) and settle whom they touch.

    The highest version of a (customer_no, bill_no) is current, whenever it comes; a lower one is
    kept as overtaken. The same version again with other content replaces it: the last file wins,
    and its run and row with it. InputError ``bad_key`` for a number that a database would cut.
    """
    take_turn(session)
    stored = _stored_bills(session, dict.fromkeys((row[1], row[2]) for row in rows))
    coming: dict[_VersionKey, BillRow] = {}
    new = changed = 0
    for row in rows:
        key = (row[1], row[2], row[3])
        known = coming.get(key)
        content = stored.contents.get(key) if known is None else known[_CONTENT_AT:]
        if content is None:
            new += 1
        elif content == row[_CONTENT_AT:]:
            continue
        else:
            changed += 1
        coming[key] = row
    current = dict(stored.current)
    for customer_no, bill_no, version in coming:
        if version >= current.get((customer_no, bill_no), version):
            current[customer_no, bill_no] = version
    _write_bills(session, coming.values(), stored, current, run_id, now)
    touched, unsettled = _touched(coming, stored, current)
    unsettled |= customers_with_credits(session, touched - unsettled)
    settle_customers(session, unsettled, now)
    return Applied(new, changed, len(rows) - new - changed, touched)


def _stored_bills(session: Session, keys: Iterable[_BillKey]) -> _StoredBills:
    stored = _StoredBills({}, {}, {})
    for cells in rows_by_pair(session, keys, _STORED_COLUMNS):
        customer_no, bill_no, version, row_id, is_current, *content = cells
        kind, period, amount_fen, issued_on, due_on, kwh, lines = content
        key = (customer_no, bill_no, version)
        stored.ids[key] = row_id
        stored.contents[key] = (
            *(kind, period, amount_fen, as_day(issued_on), as_day(due_on), kwh, lines),
        )
        if is_current:
            stored.current[customer_no, bill_no] = version
    return stored


def _touched(
    coming: Mapping[_VersionKey, BillRow],
    stored: _StoredBills,
    current: Mapping[_BillKey, int],
) -> tuple[set[str], set[str]]:
    """Whose debt changed; and which of them must be settled anew.

    A bill that is new as a whole and above 0 takes no money but credit, and gives none.
    """
    touched: set[str] = set()
    unsettled: set[str] = set()
    for (customer_no, bill_no, version), row in coming.items():
        if version != current[customer_no, bill_no]:
            continue
        touched.add(customer_no)
        if row.amount_fen < 0 or (customer_no, bill_no) in stored.current:
            unsettled.add(customer_no)
    return touched, unsettled


def _write_bills(
    session: Session,
    rows: Iterable[BillRow],
    stored: _StoredBills,
    current: Mapping[_BillKey, int],
    run_id: int,
    now: datetime,
) -> None:
    """Write the rows as if nothing was paid on them; settling follows."""
    at = instant_text(now)
    fresh: list[tuple[Any, ...]] = []
    replaced: list[tuple[Any, ...]] = []
    for row in rows:
        row_no, customer_no, bill_no, version, kind, period, amount, issued, due, kwh, lines = row
        check_key(customer_no, 20)
        check_key(bill_no, 32)
        is_current = version == current[customer_no, bill_no]
        cells = (
            *(customer_no, bill_no, version, kind, period, amount, 0),
            *(is_current, is_current and amount > 0, day_text(issued), day_text(due)),
            *(kwh, lines, run_id, row_no, at),
        )
        row_id = stored.ids.get((customer_no, bill_no, version))
        if row_id is None:
            fresh.append(cells)
        else:
            replaced.append((row_id, *cells))
    overtaken = [
        stored.ids[*key, version]
        for key, version in stored.current.items()
        if version != current[key]
    ]
    for some in chunks(overtaken):
        values = {"is_current": False, "is_open": False, "paid": Decimal(0), "changed_at": now}
        session.execute(update(bills).where(bills.c.id.in_(some)).values(values))
    delete_rows(session, bills.c.id, [cells[0] for cells in replaced])
    insert_rows(session, bills, in_order(bills), replaced)
    insert_rows(session, bills, in_order(bills, without="id"), fresh)


class _StoredPayment(NamedTuple):
    id: int
    row: PaymentRow


def apply_payments(
    session: Session, rows: Sequence[PaymentRow], run_id: int, now: datetime
) -> Applied:
    """Store payments (交费记录) by their number and settle whom they touch.

    Of one payment the furthest state wins (in_flight < failed < booked < reversed), in one state
    the later ``paid_at``, then the last file: see ``model.is_stale``. InputError ``bad_key``,
    ``naive_instant``.
    """
    take_turn(session)
    stored = _stored_payments(session, dict.fromkeys(row[1] for row in rows))
    coming: dict[str, PaymentRow] = {}
    new = changed = 0
    for plain in rows:
        row = PaymentRow(*plain)
        known = coming.get(row.payment_no)
        if known is None and row.payment_no in stored:
            known = stored[row.payment_no].row
        if known is None:
            new += 1
        elif known[2:] == row[2:] or is_stale(known.state, known.paid_at, row.state, row.paid_at):
            continue
        else:
            changed += 1
        coming[row.payment_no] = row
    _write_payments(session, coming.values(), stored, run_id, now)
    touched, moved = _moved_money(coming.values(), stored)
    settle_named(session, moved, now)
    return Applied(new, changed, len(rows) - new - changed, touched)


def _stored_payments(session: Session, payment_nos: Iterable[str]) -> dict[str, _StoredPayment]:
    columns = payments.c
    query = select(
        columns.id,
        columns.row_no,
        columns.payment_no,
        columns.customer_no,
        columns.bill_no,
        as_fen(columns.amount),
        columns.state,
        columns.method,
        columns.paid_at,
        columns.expected_on,
    )
    return {
        row.payment_no: _StoredPayment(row[0], PaymentRow(*row[1:]))
        for some in chunks(payment_nos)
        for row in session.execute(query.where(columns.payment_no.in_(some)))
    }


def _moved_money(
    rows: Iterable[PaymentRow], stored: Mapping[str, _StoredPayment]
) -> tuple[set[str], dict[_BillKey, int]]:
    """Whom the payments touch, and by how much the booked money of each bill changed."""
    touched: set[str] = set()
    moved: dict[_BillKey, int] = {}
    for row in rows:
        touched.add(row.customer_no)
        sides = [(row, row.amount_fen)]
        if row.payment_no in stored:
            before = stored[row.payment_no].row
            touched.add(before.customer_no)
            sides.append((before, -before.amount_fen))
        for payment, fen in sides:
            if payment.state == BOOKED:
                key = (payment.customer_no, payment.bill_no)
                moved[key] = moved.get(key, 0) + fen
    return touched, {key: fen for key, fen in moved.items() if fen}


def _write_payments(
    session: Session,
    rows: Iterable[PaymentRow],
    stored: Mapping[str, _StoredPayment],
    run_id: int,
    now: datetime,
) -> None:
    at = instant_text(now)
    fresh: list[tuple[Any, ...]] = []
    replaced: list[tuple[Any, ...]] = []
    for row in rows:
        check_key(row.payment_no, 40)
        check_key(row.customer_no, 20)
        check_key(row.bill_no, 32)
        cells = (
            *(row.payment_no, row.customer_no, row.bill_no, row.amount_fen, row.state, row.method),
            *(instant_text(row.paid_at), day_text(row.expected_on), run_id, row.row_no, at),
        )
        if row.payment_no in stored:
            replaced.append((stored[row.payment_no].id, *cells))
        else:
            fresh.append(cells)
    delete_rows(session, payments.c.id, [cells[0] for cells in replaced])
    insert_rows(session, payments, in_order(payments), replaced)
    insert_rows(session, payments, in_order(payments, without="id"), fresh)


def apply_balances(
    session: Session, rows: Sequence[BalanceRow], run_id: int, now: datetime
) -> Applied:
    """Store the balances of prepaid customers (费控余额); one measured earlier changes nothing.

    InputError ``bad_key``, ``naive_instant``.
    """
    take_turn(session)
    stored = _stored_balances(session, dict.fromkeys(row[1] for row in rows))
    coming: dict[str, BalanceRow] = {}
    new = changed = 0
    for plain in rows:
        row = BalanceRow(*plain)
        known = coming.get(row.customer_no) or stored.get(row.customer_no)
        if known is None:
            new += 1
        elif known[2:] == row[2:] or row.measured_at < known.measured_at:
            continue
        else:
            changed += 1
        check_key(row.customer_no, 20)
        coming[row.customer_no] = row
    at = instant_text(now)
    cells = [
        (row.customer_no, row.balance_fen, instant_text(row.measured_at), run_id, row.row_no, at)
        for row in coming.values()
    ]
    delete_rows(session, balances.c.customer_no, [key for key in coming if key in stored])
    insert_rows(session, balances, in_order(balances), cells)
    return Applied(new, changed, len(rows) - new - changed, set(coming))


def _stored_balances(session: Session, customer_nos: Iterable[str]) -> dict[str, BalanceRow]:
    columns = balances.c
    query = select(
        columns.row_no, columns.customer_no, as_fen(columns.balance), columns.measured_at
    )
    return {
        row.customer_no: BalanceRow(*row)
        for some in chunks(customer_nos)
        for row in session.execute(query.where(columns.customer_no.in_(some)))
    }
