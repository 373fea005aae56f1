"""Rule rows of the arrears flow as people write them, and working days."""

from __future__ import annotations

from datetime import date

import pytest

from gongdian.arrears.rules import CUTOFFS, HOLIDAYS, LATE_FEES, STAGES, read_rules, shipped_rows
from gongdian.arrears.working_days import HolidayCalendar, add_working_days
from gongdian.errors import InputError
from gongdian.rule_tables import RuleSet

_READ = read_rules(RuleSet(HOLIDAYS, 1, "", tuple(shipped_rows(HOLIDAYS))))
assert isinstance(_READ, HolidayCalendar)
CALENDAR: HolidayCalendar = _READ


@pytest.mark.parametrize("name", [STAGES, LATE_FEES, CUTOFFS, HOLIDAYS])
def test_shipped_rows_are_read_and_each_names_its_source(name: str) -> None:
    rows = shipped_rows(name)
    read_rules(RuleSet(name, 1, "", tuple(rows)))
    assert all(row["source"] and row["confidence"] for row in rows)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("stage", "one"),
        ("from_day", "soon"),
        ("to_day", "-9"),
        ("effective_from", "2026/01/01"),
        ("is_required", "maybe"),
        ("important", "vip"),
        ("tone", "angry"),
        ("min_amount_yuan", "1.005"),
        ("kind", ""),
        ("from_day", "3"),
    ],
)
def test_a_wrong_stage_row_is_refused_and_named(column: str, value: str) -> None:
    rows = shipped_rows(STAGES)
    rows[1] = {**rows[1], column: value}
    with pytest.raises(InputError, match="bad_rule"):
        read_rules(RuleSet(STAGES, 1, "", tuple(rows)))


def test_a_missing_column_is_refused_and_named() -> None:
    rows = [
        {name: text for name, text in row.items() if name != "tone"} for row in shipped_rows(STAGES)
    ]
    with pytest.raises(InputError, match="tone"):
        read_rules(RuleSet(STAGES, 1, "", tuple(rows)))


@pytest.mark.parametrize(
    ("on", "count", "last"),
    [
        (date(2026, 11, 23), 3, date(2026, 11, 26)),
        (date(2026, 11, 27), 3, date(2026, 12, 2)),
        (date(2026, 9, 30), 1, date(2026, 10, 8)),
        (date(2026, 10, 9), 1, date(2026, 10, 10)),
        (date(2026, 2, 13), 3, date(2026, 2, 25)),
        (date(2026, 12, 31), 1, date(2027, 1, 4)),
        (date(2028, 9, 29), 1, date(2028, 10, 2)),
    ],
)
def test_working_days_know_holidays_worked_weekends_and_fall_back_to_weekends(
    on: date, count: int, last: date
) -> None:
    assert add_working_days(on, count, CALENDAR) == last
