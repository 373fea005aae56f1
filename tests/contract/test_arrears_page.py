"""What customers read of their debts, on both databases: sums, parts, whose they are."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

from gongdian.accounts.binding_rows import bind_own_row
from gongdian.arrears.events import facts_changed
from gongdian.arrears.page import OpenSum, month_bills, open_sums, party_page
from gongdian.arrears.rules import seed_rules
from gongdian.billing.rows import BillRow, PaymentRow
from gongdian.billing.service import apply_bills, apply_payments
from gongdian.db import Database, Session
from tests.account_factories import FIRM, HOME, a_customer, a_firm, a_follower, a_person, put

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
LINES = json.dumps({"fees": {"energy": 90_000}})
DUE = date(2026, 11, 15)


def owe(database: Database) -> None:
    """A firm with two open bills, one of them partly paid, and a household without any."""
    put(database, NOW, a_firm(), a_customer(), a_person(FIRM), a_person(HOME))
    issued = date(2026, 10, 5)
    bills = [
        BillRow(1, FIRM, "Y1", 1, "normal", "202609", 90_000, issued, DUE, 100.0, LINES),
        BillRow(
            2, FIRM, "Y2", 1, "normal", "202610", 90_000, issued, date(2026, 12, 1), 1.5, LINES
        ),
    ]
    paid_at = datetime(2026, 11, 17, 16, 30, tzinfo=UTC)  # 00:30 of the 18th in China
    payment = PaymentRow(1, "L1", FIRM, "", 50_000, "booked", "counter", paid_at, None)

    def work(session: Session) -> None:
        seed_rules(session, "test", NOW)
        apply_bills(session, bills, 1, NOW)
        apply_payments(session, [payment], 1, NOW)
        facts_changed(session, [FIRM, HOME], NOW)

    database.run(work)


def test_a_page_adds_up_to_the_fen_and_dates_what_was_paid(database: Database) -> None:
    owe(database)

    with database.read() as session:
        party = party_page(session, [HOME, FIRM], NOW)

    assert party.principal == Decimal("1300.00")
    assert [one.customer_no for one in party.supplies] == [FIRM, HOME]
    first, second = party.supplies[0].bills
    assert (first.left, second.left) == (Decimal("400.00"), Decimal("900.00"))
    # 0.2 % of 900 yuan on 16, 17 and 18 November, of 400 on the five days after
    assert (first.late_fee, second.late_fee) == (Decimal("9.40"), Decimal("0.00"))
    assert (party.overdue_days, party.due_on) == (8, DUE)


def test_a_month_shows_the_late_fee_that_the_page_shows(database: Database) -> None:
    owe(database)

    with database.read() as session:
        supply = party_page(session, [FIRM], NOW).supplies[0]
        (bill,) = month_bills(session, supply, "202609", date(2026, 11, 23))

    assert bill.late_fee == Decimal("9.40")


def test_the_chats_sums_are_those_of_the_bound_customers(database: Database) -> None:
    owe(database)
    contact = a_follower(database, NOW)
    other = a_follower(database, NOW, 2)

    def bind(session: Session) -> None:
        for number in (HOME, FIRM):
            bind_own_row(session, contact.id, number, 1, NOW, role="owner", level=1)

    database.run(bind)

    with database.read() as session:
        sums, none = open_sums(session, contact.id), open_sums(session, other.id)

    assert sums == [
        OpenSum(FIRM, False, Decimal("1300.00"), DUE),
        OpenSum(HOME, False, Decimal("0.00"), None),
    ]
    assert none == []


def test_many_supply_points_are_counted_where_they_are_not_listed(database: Database) -> None:
    numbers = [f"99000012{number:05d}" for number in range(25)]
    put(database, NOW, *(a_firm(number) for number in numbers))
    issued = date(2026, 10, 5)
    bills = [
        BillRow(row, number, "Y1", 1, "normal", "202609", 100, issued, DUE, 1.0, LINES)
        for row, number in enumerate(numbers[2:], start=1)
    ]
    database.run(lambda session: apply_bills(session, bills, 1, NOW))

    with database.read() as session:
        party = party_page(session, numbers, NOW)

    assert (len(party.supplies), party.more) == (20, 5)
    assert party.supplies[0].customer_no == numbers[2]
    assert (party.principal, party.overdue_days) == (Decimal("23.00"), 8)
