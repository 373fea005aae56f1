"""Builders of feed files for tests (测试文件): good rows by feed, written as CSV or XLSX."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from gongdian.sources.checking import check_file
from gongdian.sources.checks import Checked, Known
from gongdian.sources.mapping import Mapping, load_mapping

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)

CUSTOMER = {
    "户号": "9900000000001",
    "客户编号": "P1",
    "户名": "云溪恒源铸造有限公司",
    "用电地址": "云溪县城东街1号",
    "用电类别": "工商业两部制",
    "电压等级": "10kV",
    "供电单位": "城东供电所",
    "地区": "全国",
    "运行容量": "315",
    "重要用户": "否",
    "费控标志": "否",
    "代扣方式": "",
    "客户状态": "正常",
}
CONTACT = {
    "户号": "9900000000001",
    "联系人编号": "L1",
    "联系人类型": "财务",
    "级别": "1",
    "顺序": "1",
    "姓名": "张三",
    "手机号": "13900000001",
    "邮箱": "zhang@example.com",
    "接收方式": "微信、短信、邮件",
    "状态": "有效",
}
BILL = {
    "户号": "9900000000001",
    "应收编号": "YS1",
    "版本": "1",
    "账单类型": "正常",
    "电费年月": "202610",
    "应收电费": "120.50",
    "发行日期": "2026-11-05",
    "交费截止日期": "2026-11-25",
    "表资产号": "33001",
    "上期示数": "1000.00",
    "本期示数": "1010.00",
    "倍率": "20",
    "变线损电量": "3",
    "计费电量": "203",
    "尖电量": "3",
    "峰电量": "100",
    "平电量": "50",
    "谷电量": "50",
    "购电费": "100.00",
    "上网环节线损费": "5.00",
    "输配电费": "10.00",
    "系统运行费": "3.00",
    "政府性基金及附加": "3.50",
    "容需量电费": "0",
    "力调电费": "-1.00",
    "其他费用": "",
}
PAYMENT = {
    "交易流水号": "T1",
    "户号": "9900000000001",
    "应收编号": "YS1",
    "金额": "120.50",
    "状态": "已销账",
    "交费方式": "微信",
    "交易时间": "2026-11-21 09:30:00",
    "预计扣款日": "",
}
BALANCE = {"户号": "9900000000001", "可用余额": "-12.36", "测算时间": "2026-11-20 06:00:00"}
GOOD_ROWS = {
    "customers": CUSTOMER,
    "contacts": CONTACT,
    "bills": BILL,
    "payments": PAYMENT,
    "balances": BALANCE,
}


def mapping_of(feed: str) -> Mapping:
    """The shipped mapping of a feed."""
    return load_mapping(f"sg186_{feed}")


def rows_of(feed: str, count: int, **changes: str) -> list[dict[str, str]]:
    """Good rows with keys of their own; ``changes`` go into the last one."""
    key = {"customers": "户号", "contacts": "联系人编号", "bills": "应收编号"}.get(feed, "户号")
    key = "交易流水号" if feed == "payments" else key
    rows = [dict(GOOD_ROWS[feed]) for _ in range(count)]
    for number, row in enumerate(rows, 1):
        row[key] = f"{9900000000000 + number}"
        if feed == "bills":
            row["表资产号"] = f"{33000 + number}"
    rows[-1] |= changes
    return rows


def csv_text(rows: list[dict[str, str]], headings: list[str] | None = None) -> str:
    """The rows as CSV with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, headings or list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(path: Path, feed: str, rows: list[dict[str, str]]) -> Path:
    """The rows as a CSV file in the encoding of the feed's mapping."""
    path.write_bytes(csv_text(rows).encode(mapping_of(feed).encoding))
    return path


def write_xlsx(path: Path, table: list[list[Any]]) -> Path:
    """A workbook with one sheet."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in table:
        sheet.append(row)
    book.save(path)
    return path


def check(tmp_path: Path, feed: str, path: Path, **known: Any) -> Checked:
    """Check a file with the shipped mapping."""
    return check_file(path, mapping_of(feed), tmp_path / "work", Known(now=NOW, **known))


def check_rows(tmp_path: Path, feed: str, rows: list[dict[str, str]], **known: Any) -> Checked:
    """Check rows as a CSV file."""
    return check(tmp_path, feed, write_csv(tmp_path / "in.csv", feed, rows), **known)


def rejects_of(checked: Checked) -> list[tuple[int, str, str]]:
    """Row number, column, reason of every reject, in order."""
    found = checked.connection.execute("SELECT row_no, column_name, reason FROM rejects")
    return [tuple(row) for row in found.fetchall()]


def good_of(checked: Checked, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of the good rows, in order."""
    names = ", ".join(columns or ("*",))
    return checked.connection.execute(f"SELECT {names} FROM good ORDER BY row_no").fetchall()
