"""Late fees to the fen: rates by class and year, partial payments by day, rounding, rule rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.arrears.late_fee import LateFee, LateFeeRules, PaidPart, late_fee
from gongdian.arrears.rules import LATE_FEES, read_rules, shipped_rows
from gongdian.errors import InputError
from gongdian.rule_tables import RuleSet

_READ = read_rules(RuleSet(LATE_FEES, 3, "", tuple(shipped_rows(LATE_FEES))))
assert isinstance(_READ, LateFeeRules)
RULES: LateFeeRules = _READ
DUE = date(2026, 11, 25)


def fee(
    amount: str,
    until: date,
    *,
    due: date = DUE,
    kind: str = "residential",
    paid: tuple[tuple[date, str], ...] = (),
    rules: LateFeeRules = RULES,
) -> LateFee:
    """The late fee of a bill of the nation's region."""
    parts = [PaidPart(on, Decimal(part)) for on, part in paid]
    return late_fee(Decimal(amount), due, parts, kind, "national", rules, until)


def test_it_counts_from_the_day_after_the_due_date_to_the_day_of_payment() -> None:
    assert fee("86.40", DUE) == LateFee(Decimal("0.00"), 0, (), False, "late_fee_rules v3")
    assert (fee("86.40", date(2026, 11, 26)).amount, fee("86.40", date(2026, 11, 26)).days) == (
        Decimal("0.09"),
        1,
    )
    ten = fee("86.40", date(2026, 12, 5))
    assert (ten.amount, ten.days, ten.rules) == (Decimal("0.86"), 10, "late_fee_rules v3")


def test_others_pay_more_and_still_more_from_the_first_of_january() -> None:
    found = fee("186452.37", date(2027, 1, 10), kind="industrial_two_part")
    spans = [(span.days, span.rule.daily_rate) for span in found.spans]
    assert spans == [(36, Decimal("0.002")), (10, Decimal("0.003"))]
    # 186452.37 x (36 x 0.002 + 10 x 0.003) = 19018.14174
    assert found.amount == Decimal("19018.14")
    assert fee("186452.37", date(2026, 12, 31), kind="agricultural").amount == Decimal("13424.57")
    assert fee("186452.37", date(2027, 1, 10)).amount == Decimal("8576.81"), "residents: one rate"


def test_a_debt_that_becomes_overdue_on_new_years_day_is_that_years() -> None:
    found = fee("1000.00", date(2027, 1, 5), due=date(2026, 12, 31), kind="industrial_one_part")
    assert [span.rule.age for span in found.spans] == ["same_calendar_year"]
    later = fee("1000.00", date(2028, 1, 1), due=date(2026, 12, 31), kind="industrial_one_part")
    assert later.amount == Decimal("733.00"), "365 days at 0.002 and one at 0.003"
    assert later.days == 366


def test_what_was_paid_counts_to_the_end_of_its_day() -> None:
    found = fee("100.00", date(2026, 12, 5), paid=((date(2026, 11, 28), "60.00"),))
    assert [(span.days, span.principal) for span in found.spans] == [
        (3, Decimal("100.00")),
        (7, Decimal("40.00")),
    ]
    assert found.amount == Decimal("0.58")
    early = fee("100.00", date(2026, 12, 5), paid=((date(2026, 11, 20), "60.00"),))
    assert [(span.days, span.principal) for span in early.spans] == [(10, Decimal("40.00"))]
    first = fee("100.00", date(2026, 12, 5), paid=((date(2026, 11, 26), "60.00"),))
    assert first.spans[0].principal == Decimal("100.00"), "paid on the first day overdue"
    whole = fee("100.00", date(2026, 12, 5), paid=((date(2026, 11, 28), "100.00"),))
    assert (whole.days, whole.amount) == (3, Decimal("0.30"))
    assert fee("100.00", date(2026, 12, 5), paid=((DUE, "100.00"),)).amount == Decimal("0.00")


def test_it_is_rounded_once_a_bill_and_half_up() -> None:
    # 5.00 x 0.001 = 0.005 a day: rounded by day it would be 0.01 a day
    assert fee("5.00", date(2026, 11, 26)).amount == Decimal("0.01")
    assert fee("5.00", date(2026, 11, 28)).amount == Decimal("0.02")
    assert fee("5.00", date(2026, 12, 5)).amount == Decimal("0.05")


def test_a_minimum_counts_only_where_the_row_says_so() -> None:
    """The 1 yuan of the 1996 text is not confirmed for the 2024 text."""
    assert fee("86.40", date(2026, 11, 26)).is_minimum is False
    old = fee("86.40", date(2023, 11, 26), due=date(2023, 11, 25))
    assert (old.amount, old.is_minimum) == (Decimal("1.00"), True)
    assert old.spans[0].rule.minimum == Decimal("1.00")
    enough = fee("8640.00", date(2023, 11, 26), due=date(2023, 11, 25))
    assert (enough.amount, enough.is_minimum) == (Decimal("8.64"), False)


def test_a_day_takes_the_row_that_is_in_force_on_it_and_the_regions_own_first() -> None:
    change = date(2026, 12, 1)
    rows = [
        replace(row, effective_to=date(2026, 11, 30)) if row.effective_to is None else row
        for row in RULES.rows
    ]
    new = [
        replace(row, effective_from=change, effective_to=None, daily_rate=Decimal("0.0015"))
        for row in RULES.rows
        if row.effective_to is None
    ]
    both = LateFeeRules("late_fee_rules v4", (*rows, *new))
    found = fee("100.00", date(2026, 12, 5), rules=both)
    assert [(span.days, span.rule.daily_rate) for span in found.spans] == [
        (5, Decimal("0.001")),
        (5, Decimal("0.0015")),
    ]
    own = replace(RULES.rows[3], region="yunxi", daily_rate=Decimal("0.002"))
    local = LateFeeRules("x", (*RULES.rows, own))
    part = late_fee(Decimal(100), DUE, [], "residential", "yunxi", local, date(2026, 11, 26))
    assert part.amount == Decimal("0.20")


def test_a_day_without_a_row_is_an_error_and_no_zero() -> None:
    with pytest.raises(InputError, match="no_late_fee_rule"):
        fee("1.00", date(2026, 12, 1), rules=LateFeeRules("empty", ()))


def test_rates_beyond_the_regulations_bounds_are_refused() -> None:
    rows = [{**shipped_rows(LATE_FEES)[0], "daily_rate": "0.0031"}]
    with pytest.raises(InputError, match="bad_rule"):
        read_rules(RuleSet(LATE_FEES, 1, "", tuple(rows)))


@given(
    st.integers(1, 10**9),
    st.dates(date(2024, 6, 1), date(2027, 12, 31)),
    st.integers(-3, 800),
    st.lists(st.tuples(st.integers(-5, 800), st.integers(1, 10**8)), max_size=4),
    st.booleans(),
)
def test_it_is_the_sum_over_the_days_one_by_one(
    fen: int, due: date, length: int, parts: list[tuple[int, int]], is_home: bool
) -> None:
    """The oracle walks day by day with fractions."""
    until = due + timedelta(days=length)
    paid = [(due + timedelta(days=offset), part) for offset, part in parts]
    exact = Fraction(0)
    on = due + timedelta(days=1)
    first_year = on.year
    while on <= until:
        unpaid = fen - sum(part for when, part in paid if when < on)
        rate = 1 if is_home else (2 if on.year == first_year else 3)
        exact += Fraction(max(0, unpaid) * rate, 100_000)
        on += timedelta(days=1)
    found = fee(
        f"{Decimal(fen).scaleb(-2)}",
        until,
        due=due,
        kind="residential" if is_home else "industrial_one_part",
        paid=tuple((when, f"{Decimal(part).scaleb(-2)}") for when, part in paid),
    )
    wanted = Decimal(exact.numerator) / Decimal(exact.denominator)
    assert found.amount == wanted.quantize(Decimal("0.01"), ROUND_HALF_UP)
