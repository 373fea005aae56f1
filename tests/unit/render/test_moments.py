"""Instants written for keywords."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gongdian.render.keywords import check
from gongdian.render.moments import date_keyword, time_keyword


def test_an_instant_is_written_in_china_time():
    assert time_keyword(datetime(2026, 11, 25, 16, 1, tzinfo=UTC)) == "2026年11月26日 00:01"


@given(st.integers(min_value=0, max_value=200 * 366 * 24 * 60))
def test_every_instant_we_write_passes_the_time_and_date_checks(minutes):
    at = datetime(1990, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    check("time1", time_keyword(at))
    check("time1", f"{time_keyword(at)}~{time_keyword(at + timedelta(hours=2))}")
    check("date1", date_keyword(at.date()))


def test_a_day_is_written_without_leading_zeros():
    assert date_keyword(date(2027, 1, 6)) == "2027年1月6日"
