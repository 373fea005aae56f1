"""Bills, payments and balances on both databases: versions, settlement, bulk, what pages read."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gongdian.billing.bulk import rows_by_pair
from gongdian.billing.queries import (
    Balance,
    InFlight,
    OpenBill,
    balances_of,
    bill_by_no,
    bills_of,
    in_flight,
    open_bills,
    open_customers,
    payments_of,
    versions_of,
)
from gongdian.billing.rows import Applied, BalanceRow, BillRow
from gongdian.billing.service import apply_balances, apply_bills
from gongdian.billing.tables import balances, bills, credits
from gongdian.db import Database
from gongdian.errors import InputError
from gongdian.migrations.upgrade import upgrade_database
from tests.billing_factories import DUE, LINES, NOW, WANG, ZHAO, Books, a_bill, a_payment


@pytest.fixture
def books(database: Database) -> Books:
    return Books(database)


def test_a_new_bill_is_open_and_comes_back_as_it_was_written(books: Books) -> None:
    assert books.bills(a_bill()) == Applied(1, 0, 0, {WANG})
    with books.database.read() as session:
        assert open_bills(session, [WANG, ZHAO]) == {
            WANG: [
                OpenBill(
                    "B1",
                    "202610",
                    Decimal("86.40"),
                    Decimal("86.40"),
                    DUE,
                    date(2026, 11, 5),
                    1,
                )
            ]
        }
        shown = bill_by_no(session, WANG, "B1")
        assert bill_by_no(session, ZHAO, "B1") is None
    assert shown is not None
    assert (shown.kwh, shown.lines, shown.is_open) == (123456789.25, LINES, True)
    assert books.rows(bills.c.run_id, bills.c.row_no, bills.c.changed_at) == [(1, 2, NOW)]


def test_the_same_file_again_changes_nothing(books: Books) -> None:
    rows = [a_bill(), a_bill("B2", due_on=DUE + timedelta(days=30))]
    books.bills(*rows)
    assert books.bills(*rows) == Applied(0, 0, 2, set())
    books.payments(a_payment())
    assert books.payments(a_payment()) == Applied(0, 0, 1, set())
    assert books.rows(bills.c.run_id) == [(1,), (1,)]
    assert books.open() == {"B2": "86.40"}


def test_the_same_version_with_other_content_is_replaced_by_the_last_file(books: Books) -> None:
    books.bills(a_bill())
    books.payments(a_payment())
    again = a_bill(fen=9000, row_no=7, due_on=DUE + timedelta(days=1))
    assert books.bills(again) == Applied(0, 1, 0, {WANG})
    assert books.open() == {"B1": "3.60"}
    assert books.rows(bills.c.run_id, bills.c.row_no, bills.c.due_on) == [
        (3, 7, DUE + timedelta(days=1))
    ]


def test_a_higher_version_takes_the_place_of_a_lower_one_and_its_money(books: Books) -> None:
    books.bills(a_bill())
    books.payments(a_payment(fen=5000))
    assert books.bills(a_bill(version=2, fen=6000, kind="reissue")).new == 1
    assert books.open() == {"B1": "10.00"}
    with books.database.read() as session:
        told = [
            (one.version, str(one.paid), one.is_current, one.is_open)
            for one in versions_of(session, WANG, "B1")
        ]
    assert told == [(2, "50.00", True, True), (1, "0.00", False, False)]


def test_a_lower_version_that_comes_late_is_kept_and_never_counts(books: Books) -> None:
    books.bills(a_bill(version=2, fen=6000))
    assert books.bills(a_bill(version=1)) == Applied(1, 0, 0, set())
    assert books.bills(a_bill(version=1, fen=1)) == Applied(0, 1, 0, set())
    assert books.open() == {"B1": "60.00"}


def test_a_batch_may_hold_several_versions_of_a_bill_in_any_order(books: Books) -> None:
    versions = [a_bill(version=number, fen=1000 * number) for number in (2, 3, 1)]
    done = books.bills(*versions, versions[1], a_bill(version=2, fen=2500))
    assert done == Applied(3, 1, 1, {WANG})
    assert books.open() == {"B1": "30.00"}
    assert books.rows(bills.c.version, bills.c.is_current) == [(2, False), (3, True), (1, False)]


def test_reversed_money_goes_to_other_bills_and_waits_for_the_next(books: Books) -> None:
    books.bills(a_bill(), a_bill("B2", 5000, due_on=DUE + timedelta(days=30)))
    books.payments(a_payment())
    assert books.open() == {"B2": "50.00"}
    books.bills(a_bill(version=2, fen=0, kind="reversal"))
    assert (books.open(), books.credit()) == ({}, "36.40")
    books.bills(a_bill("B3", 4000, due_on=DUE + timedelta(days=60)))
    assert (books.open(), books.credit()) == ({"B3": "3.60"}, "0")


def test_a_negative_adjustment_lowers_the_oldest_debt(books: Books) -> None:
    books.bills(a_bill(), a_bill("B2", 5000, due_on=DUE + timedelta(days=30)))
    books.bills(a_bill("B9", -1000, kind="adjustment"))
    assert books.open() == {"B1": "76.40", "B2": "50.00"}


def test_an_old_bill_that_comes_late_takes_the_loose_money_of_a_newer_one(books: Books) -> None:
    books.bills(a_bill("B2", 5000))
    books.payments(a_payment(fen=5000, bill_no=""))
    assert books.open() == {}
    books.bills(a_bill("B1", 3000, due_on=DUE - timedelta(days=30)))
    assert books.open() == {"B2": "30.00"}


def test_money_for_a_bill_that_has_not_come_settles_it_when_it_comes(books: Books) -> None:
    books.bills(a_bill("B0"))
    books.payments(a_payment())
    assert (books.open(), books.credit()) == ({"B0": "86.40"}, "86.40")
    books.bills(a_bill("B1"))
    assert (books.open(), books.credit()) == ({"B0": "86.40"}, "0")
    assert books.rows(credits.c.customer_no) == []


def test_partial_payments_and_their_reversal_keep_the_sum_to_the_fen(books: Books) -> None:
    books.bills(a_bill(fen=10_001))
    books.payments(a_payment("P1", 3333), a_payment("P2", 3333))
    assert books.open() == {"B1": "33.35"}
    books.payments(a_payment("P1", 3333, state="reversed"))
    assert books.open() == {"B1": "66.68"}


def test_a_stale_file_cannot_book_a_reversed_payment_again(books: Books) -> None:
    books.bills(a_bill())
    books.payments(a_payment(state="reversed"))
    assert books.payments(a_payment()) == Applied(0, 0, 1, set())
    assert books.open() == {"B1": "86.40"}


def test_money_on_its_way_is_told_and_settles_nothing(books: Books) -> None:
    books.bills(a_bill())
    waiting = a_payment(state="in_flight", method="bank_debit", expected_on=DUE)
    assert books.payments(waiting, waiting) == Applied(1, 0, 1, {WANG})
    assert books.open() == {"B1": "86.40"}
    with books.database.read() as session:
        assert in_flight(session, [WANG, ZHAO]) == {
            WANG: [InFlight("P1", Decimal("86.40"), "bank_debit", DUE, "B1", NOW)]
        }
    books.payments(waiting._replace(state="booked"))
    with books.database.read() as session:
        assert in_flight(session, [WANG]) == {}
    assert books.open() == {}


def test_a_payment_that_was_booked_on_the_wrong_customer_moves(books: Books) -> None:
    books.bills(a_bill(), a_bill(customer_no=ZHAO))
    books.payments(a_payment(customer_no=ZHAO))
    assert books.payments(a_payment(row_no=9)) == Applied(0, 1, 0, {WANG, ZHAO})
    assert (books.open(WANG), books.open(ZHAO)) == ({}, {"B1": "86.40"})


def test_two_payments_of_one_batch_that_are_too_much_together_leave_a_credit(
    books: Books,
) -> None:
    books.bills(a_bill())
    books.payments(a_payment("P1"), a_payment("P2"))
    assert (books.open(), books.credit()) == ({}, "86.40")


@pytest.mark.parametrize(
    "row", [a_bill("B" * 33), a_bill("B1 "), a_bill(customer_no="9" * 21)], ids=str
)
def test_a_number_that_a_database_would_cut_is_refused(books: Books, row: BillRow) -> None:
    with pytest.raises(InputError) as refused:
        books.bills(a_bill("B2"), row)
    assert refused.value.code == "bad_key"
    assert books.rows(bills.c.id) == []


def test_a_payment_without_a_time_zone_is_refused(books: Books) -> None:
    with pytest.raises(InputError) as refused:
        books.payments(a_payment(paid_at=datetime(2026, 11, 23)))  # noqa: DTZ001
    assert refused.value.code == "naive_instant"


def test_the_last_measured_balance_counts(database: Database) -> None:
    first = BalanceRow(2, WANG, -1236, NOW)
    later = BalanceRow(3, WANG, 5000, NOW + timedelta(hours=1))

    def apply(*rows: BalanceRow) -> Applied:
        return database.run(lambda s: apply_balances(s, rows, 5, NOW))

    assert apply(first) == Applied(1, 0, 0, {WANG})
    assert apply(later, first) == Applied(0, 1, 1, {WANG})
    assert apply(later, first) == Applied(0, 0, 2, set())
    with database.read() as session:
        assert balances_of(session, [WANG, ZHAO]) == {
            WANG: Balance(Decimal("50.00"), NOW + timedelta(hours=1))
        }
        assert session.execute(select(balances.c.row_no)).scalar() == 3


def test_pages_see_current_versions_and_payments_newest_first(books: Books) -> None:
    months = [
        a_bill(f"B{month}", period=f"2026{month:02d}", due_on=date(2026, month + 1, 25))
        for month in (8, 10, 9)
    ]
    books.bills(*months, a_bill("B9", 100, period="202609", version=2))
    later = NOW + timedelta(days=1)
    books.payments(a_payment("P1", 1, bill_no="B8"), a_payment("P2", 2, paid_at=later))
    with books.database.read() as session:
        shown = [(one.bill_no, str(one.amount)) for one in bills_of(session, WANG)]
        assert [one.bill_no for one in bills_of(session, WANG, limit=1)] == ["B10"]
        paid = [(one.payment_no, str(one.amount)) for one in payments_of(session, WANG)]
        assert payments_of(session, ZHAO) == []
    assert shown == [("B10", "86.40"), ("B9", "1.00"), ("B8", "86.40")]
    assert paid == [("P2", "0.02"), ("P1", "0.01")]


def test_customers_with_open_bills_come_page_by_page(books: Books) -> None:
    numbers = [f"99{number:011d}" for number in range(7)]
    books.bills(*(a_bill(f"B{i}", customer_no=no) for i, no in enumerate(numbers)))
    books.bills(a_bill("more", customer_no=numbers[2]))
    books.payments(a_payment(customer_no=numbers[3], bill_no="B3"))
    seen: list[str] = []
    with books.database.read() as session:
        while page := open_customers(session, seen[-1] if seen else "", 2):
            seen += page
    assert seen == [no for no in numbers if no != numbers[3]]


def test_more_customers_than_one_statement_takes_are_settled(books: Books) -> None:
    numbers = [f"99{number:011d}" for number in range(2300)]
    books.bills(*(a_bill("B1", 100 + i, customer_no=no) for i, no in enumerate(numbers)))
    loose = [a_payment(f"L{no}", 50, customer_no=no, bill_no="") for no in numbers]
    assert len(books.payments(*loose).customers) == 2300
    with books.database.read() as session:
        found = open_bills(session, numbers)
    assert [found[no][0].open_amount for no in numbers] == [
        Decimal(50 + i).scaleb(-2) for i in range(2300)
    ]
    named = [a_payment(f"N{no}", 50 + i, customer_no=no) for i, no in enumerate(numbers)]
    books.payments(*named)
    with books.database.read() as session:
        assert open_bills(session, numbers) == {}


def test_a_bill_and_its_payment_that_come_at_one_time_find_each_other(books: Books) -> None:
    books.bills(a_bill("B0"))
    has_begun, may_end = threading.Event(), threading.Event()

    def load_bill() -> None:
        with books.database.begin() as session:
            apply_bills(session, [a_bill()], 8, NOW)
            has_begun.set()
            may_end.wait(5)

    bill = threading.Thread(target=load_bill)
    bill.start()
    assert has_begun.wait(5)
    payment = threading.Thread(target=books.payments, args=(a_payment(),))
    payment.start()
    payment.join(0.5)
    assert payment.is_alive(), "it must wait for the bill's transaction"
    may_end.set()
    bill.join()
    payment.join()
    assert (books.open(), books.credit()) == ({"B0": "86.40"}, "0")


def test_bills_of_a_batch_are_sought_not_scanned_for(tmp_path: Path) -> None:
    """SQLite's planner would rather read every bill, or index them all first."""
    database = Database(f"sqlite:///{tmp_path / 'plan.db'}")
    upgrade_database(database)
    asked: list[str] = []
    keys = [(WANG, f"B{number}") for number in range(900)]
    columns = (bills.c.customer_no, bills.c.bill_no, bills.c.lines)
    with database.read() as session:
        driver: Any = session.connection.dbapi_connection
        driver.set_trace_callback(asked.append)
        assert list(rows_by_pair(session, keys, columns)) == []
        driver.set_trace_callback(None)
        plan = [
            step[3]
            for text in asked
            for step in driver.execute(f"EXPLAIN QUERY PLAN {text}")
            if " bills " in step[3]
        ]
    database.close()
    sought = "SEARCH bills USING INDEX sqlite_autoindex_bills_1 (customer_no=? AND bill_no=?)"
    assert plan == [sought] * 2
