"""Settlement of bills by payments, to the fen; the lines of a bill."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.billing.model import (
    BOOKED,
    FAILED,
    IN_FLIGHT,
    REVERSED,
    Bill,
    BillLines,
    FeeLine,
    Payment,
    PeriodLine,
    Reading,
    Settlement,
    bill_lines,
    is_stale,
    latest_versions,
    settle,
)
from gongdian.errors import InputError

DUE = date(2026, 11, 25)
AT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


def bill(number: str, fen: int, *, version: int = 1, days: int = 0) -> Bill:
    return Bill(number, version, "202610", fen, DUE + timedelta(days=days))


def booked(fen: int, number: str = "") -> Payment:
    return Payment(number, fen, BOOKED)


def open_fen(bills: list[Bill], result: Settlement) -> dict[str, int]:
    """What each current bill still asks for."""
    return {
        number: one.amount_fen - result.paid_fen[number]
        for number, one in latest_versions(bills).items()
    }


def test_a_payment_settles_the_bill_that_it_names() -> None:
    bills = [bill("a", 100), bill("b", 200, days=30)]
    result = settle(bills, [booked(200, "b")])
    assert open_fen(bills, result) == {"a": 100, "b": 0}
    assert (result.loose_fen, result.credit_fen, result.waiting_fen) == (0, 0, 0)


def test_a_partial_payment_leaves_the_rest_open() -> None:
    bills = [bill("a", 10_001)]
    assert open_fen(bills, settle(bills, [booked(5_000, "a"), booked(5_000, "a")])) == {"a": 1}


def test_what_is_paid_too_much_settles_the_oldest_bill_and_then_stays_as_credit() -> None:
    bills = [bill("new", 300, days=60), bill("old", 100), bill("paid", 50, days=30)]
    result = settle(bills, [booked(500, "paid")])
    assert open_fen(bills, result) == {"new": 0, "old": 0, "paid": 0}
    assert (result.loose_fen, result.credit_fen) == (450, 50)


def test_credit_settles_the_next_bill_when_it_comes() -> None:
    first = settle([bill("a", 100)], [booked(160)])
    assert first.credit_fen == 60
    bills = [bill("a", 100), bill("b", 90, days=30)]
    second = settle(bills, [booked(160)])
    assert (open_fen(bills, second), second.credit_fen) == ({"a": 0, "b": 30}, 0)


def test_of_bills_due_on_one_day_the_lower_number_is_paid_first() -> None:
    bills = [bill("b", 100), bill("a", 100)]
    assert open_fen(bills, settle(bills, [booked(150)])) == {"a": 0, "b": 50}


def test_a_reversed_bill_gives_its_money_to_the_others() -> None:
    bills = [bill("a", 100), bill("a", 0, version=2), bill("b", 80, days=30)]
    result = settle(bills, [booked(100, "a")])
    assert (open_fen(bills, result), result.credit_fen) == ({"a": 0, "b": 0}, 20)


def test_a_negative_adjustment_is_credit_for_the_oldest_bill() -> None:
    bills = [bill("refund", -30, days=30), bill("old", 20), bill("new", 50, days=60)]
    result = settle(bills, [])
    assert open_fen(bills, result) == {"refund": 0, "old": 0, "new": 40}
    assert result.paid_fen["refund"] == -30


def test_a_positive_adjustment_is_a_debt_of_its_own() -> None:
    bills = [bill("a", 100), bill("more", 7, days=1)]
    assert open_fen(bills, settle(bills, [booked(100, "a")])) == {"a": 0, "more": 7}


def test_a_corrected_bill_keeps_what_was_paid_on_it() -> None:
    bills = [bill("a", 100), bill("a", 130, version=2)]
    assert open_fen(bills, settle(bills, [booked(100, "a")])) == {"a": 30}
    lower = [bill("a", 100), bill("a", 70, version=2)]
    assert settle(lower, [booked(100, "a")]).credit_fen == 30


def test_a_lower_version_never_counts_whenever_it_comes() -> None:
    late = [bill("a", 70, version=2), bill("a", 100)]
    assert latest_versions(late)["a"].amount_fen == 70


def test_money_for_a_bill_that_has_not_come_pays_no_other() -> None:
    bills = [bill("a", 100)]
    result = settle(bills, [booked(60, "later")])
    assert (open_fen(bills, result), result.credit_fen, result.waiting_fen) == ({"a": 100}, 0, 60)


@pytest.mark.parametrize("state", [IN_FLIGHT, FAILED, REVERSED])
def test_only_booked_money_settles(state: str) -> None:
    assert open_fen([bill("a", 9)], settle([bill("a", 9)], [Payment("a", 9, state)])) == {"a": 9}


@pytest.mark.parametrize(
    ("known", "coming"), [(IN_FLIGHT, FAILED), (FAILED, BOOKED), (BOOKED, REVERSED)]
)
def test_a_payment_goes_one_way_whatever_the_dates_say(known: str, coming: str) -> None:
    earlier = AT - timedelta(days=1)
    assert not is_stale(known, AT, coming, earlier)
    assert is_stale(coming, earlier, known, AT)


def test_within_one_state_the_later_date_counts_and_then_the_last_file() -> None:
    later = AT + timedelta(seconds=1)
    assert is_stale(BOOKED, later, BOOKED, AT)
    assert not is_stale(BOOKED, AT, BOOKED, later)
    assert not is_stale(BOOKED, AT, BOOKED, AT)


class Told(NamedTuple):
    """What a file tells of a payment."""

    number: int
    paid_at: datetime
    payment: Payment


def versions() -> st.SearchStrategy[list[Bill]]:
    """Versions of a few bills: normal, corrected, reversed (0), adjustments (below 0)."""
    one = st.builds(
        Bill,
        st.sampled_from("abcde"),
        st.integers(1, 3),
        st.sampled_from(["202609", "202610"]),
        st.one_of(st.just(0), st.integers(-500, 500), st.integers(10**11, 10**13)),
        st.dates(DUE, DUE + timedelta(days=3)),
    )
    return st.lists(one, max_size=9, unique_by=lambda bill: (bill.bill_no, bill.version))


@st.composite
def payments(draw: st.DrawFn) -> list[Told]:
    """The lives of a few payments: some of their states, in their order."""
    told = []
    for number in range(draw(st.integers(0, 6))):
        bill_no = draw(st.sampled_from(["", "a", "b", "c", "d", "e", "unknown"]))
        fen = draw(st.one_of(st.integers(1, 600), st.integers(10**11, 10**13)))
        life = [IN_FLIGHT, FAILED, BOOKED, REVERSED]
        for day, state in enumerate(life):
            if draw(st.booleans()):
                paid_at = AT + timedelta(days=day)
                told.append(Told(number, paid_at, Payment(bill_no, fen, state)))
    return told


def known_payments(told: list[Told]) -> dict[int, Told]:
    """What is known of each payment after all was told, as the service takes it in."""
    known: dict[int, Told] = {}
    for one in told:
        before = known.get(one.number)
        if before is not None and is_stale(
            before.payment.state, before.paid_at, one.payment.state, one.paid_at
        ):
            continue
        known[one.number] = one
    return known


def settled(bills: list[Bill], told: list[Told]) -> Settlement:
    return settle(bills, [one.payment for one in known_payments(told).values()])


@given(versions(), payments())
def test_every_fen_that_was_booked_is_on_a_bill_or_left(
    bills: list[Bill], told: list[Told]
) -> None:
    result = settled(bills, told)
    booked_fen = sum(
        one.payment.amount_fen
        for one in known_payments(told).values()
        if one.payment.state == BOOKED
    )
    assert sum(result.paid_fen.values()) + result.credit_fen + result.waiting_fen == booked_fen
    assert 0 <= result.credit_fen <= result.loose_fen
    assert result.waiting_fen >= 0
    for number, one in latest_versions(bills).items():
        paid = result.paid_fen[number]
        assert min(0, one.amount_fen) <= paid <= one.amount_fen


@given(versions(), payments())
def test_credit_is_left_only_when_nothing_is_open(bills: list[Bill], told: list[Told]) -> None:
    result = settled(bills, told)
    assert not (result.credit_fen and any(open_fen(bills, result).values()))


@given(versions(), payments())
def test_loose_money_goes_to_the_oldest_bill_first(bills: list[Bill], told: list[Told]) -> None:
    result = settled(bills, told)
    named = settled(bills, [one for one in told if one.payment.bill_no])
    left = open_fen(bills, result)
    current = latest_versions(bills)
    for number, paid in result.paid_fen.items():
        if paid > named.paid_fen[number]:
            older = [n for n, b in current.items() if b.due_on < current[number].due_on]
            assert not any(left[n] for n in older)


@given(versions(), payments(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter_nor_does_coming_twice(
    bills: list[Bill], told: list[Told], random: Random
) -> None:
    expected = settled(bills, told)
    again = [*bills, *random.sample(bills, len(bills) // 2)]
    told_again = [*told, *random.sample(told, len(told) // 2)]
    random.shuffle(again)
    random.shuffle(told_again)
    assert settled(again, told_again) == expected


@given(versions(), payments(), st.integers(1, 600), st.sampled_from(["", "a", "b", "c"]))
def test_more_money_never_opens_a_bill(
    bills: list[Bill], told: list[Told], fen: int, bill_no: str
) -> None:
    money = [one.payment for one in known_payments(told).values()]
    before = settle(bills, money)
    after = settle(bills, [*money, booked(fen, bill_no)])
    assert all(after.paid_fen[number] >= paid for number, paid in before.paid_fen.items())


LINES: dict[str, Any] = {
    "readings": [{"meter": "M1", "previous": 1000.1, "current": 1012.4, "multiplier": 20.0}],
    "loss_kwh": 3.5,
    "kwh": {"valley": 40.0, "sharp": 0.0, "peak": 60.5},
    "fees": {"power_factor": -1234, "energy": 20_000, "basic": 30_000, "funds": 0},
}


def test_a_bill_is_explained_line_by_line_in_the_order_of_the_printed_bill() -> None:
    assert bill_lines(json.dumps(LINES), Decimal("487.66")) == BillLines(
        readings=(Reading("M1", 1000.1, 1012.4, 20.0, 246.0),),
        loss_kwh=3.5,
        periods=(PeriodLine("峰段", 60.5), PeriodLine("谷段", 40.0)),
        fees=(
            FeeLine("购电费", Decimal("200.00")),
            FeeLine("容(需)量电费", Decimal("300.00")),
            FeeLine("力调电费", Decimal("-12.34")),
        ),
        adds_up=True,
    )


@pytest.mark.parametrize(
    ("lines", "amount", "adds_up"),
    [
        (LINES, "487.67", False),
        ({}, "0.00", False),
        ({"fees": {"energy": 1}}, "0.01", True),
    ],
)
def test_fees_that_are_another_sum_than_the_bill_are_told(
    lines: dict[str, Any], amount: str, adds_up: bool
) -> None:
    assert bill_lines(json.dumps(lines), Decimal(amount)).adds_up is adds_up


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"fees": 1}', '{"fees": {"energy": "x"}}', '{"readings": [{"meter": "1"}]}'],
)
def test_lines_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        bill_lines(text, Decimal("1.00"))
    assert refused.value.code == "bad_lines"
