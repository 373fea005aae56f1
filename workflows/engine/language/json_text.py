"""JSON text and plain text as AWS writes them (文本形式): compact, numbers as Java prints them.

AWS runs on Java: a large or tiny floating-point number appears in computerised scientific notation
(``1.0E10``), which people do see in the outputs of States.Format and States.JsonToString.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

_PLAIN_FROM = 1e-3
_PLAIN_BELOW = 1e7


def to_json(value: Any) -> str:
    """Compact JSON text; Chinese stays as it is."""
    if _has_odd_number(value):
        return _write(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict)


def to_plain_text(value: Any) -> str:
    """A value as States.Format shows it: strings bare, objects as ``{Arg1=1, Arg2=[]}``."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}={to_plain_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_plain_text, value)) + "]"
    return _scalar(value)


def java_double(number: float) -> str:
    """A floating-point number as Java's Double.toString prints it."""
    if number == 0 or not math.isfinite(number) or _PLAIN_FROM <= abs(number) < _PLAIN_BELOW:
        return repr(number)
    mantissa, _, exponent = repr(number).partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    shift = int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    shift += len(whole) - 1 if whole.strip("0") else len(digits) - len(fraction) - 1
    digits = digits.rstrip("0")
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{shift}"


def _has_odd_number(value: Any) -> bool:
    """Does the document hold a floating-point number that Java prints otherwise than Python?"""
    if isinstance(value, float):
        return value != 0 and not _PLAIN_FROM <= abs(value) < _PLAIN_BELOW
    if isinstance(value, dict):
        return any(map(_has_odd_number, value.values()))
    return isinstance(value, list) and any(map(_has_odd_number, value))


def _write(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_string(k)}:{_write(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    return _string(value) if isinstance(value, str) else _scalar(value)


def _string(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _scalar(value: Any) -> str:
    if value.__class__ is int:
        return str(value)
    return java_double(value) if isinstance(value, float) else json.dumps(value)
