"""Rows against other rows and against what we know (交叉校验)."""

from __future__ import annotations

from pathlib import Path

import pytest

from gongdian.sources.checks import Checked, LastReading
from tests.unit.sources.feed_files import check_rows, good_of, rejects_of, rows_of

CUSTOMER = "9900000000001"


def row_numbers(checked: Checked) -> list[int]:
    return [row[0] for row in good_of(checked, "row_no")]


def test_identical_rows_are_taken_once_and_counted(tmp_path: Path) -> None:
    rows = rows_of("payments", 4)
    checked = check_rows(tmp_path, "payments", [*rows, rows[1], rows[1], rows[3]])
    assert row_numbers(checked) == [2, 3, 4, 5]
    assert (checked.rows_read, checked.rows_good, checked.rows_duplicate) == (7, 4, 3)
    assert rejects_of(checked) == []


def test_one_key_with_different_contents_is_rejected_in_every_row(tmp_path: Path) -> None:
    rows = rows_of("payments", 6)
    again = [rows[1] | {"金额": "1.00"}, rows[1]]
    checked = check_rows(tmp_path, "payments", [*rows, *again])
    assert rejects_of(checked) == [
        (3, "交易流水号", "repeated_key"),
        (8, "交易流水号", "repeated_key"),
        (9, "交易流水号", "repeated_key"),
    ]
    assert row_numbers(checked) == [2, 4, 5, 6, 7]


def test_versions_of_one_bill_are_no_repetition(tmp_path: Path) -> None:
    (row,) = rows_of("bills", 1)
    versions = [row, row | {"版本": "2", "账单类型": "重发"}, row | {"户号": "9900000000002"}]
    assert check_rows(tmp_path, "bills", versions).rows_good == 3


def test_an_identical_bad_row_is_told_once(tmp_path: Path) -> None:
    rows = rows_of("payments", 5, 金额="x")
    checked = check_rows(tmp_path, "payments", [*rows, rows[4]])
    assert rejects_of(checked) == [(6, "金额", "not_amount")]
    assert checked.rows_duplicate == 1


def test_a_conflict_is_told_beside_the_rows_other_faults(tmp_path: Path) -> None:
    rows = rows_of("payments", 5)
    checked = check_rows(tmp_path, "payments", [*rows, rows[4] | {"金额": "x"}])
    assert rejects_of(checked) == [
        (6, "交易流水号", "repeated_key"),
        (7, "金额", "not_amount"),
        (7, "交易流水号", "repeated_key"),
    ]


def test_empty_keys_are_missing_not_repeated(tmp_path: Path) -> None:
    rows = rows_of("payments", 5)
    empty = [rows[0] | {"交易流水号": ""}, rows[1] | {"交易流水号": ""}]
    checked = check_rows(tmp_path, "payments", [*rows, *empty])
    assert rejects_of(checked) == [(7, "交易流水号", "missing"), (8, "交易流水号", "missing")]


@pytest.mark.parametrize("feed", ["contacts", "bills", "payments", "balances"])
def test_rows_of_unknown_customers_are_rejected(tmp_path: Path, feed: str) -> None:
    rows = rows_of(feed, 3, 户号="9900000000099")
    known = {row["户号"] for row in rows} - {"9900000000099"}
    checked = check_rows(tmp_path, feed, rows, customers=known)
    assert rejects_of(checked) == [(4, "户号", "unknown_customer")]
    checked.close()
    assert check_rows(tmp_path, feed, rows, customers=None).rows_good == 3


def test_customers_need_not_be_known(tmp_path: Path) -> None:
    checked = check_rows(tmp_path, "customers", rows_of("customers", 2), customers=[])
    assert checked.rows_good == 2


def bill(previous: float, current: float, **changes: str) -> dict[str, str]:
    """A bill of one meter; its kWh follow from the readings."""
    (row,) = rows_of("bills", 1)
    row |= {"户号": CUSTOMER, "上期示数": f"{previous}", "本期示数": f"{current}"}
    return row | {"计费电量": f"{(current - previous) * 20 + 3:g}"} | changes


def readings(tmp_path: Path, rows: list[dict[str, str]], *known: LastReading) -> list[str]:
    """The reasons of the rows that are told about their readings."""
    for number, row in enumerate(rows):
        row["应收编号"] = f"YS{number}"
    checked = check_rows(tmp_path, "bills", rows, last_readings=known)
    found = rejects_of(checked)
    checked.close()
    assert {column for _, column, _ in found} <= {"本期示数"}
    return [f"{reason}@{row_no}" for row_no, _, reason in found]


def last(reading: float, usual: float | None = 10.0, period: str = "202609") -> LastReading:
    return LastReading(CUSTOMER, "33001", reading, usual, period)


def test_a_reading_behind_the_last_bill_is_rejected(tmp_path: Path) -> None:
    assert readings(tmp_path, [bill(1000, 1010)], last(1000)) == []
    assert readings(tmp_path, [bill(1002, 1010)], last(1000)) == []
    assert readings(tmp_path, [bill(999, 1010)], last(1000)) == ["reading_back@2"]


def test_a_jump_is_more_than_ten_times_the_usual_and_worth_a_look(tmp_path: Path) -> None:
    assert readings(tmp_path, [bill(1000, 1100)], last(1000)) == []
    assert readings(tmp_path, [bill(1000, 1101)], last(1000)) == ["reading_jump@2"]
    idle = last(1000, usual=4.0)  # 80 kWh a month: the first month of irrigation is no slip
    assert readings(tmp_path, [bill(1000, 1101)], idle) == []
    assert readings(tmp_path, [bill(1000, 1101)], last(1000, usual=None)) == []
    small = bill(1000, 1900, 倍率="1", 计费电量="903")  # 900 kWh
    assert readings(tmp_path, [small | {"倍率": "1"}], last(1000, usual=50.0)) == []


def test_bills_of_the_same_month_or_before_are_not_compared(tmp_path: Path) -> None:
    assert readings(tmp_path, [bill(900, 910)], last(1000, period="202610")) == []
    assert readings(tmp_path, [bill(900, 910)], last(1000, period="202611")) == []


def test_another_meter_begins_anew(tmp_path: Path) -> None:
    assert readings(tmp_path, [bill(0, 10, 表资产号="44001")], last(1000)) == []


def test_months_of_one_file_follow_each_other(tmp_path: Path) -> None:
    months = [
        bill(1000, 1010, 电费年月="202608"),
        bill(1010, 1021, 电费年月="202609"),
        bill(1015, 1030, 电费年月="202610"),
    ]
    assert readings(tmp_path, months, last(1000, period="202607")) == ["reading_back@4"]
    assert readings(tmp_path, months[::-1], last(1000, period="202607")) == ["reading_back@2"]


def test_an_adjustment_has_no_readings_to_compare(tmp_path: Path) -> None:
    assert readings(tmp_path, [bill(500, 510, 账单类型="退补")], last(1000)) == []


def test_without_known_readings_nothing_is_compared(tmp_path: Path) -> None:
    months = [bill(1000, 1010, 电费年月="202609"), bill(5, 10)]
    months[1]["应收编号"] = "YS2"
    assert check_rows(tmp_path, "bills", months).rows_good == 2
