"""Checks template values against the platform's limits by parameter type.

Called by ``templates``. Written from the platform's table, independently of the house's own
checks, so that the two implementations test each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date

KEY_FORM = re.compile(r"([a-z_]+?)(\d+)")
DAY = r"(\d{4})(?:年(\d{1,2})月(\d{1,2})日|([-/.])(\d{1,2})\4(\d{1,2}))"
TIME_OF_DAY = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
# re.ASCII: full-width digits and spaces are neither digits nor spaces to the platform.
DAY_FORM = re.compile(DAY, re.ASCII)
DAY_WITH_TIME = re.compile(rf"{DAY}(?:\s*{TIME_OF_DAY})?", re.ASCII)
TIME_WITH_DAY = re.compile(rf"(?:{DAY}\s*)?{TIME_OF_DAY}", re.ASCII)
AMOUNT = re.compile(r"[¥￥$€£]?\d{1,10}(?:\.\d+)?元?", re.ASCII)
CHINESE = "\u4e00-\u9fff\u3400-\u4dbf"
CAR_NUMBER = re.compile(rf"[{CHINESE}A-Za-z0-9][A-Za-z0-9]{{0,6}}[{CHINESE}A-Za-z0-9]")
PATTERNS = {
    "phrase": re.compile(rf"[{CHINESE}]{{1,5}}"),
    "character_string": re.compile(r"[\x20-\x7e]{1,32}"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "number": re.compile(r"(?=.{1,32}$)\d+(?:\.\d+)?", re.ASCII),
    "amount": AMOUNT,
    "phone_number": re.compile(r"(?=.*[0-9])[\x20-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e0-9]{1,17}"),
    "car_number": CAR_NUMBER,
}


def length(text: str) -> int:
    """Characters of a text: code points or UTF-16 units, whichever is more."""
    return max(len(text), len(text.encode("utf-16-le", "surrogatepass")) // 2)


def is_acceptable(key: str, value: str, listed: tuple[str, ...] = ()) -> bool:
    """Whether a value may stand under a typed key such as ``thing1``.

    ``listed`` are the approved values of a const or enum key; none listed = not checked.
    """
    form = KEY_FORM.fullmatch(key)
    if form is None:
        return False
    kind = form.group(1)
    if kind == "const" and not value:
        return True
    if not value.strip() or has_control(value):
        return False
    pattern = PATTERNS.get(kind)
    if pattern is not None:
        return pattern.fullmatch(value) is not None
    check = CHECKS.get(kind)
    return check is not None and check(value, listed)


def has_control(value: str) -> bool:
    """Whether a text has line breaks, control characters or half characters."""
    return any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in value)


def _is_thing(value: str, listed: tuple[str, ...]) -> bool:
    return length(value) <= 20


def _is_listed(value: str, listed: tuple[str, ...]) -> bool:
    return value in listed if listed else length(value) <= 20


def _is_symbols(value: str, listed: tuple[str, ...]) -> bool:
    return length(value) <= 5 and all(unicodedata.category(char)[0] in "PS" for char in value)


def _is_name(value: str, listed: tuple[str, ...]) -> bool:
    if any(char.isdigit() for char in value):
        return False
    return length(value) <= (20 if value.isascii() else 10)


def _is_time(value: str, listed: tuple[str, ...]) -> bool:
    return _is_span(value, TIME_WITH_DAY)


def _is_date(value: str, listed: tuple[str, ...]) -> bool:
    return _is_span(value, DAY_WITH_TIME)


def _is_span(value: str, form: re.Pattern[str]) -> bool:
    ends = [part.strip(" ") for part in value.split("~")]
    return (
        value == value.strip()
        and len(ends) <= 2
        and all(form.fullmatch(end) and _days_exist(end) for end in ends)
    )


def _days_exist(text: str) -> bool:
    for year, month, day, _, other_month, other_day in DAY_FORM.findall(text):
        try:
            date(int(year), int(month or other_month), int(day or other_day))
        except ValueError:
            return False
    return True


CHECKS: dict[str, Callable[[str, tuple[str, ...]], bool]] = {
    "thing": _is_thing,
    "short_thing": _is_thing,
    "symbol": _is_symbols,
    "name": _is_name,
    "const": _is_listed,
    "enum": _is_listed,
    "time": _is_time,
    "date": _is_date,
}
