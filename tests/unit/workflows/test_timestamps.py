"""Time stamps of the ASL specification."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workflows.engine.language.timestamps import parse_timestamp


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2016-03-14T01:59:00Z", datetime(2016, 3, 14, 1, 59, tzinfo=UTC)),
        ("2016-03-14T01:59:00+08:00", datetime(2016, 3, 13, 17, 59, tzinfo=UTC)),
        ("2016-03-14T01:59:00-00:30", datetime(2016, 3, 14, 2, 29, tzinfo=UTC)),
        ("2016-03-14T01:59:00.5Z", datetime(2016, 3, 14, 1, 59, 0, 500_000, tzinfo=UTC)),
        ("2016-03-14T01:59:00.123456789Z", datetime(2016, 3, 14, 1, 59, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_accepted(text: str, moment: datetime) -> None:
    assert parse_timestamp(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2016-03-14",
        "2016-03-14T01:59:00",
        "2016-03-14 01:59:00Z",
        "2016-03-14t01:59:00Z",
        "2016-03-14T01:59:00z",
        "2016-13-14T01:59:00Z",
        "2016-02-30T01:59:00Z",
        "2016-03-14T25:59:00Z",
        "14-03-2016T01:59:00Z",
        "2016-03-14T01:59:00+0800",
        "2016-03-14T01:59:00+25:00",
        "2016-03-14T01:59:00.Z",
        "2016-03-14T01:59:00Z ",
        "２016-03-14T01:59:00Z",  # noqa: RUF001 -- a full-width digit is no digit
        "0001-01-01T00:00:00+08:00",
    ],
)
def test_refused(text: str) -> None:
    assert parse_timestamp(text) is None
