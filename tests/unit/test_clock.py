"""The clock: UTC inside, China for people, never back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.clock import MovableClock, SystemClock, china_date, china_text, next_china_midnight

instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def test_the_system_clock_is_aware_and_runs() -> None:
    first = SystemClock().now()
    assert first.tzinfo is UTC
    assert SystemClock().now() >= first


def test_a_standing_clock_moves_only_when_told() -> None:
    start = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
    clock = MovableClock(start, running=False)
    assert clock.now() == clock.now() == start
    assert clock.move(timedelta(hours=1)) == clock.now() == start + timedelta(hours=1)


def test_a_running_clock_runs_from_its_start_and_jumps() -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    clock = MovableClock(start)
    assert timedelta(0) <= clock.now() - start < timedelta(seconds=5)
    assert clock.move(timedelta(days=3)) >= start + timedelta(days=3)


def test_a_clock_never_goes_back() -> None:
    with pytest.raises(ValueError, match="never goes back"):
        MovableClock().move(timedelta(seconds=-1))


def test_days_and_texts_are_those_of_china() -> None:
    at = datetime(2026, 1, 4, 16, 0, tzinfo=UTC)
    assert china_date(at).isoformat() == "2026-01-05"
    assert china_date(at - timedelta(microseconds=1)).isoformat() == "2026-01-04"
    assert china_text(at) == "2026-01-05 00:00"


@given(instants)
def test_the_next_midnight_is_later_and_begins_the_next_day(at: datetime) -> None:
    midnight = next_china_midnight(at)
    assert at < midnight <= at + timedelta(days=1)
    assert china_date(midnight) == china_date(at) + timedelta(days=1)
    assert china_text(midnight).endswith("00:00")
