"""When the parts of a bill were paid, as far as the payments tell."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gongdian.arrears.late_fee import PaidPart
from gongdian.arrears.page_bills import paid_parts, shown_bill
from gongdian.billing.queries import BillView, PaymentView

DUE = date(2026, 11, 15)


def a_view(paid: str, lines: str = "{}") -> BillView:
    amount = Decimal("1000.00")
    issued = date(2026, 11, 5)
    return BillView(
        "9900001203457",
        "Y1",
        1,
        "normal",
        "202610",
        amount,
        Decimal(paid),
        True,
        True,
        issued,
        DUE,
        12.0,
        lines,
    )


def a_payment(amount: str, day: int, bill_no: str = "", state: str = "booked") -> PaymentView:
    at = datetime(2026, 11, day, 4, tzinfo=UTC)
    return PaymentView(f"L{day}{amount}", bill_no, Decimal(amount), state, "counter", at, None)


def part(day: int, amount: str) -> PaidPart:
    return PaidPart(date(2026, 11, day), Decimal(amount))


def test_payments_that_name_the_bill_come_first() -> None:
    payments = [a_payment("300.00", 20), a_payment("200.00", 18, "Y1"), a_payment("9.00", 1, "Y0")]

    assert paid_parts(a_view("250.00"), payments) == [part(18, "200.00"), part(20, "50.00")]


def test_of_loose_money_an_open_bill_got_the_latest() -> None:
    payments = [a_payment("300.00", 10), a_payment("100.00", 20)]

    assert paid_parts(a_view("150.00"), payments) == [part(20, "100.00"), part(10, "50.00")]


def test_only_booked_money_counts_and_the_rest_counts_as_paid_in_time() -> None:
    payments = [
        a_payment("100.00", 20, "Y1", state) for state in ("in_flight", "failed", "reversed")
    ]

    assert paid_parts(a_view("80.00"), payments) == [part(15, "80.00")]


@given(
    st.integers(0, 100_000),
    st.lists(
        st.tuples(
            st.integers(1, 90_000),
            st.integers(1, 28),
            st.sampled_from(["", "Y1", "Y0"]),
            st.sampled_from(["booked", "in_flight", "reversed"]),
        ),
        max_size=8,
    ),
)
def test_the_parts_are_what_was_paid_to_the_fen(
    paid: int, given_payments: list[tuple[int, int, str, str]]
) -> None:
    payments = [
        a_payment(f"{fen / 100:.2f}", day, bill_no, state)
        for fen, day, bill_no, state in given_payments
    ]
    total = Decimal(paid).scaleb(-2)

    parts = paid_parts(a_view(str(total)), payments)

    assert sum((one.amount for one in parts), Decimal("0.00")) == total
    assert all(one.amount > 0 for one in parts)


def test_lines_that_cannot_be_read_leave_the_sums() -> None:
    bill = shown_bill(a_view("0.00", "no json"), date(2026, 11, 23))

    assert (bill.left, bill.lines.fees, bill.lines.adds_up) == (Decimal("1000.00"), (), False)
    assert (bill.overdue_days, bill.late_fee) == (8, None)
