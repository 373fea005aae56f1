"""Faults of single rows (逐行拒收): each reason, its column, and the good rows beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from gongdian.sources.check_rules import REASONS
from gongdian.sources.checking import check_file
from gongdian.sources.checks import Known
from gongdian.sources.mapping import load_mapping
from tests.unit.sources.feed_files import (
    GOOD_ROWS,
    NOW,
    check,
    check_rows,
    csv_text,
    good_of,
    mapping_of,
    rejects_of,
    rows_of,
    write_csv,
)

SINGLE = [
    ("bills", "户号", "", "missing"),
    ("bills", "应收电费", "", "missing"),
    ("bills", "应收电费", "=1+1", "formula"),
    ("bills", "应收电费", "+cmd|' /C calc'!A0", "formula"),
    ("bills", "应收电费", "#N/A", "cell_error"),
    ("bills", "应收电费", "1,234.50", "not_amount"),
    ("bills", "应收电费", "￥12", "not_amount"),
    ("bills", "应收电费", "1.2E+3", "not_amount"),
    ("bills", "应收电费", "\uff11\uff12", "not_amount"),
    ("bills", "应收电费", "NaN", "not_amount"),
    ("bills", "应收电费", "12.345", "too_precise"),
    ("bills", "应收电费", "99999999999", "out_of_range"),
    ("bills", "应收电费", "9" * 20, "out_of_range"),
    ("bills", "计费电量", "20O", "not_number"),
    ("bills", "计费电量", "1" * 16, "out_of_range"),
    ("bills", "倍率", "-1", "out_of_range"),
    ("bills", "版本", "1.5", "not_integer"),
    ("bills", "版本", "0", "out_of_range"),
    ("bills", "版本", "12345678901", "out_of_range"),
    ("bills", "发行日期", "2026-02-30", "not_date"),
    ("bills", "发行日期", "20261105", "not_date"),
    ("bills", "发行日期", "1926-11-05", "out_of_range"),
    ("bills", "发行日期", "2026-11-24", "in_future"),
    ("bills", "电费年月", "202613", "not_month"),
    ("bills", "账单类型", "补", "unknown_code"),
    ("bills", "户号", "990000000000", "bad_key"),
    ("bills", "户号", "9.9E+12", "bad_key"),
    ("bills", "应收编号", "Y" * 33, "too_long"),
    ("bills", "应收编号", "Y S", "bad_key"),
    ("payments", "金额", "0", "out_of_range"),
    ("payments", "金额", "-5", "out_of_range"),
    ("payments", "交易时间", "2026-11-21 25:00:00", "not_instant"),
    ("payments", "交易时间", "2026-11-23 10:11:00", "in_future"),
    ("payments", "状态", "", "missing"),
    ("customers", "户名", "长" * 101, "too_long"),
    ("customers", "户名", "恒源\n铸造", "control_characters"),
    ("customers", "户名", "恒源\u202e铸造", "control_characters"),
    ("customers", "户名", "恒源\ufffd铸造", "garbled"),
    ("customers", "户名", "锟斤拷锟斤拷", "garbled"),
    ("customers", "户名", '=HYPERLINK("http://x","y")', "formula"),
    ("customers", "户名", "@SUM(A1)", "formula"),
    ("customers", "代扣方式", "支付宝", "unknown_code"),
    ("customers", "重要用户", "", "missing"),
    ("contacts", "手机号", "1390000000", "bad_phone"),
    ("contacts", "手机号", "+8613900000001", "bad_phone"),
    ("contacts", "邮箱", "zhang@", "bad_mail"),
    ("contacts", "接收方式", "微信、电报", "unknown_code"),
]


CROSS = [
    ("bills", {"应收电费": "120.51"}, "应收电费", "fees_differ"),
    ("bills", {"其他费用": "0.01"}, "应收电费", "fees_differ"),
    ("bills", {"账单类型": "冲红"}, "应收电费", "wrong_sign"),
    (
        "bills",
        {"应收电费": "-120.50", "购电费": "-141.00"},
        "应收电费",
        "wrong_sign",
    ),
    ("bills", {"交费截止日期": "2026-11-04"}, "交费截止日期", "due_before_issue"),
    ("bills", {"发行日期": "2026-09-30"}, "发行日期", "issued_before_period"),
    ("bills", {"电费年月": "209912"}, "发行日期", "issued_before_period"),
    ("bills", {"计费电量": "206"}, "计费电量", "readings_differ"),
    ("bills", {"本期示数": "999"}, "本期示数", "reading_back"),
    ("contacts", {"手机号": ""}, "手机号", "phone_missing"),
    ("contacts", {"邮箱": ""}, "邮箱", "mail_missing"),
]


CASES: list[tuple[str, dict[str, str], str, str]] = [
    *((feed, {heading: value}, heading, reason) for feed, heading, value, reason in SINGLE),
    *CROSS,
]
Told = list[tuple[str, str, str, str]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Told]:
    """What is told of each case, by its place: one file a feed, a good row behind each bad one."""
    found: dict[int, Told] = {}
    for feed in GOOD_ROWS:
        places = [place for place, case in enumerate(CASES) if case[0] == feed]
        rows = rows_of(feed, 2 * len(places) + 1)
        for at, place in enumerate(places):
            rows[2 * at] |= CASES[place][1]
        checked = check_rows(tmp_path_factory.mktemp(feed), feed, rows)
        assert [row[0] for row in good_of(checked, "row_no")] == [
            *range(3, 2 * len(places) + 2, 2),
            2 * len(places) + 2,
        ]
        query = "SELECT row_no, column_name, reason, message, value FROM rejects"
        for row_no, *fault in checked.connection.execute(query).fetchall():
            found.setdefault(places[(row_no - 2) // 2], []).append(tuple(fault))
        checked.close()
    return found


@pytest.mark.parametrize("place", range(len(CASES)), ids=lambda place: f"{CASES[place][3]}-{place}")
def test_a_bad_cell_is_told_with_row_column_and_reason(told: dict[int, Told], place: int) -> None:
    _, changes, heading, reason = CASES[place]
    ((column, code, message, value),) = told[place]
    assert (column, code) == (heading, reason)
    assert message.startswith(f"{heading}：{REASONS[reason]}")
    shown = json.loads(value)
    for changed, text in changes.items():
        assert shown[changed] == text
        is_plain = len(text) < 3 or text in REASONS[reason]
        assert is_plain or text not in message, "a message never repeats what may be personal"


def test_every_reason_in_the_table_is_one_that_a_test_has_seen() -> None:
    here = {reason for *_, reason in CASES}
    elsewhere = {  # the tests below and test_cross_checks
        "wrong_cell_count",
        "bad_quotes",
        "repeated_key",
        "unknown_customer",
        "reading_jump",
    }
    assert here | elsewhere == set(REASONS)


@pytest.mark.parametrize(
    "changes",
    [
        {"应收电费": "-3.20", "账单类型": "退补", "购电费": "-23.70", "计费电量": "0"},
        {"应收电费": "0", "账单类型": "冲红"},
        {"计费电量": "204"},  # within one kWh
        {"上期示数": "9990.00", "本期示数": "10.00", "计费电量": "403"},  # the meter turned
        {"上期示数": "", "本期示数": "", "表资产号": "", "倍率": "", "变线损电量": ""},
        dict.fromkeys(("购电费", "上网环节线损费", "输配电费", "系统运行费"), "")
        | dict.fromkeys(("政府性基金及附加", "容需量电费", "力调电费"), ""),
        {"发行日期": "2026/11/05"},
        {"应收电费": " 120.500 ", "版本": "\u30001\u00a0"},
    ],
)
def test_what_is_right_though_unusual_is_taken(tmp_path: Path, changes: dict[str, str]) -> None:
    checked = check_rows(tmp_path, "bills", rows_of("bills", 4, **changes))
    assert rejects_of(checked) == []
    assert checked.rows_good == 4


def test_a_row_with_several_faults_lists_each(tmp_path: Path) -> None:
    changes = {"应收电费": "x", "发行日期": "y", "户号": "", "交费截止日期": "2026-11-01"}
    checked = check_rows(tmp_path, "bills", rows_of("bills", 5, **changes))
    assert rejects_of(checked) == [
        (6, "户号", "missing"),
        (6, "应收电费", "not_amount"),
        (6, "发行日期", "not_date"),
    ]
    assert checked.rows_rejected == 1
    assert checked.reasons == {"missing": 1, "not_amount": 1, "not_date": 1}


def test_too_few_and_too_many_cells_and_wild_quotes_are_told_by_row(tmp_path: Path) -> None:
    lines = csv_text(rows_of("balances", 6)).splitlines()
    lines[2] = "9900000000002,1.00"
    lines[3] += ",surplus,more"
    lines[4] = '"990000"0000004,1.00,2026-11-20 06:00:00'
    path = tmp_path / "in.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    checked = check(tmp_path, "balances", path)
    assert rejects_of(checked) == [
        (3, "", "wrong_cell_count"),
        (4, "", "wrong_cell_count"),
        (5, "", "bad_quotes"),
    ]
    assert [row[0] for row in good_of(checked, "row_no")] == [2, 6, 7]
    values = [json.loads(row[0]) for row in _values(checked)]
    assert values[0] == {"户号": "9900000000002", "可用余额": "1.00", "测算时间": ""}
    assert values[1][""] == ["surplus", "more"]
    assert values[2] == {"户号": "", "可用余额": "", "测算时间": "", "": [lines[4]]}


def _values(checked: object) -> list[tuple[str]]:
    return checked.connection.execute("SELECT value FROM rejects").fetchall()  # type: ignore[attr-defined]


def test_rows_keep_their_numbers_past_line_breaks_in_quotes_and_blank_lines(
    tmp_path: Path,
) -> None:
    rows = rows_of("customers", 6)
    rows[1]["用电地址"] = "城东街\n1号\n2单元"
    rows[4]["客户状态"] = "？"
    text = csv_text(rows).splitlines(keepends=True)
    text.insert(1, "\n")  # a blank line after the heading
    text.insert(len(text) - 1, ",,,,,,,,,,,,\n")  # a blank row before the last one
    path = tmp_path / "in.csv"
    path.write_text("".join(text), encoding="utf-8-sig")
    checked = check(tmp_path, "customers", path)
    assert rejects_of(checked) == [
        (4, "用电地址", "control_characters"),
        (7, "客户状态", "unknown_code"),
    ]
    assert [row[0] for row in good_of(checked, "row_no")] == [3, 5, 6, 9]
    assert checked.rows_read == 6


def test_good_rows_are_typed(tmp_path: Path) -> None:
    checked = check_rows(tmp_path, "bills", rows_of("bills", 1))
    names = "version, kind, period, amount, issued_on, kwh, previous_reading, power_factor_fee"
    assert good_of(checked, names, "other_fee") == [
        (1, "normal", "202610", 12050, date(2026, 11, 5), 203.0, 1000.0, -100, None)
    ]
    assert str(checked.as_of) == "2026-11-05 16:00:00+00:00"
    checked.close()
    checked = check_rows(tmp_path, "payments", rows_of("payments", 1))
    assert good_of(checked, "amount, state, method, paid_at, expected_on, bill_no") == [
        (12050, "booked", "wechat", datetime(2026, 11, 21, 1, 30), None, "YS1")  # noqa: DTZ001
    ]
    assert str(checked.as_of) == "2026-11-21 01:30:00+00:00"
    checked.close()
    checked = check_rows(tmp_path, "customers", rows_of("customers", 1, 客户编号="", 地区=""))
    assert good_of(checked, "party_no, region, voltage_kv, is_important, autopay, state") == [
        ("9900000000001", "national", "10", False, "", "active")
    ]
    checked.close()
    checked = check_rows(tmp_path, "contacts", rows_of("contacts", 1))
    assert good_of(checked, "role, level, channels, phone") == [
        ("finance", 1, "wechat_template,sms,mail", "13900000001")
    ]


def test_instants_of_a_source_that_writes_utc_stay(tmp_path: Path) -> None:
    mapping = replace(mapping_of("balances"), time_zone="UTC")
    path = write_csv(tmp_path / "in.csv", "balances", rows_of("balances", 1))
    checked = check_file(path, mapping, tmp_path / "work", Known(now=NOW))
    assert good_of(checked, "measured_at") == [(datetime(2026, 11, 20, 6, 0),)]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "fen"),
    [("0", 0), ("-0.00", 0), ("+12.5", 1250), ("186452.37", 18645237), ("9999999999.99", None)],
)
def test_money_is_exact_to_the_fen(tmp_path: Path, text: str, fen: int | None) -> None:
    checked = check_rows(tmp_path, "balances", rows_of("balances", 1, 可用余额=text))
    assert good_of(checked, "balance") == [(fen if fen is not None else 999999999999,)]


def test_units_and_factors_of_a_mapping_count(tmp_path: Path) -> None:
    source = Path(load_mapping.__globals__["SHIPPED"], "sg186_bills.toml").read_text("utf-8")
    source = source.replace('unit = "yuan"', 'unit = "fen"').replace('unit = "kWh"', 'unit = "MWh"')
    own = tmp_path / "own.toml"
    own.write_text(source, encoding="utf-8")
    fees = {"购电费": "100", "上网环节线损费": "", "输配电费": "", "系统运行费": ""}
    fees |= {"政府性基金及附加": "", "容需量电费": "", "力调电费": "", "应收电费": "100"}
    rows = rows_of("bills", 1, 计费电量="0.203", 变线损电量="0.003", **fees)
    rows += rows_of("bills", 2, **{**fees, "应收电费": "100.5"})[1:]
    path = tmp_path / "in.csv"
    path.write_text(csv_text(rows), encoding="utf-8")
    checked = check_file(path, load_mapping(own), tmp_path / "work", Known(now=NOW))
    assert good_of(checked, "amount, energy_fee, kwh, loss_kwh") == [(100, 100, 203.0, 3.0)]
    assert (3, "应收电费", "too_precise") in rejects_of(checked)


def test_a_guarded_cell_of_an_export_is_read_as_what_it_was(tmp_path: Path) -> None:
    rows = rows_of("customers", 3, 户名="'-（无名）")
    rows[0]["户名"] = "'=1+1"
    checked = check_rows(tmp_path, "customers", rows)
    assert rejects_of(checked) == [(2, "户名", "formula")]
    assert good_of(checked, "name")[-1] == ("-（无名）",)
