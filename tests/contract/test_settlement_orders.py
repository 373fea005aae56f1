"""Any order and any batches of the same facts settle alike, on both databases."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from gongdian.billing.model import BOOKED, Bill, Payment, is_stale, latest_versions, settle
from gongdian.billing.queries import credits_of
from gongdian.billing.rows import BillRow, PaymentRow
from gongdian.billing.tables import bills, payments
from gongdian.db import Database
from tests.billing_factories import DUE, NOW, Books, a_bill, a_payment

Fact = BillRow | PaymentRow
_numbers = itertools.count(1)


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Bills in versions and the lives of payments, of two customers."""
    told: list[Fact] = []
    owners = ("X", "Y")
    keys = st.tuples(st.sampled_from(owners), st.sampled_from("abc"), st.integers(1, 3))
    for owner, bill_no, version in draw(st.lists(keys, max_size=9, unique=True)):
        fen = draw(st.one_of(st.just(0), st.integers(-300, 500)))
        due_on = DUE + timedelta(days=draw(st.integers(0, 2)))
        told.append(a_bill(bill_no, fen, customer_no=owner, version=version, due_on=due_on))
    for number in range(draw(st.integers(0, 6))):
        row = a_payment(
            str(number),
            draw(st.integers(1, 600)),
            customer_no=draw(st.sampled_from(owners)),
            bill_no=draw(st.sampled_from(["", "a", "b", "c", "d"])),
        )
        for day, state in enumerate(("in_flight", "failed", "booked", "reversed")):
            if draw(st.sampled_from([True, state == "booked"])):
                told.append(row._replace(state=state, paid_at=NOW + timedelta(days=day)))
    return told


def apply_in_batches(
    books: Books, told: Sequence[Fact], marks: dict[str, str], random: Random
) -> None:
    """Apply the facts in their order, in batches of chance sizes, some of them twice."""
    left = list(told)
    while left:
        size = random.randint(1, len(left))
        batch, left = left[:size], left[size:]
        for _ in range(random.choice((1, 1, 2))):
            books.bills(
                *(
                    row._replace(customer_no=marks[row.customer_no])
                    for row in batch
                    if isinstance(row, BillRow)
                )
            )
            books.payments(
                *(
                    row._replace(
                        customer_no=marks[row.customer_no],
                        payment_no=f"{marks[row.customer_no]}-{row.payment_no}",
                    )
                    for row in batch
                    if isinstance(row, PaymentRow)
                )
            )


def expected(told: Sequence[Fact], owner: str) -> tuple[dict[str, int], int]:
    """Paid on each current bill and credit, by the pure rules."""
    versions = [
        Bill(row.bill_no, row.version, row.period, row.amount_fen, row.due_on)
        for row in told
        if isinstance(row, BillRow) and row.customer_no == owner
    ]
    known: dict[str, PaymentRow] = {}
    for row in told:
        if isinstance(row, PaymentRow) and row.customer_no == owner:
            before = known.get(row.payment_no, row)
            if not is_stale(before.state, before.paid_at, row.state, row.paid_at):
                known[row.payment_no] = row
    result = settle(
        versions, [Payment(row.bill_no, row.amount_fen, row.state) for row in known.values()]
    )
    booked = sum(row.amount_fen for row in known.values() if row.state == BOOKED)
    credit = result.credit_fen + result.waiting_fen
    assert sum(result.paid_fen.values()) + credit == booked
    assert set(result.paid_fen) == set(latest_versions(versions))
    return result.paid_fen, credit


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(told=facts(), random=st.randoms(use_true_random=False))
def test_the_same_facts_in_any_order_and_any_batches_give_the_same_settlement(
    database: Database, told: list[Fact], random: Random
) -> None:
    books = Books(database)
    example = next(_numbers)
    marks = {owner: f"{owner}{example}" for owner in ("X", "Y")}
    random.shuffle(told)
    apply_in_batches(books, told, marks, random)
    with books.database.read() as session:
        credit = credits_of(session, marks.values())
        for owner, customer_no in marks.items():
            query = select(bills).where(bills.c.customer_no == customer_no)
            stored = session.execute(query).all()
            paid, left = expected(told, owner)
            current = {row.bill_no: row for row in stored if row.is_current}
            assert {no: int(row.paid * 100) for no, row in current.items()} == paid
            assert int(credit.get(customer_no, Decimal(0)) * 100) == left
            for row in stored:
                assert row.is_open == (row.is_current and row.amount > row.paid)
                assert row.is_current or row.paid == 0
            total = select(payments.c.amount).where(
                payments.c.customer_no == customer_no, payments.c.state == BOOKED
            )
            booked = sum(session.execute(total).scalars())
            assert sum(row.paid for row in current.values()) + Decimal(left) / 100 == booked
