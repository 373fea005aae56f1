"""Clock times and days as template keywords write them (时间、日期参数).

Called by the keyword limits; flows write instants with ``time_keyword`` and ``date_keyword``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time

from gongdian.clock import CHINA

_CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(:(?P<second>[0-9]{2}))?"
_DAYS = (
    r"(?P<year>[0-9]{4})年((?P<month>[0-9]{1,2})月((?P<day>[0-9]{1,2})日)?)",
    r"(?P<month>[0-9]{1,2})月(?P<day>[0-9]{1,2})日",
    r"(?P<year>[0-9]{4})(?P<mark>[-/.])(?P<month>[0-9]{1,2})((?P=mark)(?P<day>[0-9]{1,2}))?",
    r"(?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})",
)
_SHAPES = tuple(
    re.compile(pattern) for pattern in (_CLOCK, *_DAYS, *(f"{day} {_CLOCK}" for day in _DAYS))
)
_LEAP_YEAR = 2000  # a day without a year may be 29 February


@dataclass(frozen=True, slots=True)
class _Moment:
    """One parsed end of a value; what was not written is None."""

    day: date | None
    clock: time | None
    has_year: bool


def time_keyword(at: datetime) -> str:
    """An aware instant for a ``time`` keyword: ``2026年11月25日 23:59``, China time.

    The form with 年月日 is the one the platform's own examples use; forms with ``-`` were seen
    to be refused for some templates.
    """
    local = at.astimezone(CHINA)
    return f"{date_keyword(local.date())} {local:%H:%M}"


def date_keyword(day: date) -> str:
    """A calendar day for a ``date`` keyword: ``2026年11月25日``."""
    return f"{day.year}年{day.month}月{day.day}日"


def moments_problem(value: str, *, time_needed: bool, day_needed: bool) -> tuple[str, str] | None:
    """What is wrong with a moment or a range ``a~b``: (code without prefix, text), or None."""
    ends = value.split("~")
    if len(ends) > 2:
        return "format", "at most one ~"
    parsed: list[_Moment] = []
    for end in ends:
        found = _match(end)
        if found is None:
            return "format", "wanted 2026年1月5日 14:30, 14:30 or a range with ~"
        try:
            moment = _read(found)
        except ValueError:
            return "impossible", "no such date or time"
        if time_needed and moment.clock is None:
            return "format", "a clock time is needed"
        if day_needed and moment.day is None:
            return "format", "a day is needed"
        parsed.append(moment)
    if len(parsed) == 2 and _is_backwards(parsed[0], parsed[1]):
        return "range_order", "the range ends before it starts"
    return None


def _match(text: str) -> dict[str, str | None] | None:
    for shape in _SHAPES:
        found = shape.fullmatch(text)
        if found is not None:
            return found.groupdict()
    return None


def _read(found: dict[str, str | None]) -> _Moment:
    """Raises ValueError for a date or time that does not exist."""
    day: date | None = None
    year = found.get("year")
    month = found.get("month")
    if month is not None:
        day = date(int(year or _LEAP_YEAR), int(month), int(found.get("day") or 1))
    clock: time | None = None
    hour, minute = found.get("hour"), found.get("minute")
    if hour is not None and minute is not None:
        clock = time(int(hour), int(minute), int(found.get("second") or 0))
    return _Moment(day, clock, has_year=year is not None)


def _is_backwards(start: _Moment, end: _Moment) -> bool:
    """Only ends of the same form can be compared; without a year or a day a range may wrap."""
    if not (start.has_year and end.has_year) or start.day is None or end.day is None:
        return False
    return (end.day, end.clock or time.max) < (start.day, start.clock or time.min)
