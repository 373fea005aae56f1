"""Time stamps as AWS takes them (时间戳): the RFC 3339 profile that the ASL specification asks for.

Source: ASL specification, Timestamps: an upper-case T between date and time, an upper-case Z when
there is no numeric offset.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_FORM: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-7]):[0-5]\d|[+-]18:00)",
    re.ASCII,
)


def parse_timestamp(text: str) -> datetime | None:
    """The moment in UTC, cut to microseconds; None when AWS would refuse the text."""
    if _FORM.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # 30 February, 25 o'clock; before year 1 in UTC
        return None
