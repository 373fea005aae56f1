"""Working days in China (工作日), pure: weekends, holidays, and weekend days that are worked.

A day without a row falls back to its weekday: the calendar of a year comes out the autumn before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class HolidayCalendar:
    """The table ``cn_holidays`` of one version: holidays 放假, and worked weekend days 调休上班."""

    label: str
    holidays: frozenset[date]
    workdays: frozenset[date]

    def is_working(self, on: date) -> bool:
        """Whether offices work on that day."""
        return on in self.workdays or (on.weekday() < 5 and on not in self.holidays)


def add_working_days(on: date, count: int, calendar: HolidayCalendar) -> date:
    """The last of the ``count`` working days that follow ``on``."""
    while count:
        on += timedelta(days=1)
        count -= calendar.is_working(on)
    return on
