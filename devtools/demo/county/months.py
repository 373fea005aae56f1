"""The county's billing months (电费年月), counted back from the day on which the demo plays.

The newest bills were issued 18 days ago and are due in two days: the first reminder is due, the
overdue one comes when the clock is moved by three days.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta

MONTHS = 13
ISSUED_BEFORE = timedelta(days=18)
DUE_AFTER = timedelta(days=2)
# Every month has this day; an older bill never falls on a later one.
LAST_DAY = 28


@dataclass(frozen=True, slots=True)
class BillingMonth:
    """One month of the county's bills; ``period`` is the month of use, as 202610."""

    period: str
    month: int
    hours: int
    issued_on: date
    due_on: date


def billing_months(today: date, count: int = MONTHS) -> list[BillingMonth]:
    """The last ``count`` months whose bills are issued on ``today``, oldest first."""
    return [_month(today, back) for back in range(count - 1, -1, -1)]


def _month(today: date, back: int) -> BillingMonth:
    issued_on = _months_before(today - ISSUED_BEFORE, back)
    due_on = _months_before(today + DUE_AFTER, back)
    used = issued_on.replace(day=1) - timedelta(days=1)
    days = calendar.monthrange(used.year, used.month)[1]
    return BillingMonth(f"{used:%Y%m}", used.month, days * 24, issued_on, due_on)


def _months_before(day: date, back: int) -> date:
    if back == 0:
        return day
    years, month = divmod(day.year * 12 + day.month - 1 - back, 12)
    return date(years, month + 1, min(day.day, LAST_DAY))
