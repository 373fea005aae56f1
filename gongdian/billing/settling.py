"""Settling on the tables (核销): which money pays which bill; keeps ``paid``, ``is_open``, credits.

The rules are in ``gongdian.billing.model``; the services of billing call this after each change.
A customer without loose or waiting money (no row in ``credits``) is settled by named payments
alone, bill by bill. That is nearly everyone, and spares reading their history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import bindparam, case, select, true, update
from sqlalchemy.engine import Dialect

from gongdian.billing.bulk import (
    as_fen,
    chunks,
    delete_rows,
    in_order,
    insert_rows,
    instant_text,
    plain_text,
    rows_by_pair,
)
from gongdian.billing.model import BOOKED, Bill, Payment, Settlement, settle
from gongdian.billing.tables import billing_turns, bills, credits, payments
from gongdian.columns import Fen
from gongdian.db import Session, insert_once

# Each row looks for its own among the cases of its statement.
_CASES = 200

_CREDIT_COLUMNS = in_order(credits)
_NAMED_COLUMNS = tuple(
    bills.c[name] for name in ("customer_no", "bill_no", "id", "amount", "paid", "is_current")
)

# What is paid of a bill becomes another amount: (id, amount, paid), in fen.
PaidChange = tuple[int, int, int]
# What money without one bill a customer has: (loose, credit, waiting), in fen.
Credits = tuple[int, int, int]
_NONE: Credits = (0, 0, 0)


class _Held(NamedTuple):
    id: int
    paid_fen: int
    bill: Bill


def take_turn(session: Session) -> None:
    """Wait until no other transaction changes bills or payments.

    Two that do not see each other's rows would leave a paid bill open. SQLite has one writer.
    """
    turn = select(billing_turns.c.name).where(billing_turns.c.name == "settling").with_for_update()
    if session.execute(turn).first() is None:
        insert_once(session, billing_turns, {"name": "settling"})
        session.execute(turn)


def customers_with_credits(session: Session, customer_nos: Iterable[str]) -> set[str]:
    """Those of the customers who have money that is bound to no one bill."""
    found: set[str] = set()
    for some in chunks(customer_nos):
        query = select(credits.c.customer_no).where(credits.c.customer_no.in_(some))
        found.update(session.execute(query).scalars())
    return found


def settle_customers(session: Session, customer_nos: Iterable[str], now: datetime) -> None:
    """Settle these customers anew, from all their bills and payments."""
    for some in chunks(sorted(customer_nos)):
        held = _current_bills(session, some)
        money = _booked_payments(session, some)
        settled: dict[str, Settlement] = {}
        changes: list[PaidChange] = []
        for customer_no in some:
            own = held.get(customer_no, [])
            result = settle([one.bill for one in own], money.get(customer_no, ()))
            settled[customer_no] = result
            for one in own:
                paid = result.paid_fen[one.bill.bill_no]
                if paid != one.paid_fen:
                    changes.append((one.id, one.bill.amount_fen, paid))
        _write_paid(session, changes, now)
        _write_credits(session, settled, now)


def settle_named(session: Session, moved: Mapping[tuple[str, str], int], now: datetime) -> None:
    """Settle after booked money came or went: (customer_no, bill_no) -> fen more (or less).

    Where it fits the bill that it names it is that bill's alone, else the customer is settled anew.
    """
    anew = customers_with_credits(session, {customer_no for customer_no, _ in moved})
    named = [key for key in moved if key[0] not in anew]
    stored = _named_bills(session, named)
    changes: dict[tuple[str, str], PaidChange] = {}
    for key in named:
        row_id, amount, paid = stored.get(key, (0, 0, 0))
        paid += moved[key]
        changes[key] = (row_id, amount, paid)
        # A bill of 0 yuan or less takes nothing, nor one that is not here or is not named ('').
        if not 0 <= paid <= amount:
            anew.add(key[0])
    fitting = [change for key, change in changes.items() if key[0] not in anew]
    _write_paid(session, fitting, now)
    settle_customers(session, anew, now)


def _named_bills(
    session: Session, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], PaidChange]:
    return {
        (customer_no, bill_no): (row_id, amount, paid)
        for customer_no, bill_no, row_id, amount, paid, is_current in rows_by_pair(
            session, keys, _NAMED_COLUMNS
        )
        if is_current
    }


def _current_bills(session: Session, customer_nos: list[str]) -> dict[str, list[_Held]]:
    columns = bills.c
    query = select(
        columns.customer_no,
        columns.id,
        as_fen(columns.paid),
        columns.bill_no,
        columns.version,
        columns.period,
        as_fen(columns.amount),
        columns.due_on,
    ).where(columns.customer_no.in_(customer_nos), columns.is_current)
    held: dict[str, list[_Held]] = {}
    for customer_no, row_id, paid, *bill in session.execute(query).all():
        held.setdefault(customer_no, []).append(_Held(row_id, paid, Bill(*bill)))
    return held


def _booked_payments(session: Session, customer_nos: list[str]) -> dict[str, list[Payment]]:
    columns = payments.c
    query = select(columns.customer_no, columns.bill_no, as_fen(columns.amount)).where(
        columns.customer_no.in_(customer_nos), columns.state == BOOKED
    )
    money: dict[str, list[Payment]] = {}
    for customer_no, bill_no, amount in session.execute(query).all():
        money.setdefault(customer_no, []).append(Payment(bill_no, amount, BOOKED))
    return money


def _write_paid(session: Session, changes: Iterable[PaidChange], now: datetime) -> None:
    """By the hundred: MariaDB would take each statement of one row as a journey of its own."""
    whole: list[int] = []
    partly: list[tuple[int, int]] = []
    for row_id, amount, paid in changes:
        if paid == amount:
            whole.append(row_id)
        else:
            partly.append((row_id, paid))
    for ids in chunks(whole):
        paid_whole = update(bills).where(bills.c.id.in_(ids))
        session.execute(paid_whole.values(paid=bills.c.amount, is_open=False, changed_at=now))
    text = _paid_partly_text(session.dialect)
    for some in chunks(partly, _CASES):
        # Saying a case twice does no harm, and one text serves for any number of them.
        some += [some[-1]] * (_CASES - len(some))
        cases = [cell for one in some for cell in one]
        ids = [row_id for row_id, _ in some]
        session.exec_driver_sql(text, (*cases, instant_text(now), *ids))


@lru_cache(maxsize=4)
def _paid_partly_text(dialect: Dialect) -> str:
    """The statement that takes (id, fen) for each case, the instant, and the ids once more."""
    row_id, places = bills.c.id, range(_CASES)
    cases = [(row_id == bindparam(f"when{n}"), bindparam(f"paid{n}", type_=Fen())) for n in places]
    statement = (
        update(bills)
        .where(row_id.in_([bindparam(f"id{n}", type_=row_id.type) for n in places]))
        .values(paid=case(*cases), is_open=true(), changed_at=bindparam("at"))
    )
    return plain_text(statement, dialect)


def _write_credits(session: Session, settled: Mapping[str, Settlement], now: datetime) -> None:
    """Keep a row for each of these customers who has loose or waiting money, and for no other."""
    names = ("loose", "credit", "waiting")
    query = select(credits.c.customer_no, *(as_fen(credits.c[name]) for name in names)).where(
        credits.c.customer_no.in_(list(settled))
    )
    before: dict[str, Credits] = {
        customer_no: (loose, credit, waiting)
        for customer_no, loose, credit, waiting in session.execute(query)
    }
    after: dict[str, Credits] = {
        customer_no: (one.loose_fen, one.credit_fen, one.waiting_fen)
        for customer_no, one in settled.items()
    }
    changed = [key for key, fen in after.items() if before.get(key, _NONE) != fen]
    delete_rows(session, credits.c.customer_no, [key for key in changed if key in before])
    at = instant_text(now)
    rows = [(key, *after[key], at) for key in changed if after[key] != _NONE]
    insert_rows(session, credits, _CREDIT_COLUMNS, rows)
