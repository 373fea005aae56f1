"""What flows and pages read of bills (账单查询): open bills, money on its way, bills with lines.

The first three serve campaigns over hundreds of thousands of customers: few columns, plain
tuples, thousands of customers a call. The rest serves the pages of one customer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Select, select

from gongdian.billing.bulk import as_fen, as_yuan, chunks
from gongdian.billing.model import IN_FLIGHT
from gongdian.billing.tables import balances, bills, credits, payments
from gongdian.db import Session


class OpenBill(NamedTuple):
    """A current bill that is not settled; amounts in yuan."""

    bill_no: str
    period: str
    amount: Decimal
    open_amount: Decimal
    due_on: date
    issued_on: date
    version: int


class InFlight(NamedTuple):
    """Money on its way (在途); ``bill_no`` '' is for the oldest debt, ``expected_on`` is 扣款日."""

    payment_no: str
    amount: Decimal
    method: str
    expected_on: date | None
    bill_no: str
    paid_at: datetime


class Balance(NamedTuple):
    """What a prepaid customer (费控) had left at an instant."""

    balance: Decimal
    measured_at: datetime


class BillView(NamedTuple):
    """A bill as pages show it; ``lines`` is for ``gongdian.billing.model.bill_lines``."""

    customer_no: str
    bill_no: str
    version: int
    kind: str
    period: str
    amount: Decimal
    paid: Decimal
    is_current: bool
    is_open: bool
    issued_on: date
    due_on: date
    kwh: float
    lines: str


class PaymentView(NamedTuple):
    """A payment as pages show it."""

    payment_no: str
    bill_no: str
    amount: Decimal
    state: str
    method: str
    paid_at: datetime
    expected_on: date | None


def open_bills(session: Session, customer_nos: Iterable[str]) -> dict[str, list[OpenBill]]:
    """The open bills of each of these customers that has any, oldest due first."""
    columns = bills.c
    query = select(
        columns.customer_no,
        columns.bill_no,
        columns.period,
        as_fen(columns.amount),
        as_fen(columns.paid),
        columns.due_on,
        columns.issued_on,
        columns.version,
    ).where(columns.is_open)
    found: dict[str, list[OpenBill]] = {}
    for some in chunks(customer_nos):
        rows = session.execute(query.where(columns.customer_no.in_(some))).all()
        for customer_no, bill_no, period, amount, paid, due_on, issued_on, version in rows:
            whole = as_yuan(amount)
            left = as_yuan(amount - paid) if paid else whole
            bill = OpenBill(bill_no, period, whole, left, due_on, issued_on, version)
            if (known := found.get(customer_no)) is None:
                found[customer_no] = [bill]
            else:
                known.append(bill)
    for of_customer in found.values():
        if len(of_customer) > 1:
            of_customer.sort(key=_by_age)
    return found


def _by_age(bill: OpenBill) -> tuple[date, str, str]:
    """Oldest due first, as settlement pays them."""
    return bill.due_on, bill.period, bill.bill_no


def open_customers(session: Session, after: str, limit: int) -> list[str]:
    """The next ``limit`` customers with an open bill, by number, from behind ``after`` ('')."""
    query = (
        select(bills.c.customer_no)
        .distinct()
        .where(bills.c.is_open, bills.c.customer_no > after)
        .order_by(bills.c.customer_no)
        .limit(limit)
    )
    return list(session.execute(query).scalars())


def in_flight(session: Session, customer_nos: Iterable[str]) -> dict[str, list[InFlight]]:
    """The money on its way of each of these customers that has any, by payment number."""
    columns = payments.c
    query = (
        select(
            columns.customer_no,
            columns.payment_no,
            columns.amount,
            columns.method,
            columns.expected_on,
            columns.bill_no,
            columns.paid_at,
        )
        .where(columns.state == IN_FLIGHT)
        .order_by(columns.payment_no)
    )
    found: dict[str, list[InFlight]] = {}
    for some in chunks(customer_nos):
        for customer_no, *rest in session.execute(query.where(columns.customer_no.in_(some))):
            found.setdefault(customer_no, []).append(InFlight(*rest))
    return found


def balances_of(session: Session, customer_nos: Iterable[str]) -> dict[str, Balance]:
    """The last balance of each of these customers that has one."""
    query = select(balances.c.customer_no, balances.c.balance, balances.c.measured_at)
    return {
        customer_no: Balance(balance, measured_at)
        for some in chunks(customer_nos)
        for customer_no, balance, measured_at in session.execute(
            query.where(balances.c.customer_no.in_(some))
        )
    }


def credits_of(session: Session, customer_nos: Iterable[str]) -> dict[str, Decimal]:
    """What each of these customers has paid and no bill has used yet (预收余款), when above 0."""
    query = select(credits.c.customer_no, credits.c.credit, credits.c.waiting)
    return {
        customer_no: credit + waiting
        for some in chunks(customer_nos)
        for customer_no, credit, waiting in session.execute(
            query.where(credits.c.customer_no.in_(some))
        )
        if credit + waiting
    }


def bills_of(session: Session, customer_no: str, limit: int = 13) -> list[BillView]:
    """The current versions of a customer's last bills, newest first."""
    columns = bills.c
    query = (
        _views()
        .where(columns.customer_no == customer_no, columns.is_current)
        .order_by(columns.period.desc(), columns.issued_on.desc(), columns.bill_no.desc())
        .limit(limit)
    )
    return [BillView(*row) for row in session.execute(query)]


def bill_by_no(session: Session, customer_no: str, bill_no: str) -> BillView | None:
    """The current version of one bill; None when it is not this customer's."""
    columns = bills.c
    query = _views().where(
        columns.customer_no == customer_no, columns.bill_no == bill_no, columns.is_current
    )
    row = session.execute(query).first()
    return None if row is None else BillView(*row)


def versions_of(session: Session, customer_no: str, bill_no: str) -> list[BillView]:
    """Every version of one bill, the current one first."""
    columns = bills.c
    query = (
        _views()
        .where(columns.customer_no == customer_no, columns.bill_no == bill_no)
        .order_by(columns.version.desc())
    )
    return [BillView(*row) for row in session.execute(query)]


def _views() -> Select[*tuple[Any, ...]]:
    return select(*(bills.c[name] for name in BillView._fields))


def payments_of(session: Session, customer_no: str, limit: int = 24) -> list[PaymentView]:
    """A customer's last payments, newest first."""
    query = (
        select(*(payments.c[name] for name in PaymentView._fields))
        .where(payments.c.customer_no == customer_no)
        .order_by(payments.c.paid_at.desc(), payments.c.payment_no.desc())
        .limit(limit)
    )
    return [PaymentView(*row) for row in session.execute(query)]
