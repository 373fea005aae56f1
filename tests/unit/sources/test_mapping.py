"""Mapping files (字段映射): the shipped ones, and what the strict reader refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gongdian.errors import ConfigError, InputError
from gongdian.sources.check_rules import FEEDS
from gongdian.sources.mapping import load_mapping, shipped_mappings
from tests.unit.sources.feed_files import GOOD_ROWS

GOOD = """
feed = "balances"
title = "余额"
encoding = "utf-8"

[freshness]
period_days = 1
grace_days = 0.5

[[columns]]
heading = "户号"
field = "customer_no"

[[columns]]
heading = "余额"
field = "balance"
unit = "fen"

[[columns]]
heading = "时间"
field = "measured_at"
"""


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path)


def test_every_feed_has_a_shipped_mapping_with_the_agreed_headings() -> None:
    assert shipped_mappings() == sorted(f"sg186_{feed}" for feed in FEEDS)
    for feed, row in GOOD_ROWS.items():
        mapping = load_mapping(f"sg186_{feed}")
        assert mapping.feed == feed
        assert [one.heading for one in mapping.columns] == list(row)
        assert {one.field for one in mapping.columns} == set(FEEDS[feed].by_name)


def test_feeds_say_how_old_they_may_be() -> None:
    payments, bills = load_mapping("sg186_payments"), load_mapping("sg186_bills")
    assert (payments.period, payments.grace) == (timedelta(days=1), timedelta(days=1))
    assert (bills.period, bills.grace) == (timedelta(days=35), timedelta(days=3))
    assert payments.encoding == "gb18030"


def test_a_mapping_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    mapping = load_mapping(tmp_path / "mine.toml") if load(tmp_path, GOOD) else None
    assert mapping is not None
    assert (mapping.name, mapping.feed, mapping.delimiter) == ("mine", "balances", ",")
    assert mapping.grace == timedelta(hours=12)
    assert mapping.columns[1].unit == "fen"
    assert mapping.columns[2].formats == ("%Y-%m-%d %H:%M:%S",)


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(InputError, match="sg186_bills"):
        load_mapping("sg187_bills")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (('feed = "balances"', 'feed = "balance"'), "feed"),
        (('title = "余额"', "title = 5"), "title"),
        (('encoding = "utf-8"', 'encoding = "big5"'), "encoding"),
        (('encoding = "utf-8"', 'encoding = "utf-8"\ncolour = "red"'), "colour"),
        (('encoding = "utf-8"', 'encoding = "utf-8"\ndelimiter = "::"'), "delimiter"),
        (("grace_days = 0.5", "grace_days = -1"), "freshness.grace_days"),
        (("grace_days = 0.5", "grace_days = 1\nhours = 3"), "freshness.hours"),
        (("[freshness]", "[fresh]"), "freshness"),
        (('field = "balance"', 'field = "amount"'), "columns[2].field"),
        (('unit = "fen"', 'unit = "cent"'), "columns[2].unit"),
        (('unit = "fen"', "factor = 2"), "columns[2].factor"),
        (('field = "measured_at"', 'field = "measured_at"\nformats = ["%H:%M"]'), "formats"),
        (('field = "measured_at"', 'field = "measured_at"\noptional = true'), "optional"),
        (('heading = "余额"', 'heading = "户号"'), "columns"),
        (('heading = "余额"', 'heading = " 余额"'), "columns[2].heading"),
        (('field = "customer_no"', 'field = "customer_no"\npattern = "["'), "columns[1].pattern"),
        (("[freshness]", '[as_of]\ncolumn = "余额"\n[freshness]'), "as_of.column"),
        (("[freshness]", "[as_of]\nfile_name = '[0-9]'\n[freshness]"), "as_of.file_name"),
        (("[freshness]", '[sql]\nview = "v; DROP"\ncursor = ["a"]\n[freshness]'), "sql.columns"),
    ],
)
def test_what_the_reader_does_not_know_it_refuses_with_file_and_key(
    tmp_path: Path, change: tuple[str, str], key: str
) -> None:
    assert change[0] in GOOD
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(*change, 1))
    assert caught.value.context["file"] == "mine.toml"
    assert key in str(caught.value.context["key"])


def test_a_mapping_without_a_field_that_is_needed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="measured_at"):
        load(tmp_path, GOOD[: GOOD.rindex("[[columns]]")])


def test_codes_are_among_those_of_the_field(tmp_path: Path) -> None:
    text = Path(load_mapping.__globals__["SHIPPED"], "sg186_payments.toml").read_text("utf-8")
    with pytest.raises(ConfigError, match="in_flight"):
        load(tmp_path, text.replace('"booked"', '"done"'))


def test_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mapping_unreadable"):
        load(tmp_path, "feed = ")


def test_a_view_names_its_columns_and_its_cursor(tmp_path: Path) -> None:
    view = """[sql]
view = "marketing.v_balance"
cursor = ["changed_at", "customer_no"]
[sql.columns]
"户号" = "customer_no"
"余额" = "balance"
"时间" = "measured_at"
"""
    load(tmp_path, GOOD + view)
    sql = load_mapping(tmp_path / "mine.toml").sql
    assert sql is not None
    assert (sql.view, sql.cursor) == ("marketing.v_balance", ("changed_at", "customer_no"))
    assert dict(sql.columns)["余额"] == "balance"
    for wrong, key in (
        (view.replace('"余额" = "balance"\n', ""), "sql.columns"),
        (view.replace('"balance"', '"balance; DROP TABLE x"'), "sql.view"),
        (view.replace('["changed_at", "customer_no"]', "[]"), "sql.cursor"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, GOOD + wrong)
        assert caught.value.context["key"] == key


def test_the_file_name_tells_the_day_to_its_end() -> None:
    mapping = load_mapping("sg186_payments")
    end = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
    assert mapping.as_of_from_name("payments_20261121.csv") == end
    assert mapping.as_of_from_name("payments.csv") is None
    assert mapping.as_of_from_name("payments_20269999.csv") is None
