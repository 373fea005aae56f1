"""Workbooks (Excel 读取): cells as they are meant, rows by their numbers, broken ones refused."""

from __future__ import annotations

import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from xlsxwriter import Workbook as FastWorkbook

from gongdian.errors import InputError
from gongdian.sources.checking import check_file
from gongdian.sources.checks import Known
from tests.unit.sources.feed_files import (
    BALANCE,
    BILL,
    NOW,
    check,
    good_of,
    mapping_of,
    rejects_of,
    rows_of,
    write_xlsx,
)

HEADINGS = list(BALANCE)


def refused(tmp_path: Path, path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        check(tmp_path, "balances", path)
    assert caught.value.context["problem"]
    return caught.value


def simple(path: Path, rows: int = 3) -> Path:
    return write_xlsx(path, [HEADINGS, *(list(r.values()) for r in rows_of("balances", rows))])


def test_numbers_and_dates_of_a_sheet_are_what_they_show(tmp_path: Path) -> None:
    at = datetime(2026, 11, 20, 6, 0)  # noqa: DTZ001 - a sheet knows no zones
    table: list[list[Any]] = [
        HEADINGS,
        [9900000000001, 86.4, at],
        ["9900000000002", 0.1 + 0.2, "2026-11-20 06:00:00"],
        [9900000000003.0, -12, at],
        [9900000000004, "1234.50", at],
    ]
    checked = check(tmp_path, "balances", write_xlsx(tmp_path / "in.xlsx", table))
    assert rejects_of(checked) == []
    numbers = [row[0] for row in good_of(checked, "customer_no")]
    assert numbers == [f"990000000000{n}" for n in range(1, 5)]
    assert [row[0] for row in good_of(checked, "balance")] == [8640, 30, -1200, 123450]
    utc = datetime(2026, 11, 19, 22, 0)  # noqa: DTZ001
    assert [row[0] for row in good_of(checked, "measured_at")] == [utc] * 4


def test_dates_are_written_as_the_mapping_reads_them(tmp_path: Path) -> None:
    row: list[Any] = list(BILL.values())
    row[6], row[7] = date(2026, 11, 5), datetime(2026, 11, 25)  # noqa: DTZ001
    checked = check(tmp_path, "bills", write_xlsx(tmp_path / "in.xlsx", [list(BILL), row]))
    assert good_of(checked, "issued_on, due_on, amount") == [
        (date(2026, 11, 5), date(2026, 11, 25), 12050)
    ]


def test_a_formula_is_never_run_and_told_by_its_cell(tmp_path: Path) -> None:
    table = [HEADINGS, *(list(row.values()) for row in rows_of("balances", 4))]
    table[2][1] = "=1+1"
    path = write_xlsx(tmp_path / "in.xlsx", table)
    checked = check(tmp_path, "balances", path)
    assert rejects_of(checked) == [(3, "可用余额", "formula")]
    (value,) = checked.connection.execute("SELECT value FROM rejects").fetchall()[0]
    assert '"=1+1"' in value


def test_a_formula_with_a_stored_result_is_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "in.xlsx"
    with FastWorkbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADINGS)
        for number, row in enumerate(rows_of("balances", 3), 1):
            sheet.write_row(number, 0, list(row.values()))
        sheet.write_formula(1, 1, "=SUM(1,2)", None, 3)
        sheet.write_array_formula(2, 1, 2, 1, "{=SUM(A1:A2)}", None, 3)
    assert rejects_of(check(tmp_path, "balances", path)) == [
        (2, "可用余额", "formula"),
        (3, "可用余额", "formula"),
    ]


def test_rows_keep_the_numbers_of_the_sheet_past_empty_ones(tmp_path: Path) -> None:
    rows = [list(row.values()) for row in rows_of("balances", 4)]
    rows[2][1] = "x"
    table = [HEADINGS, [], rows[0], [None, " "], rows[1], rows[2], [], rows[3], []]
    checked = check(tmp_path, "balances", write_xlsx(tmp_path / "in.xlsx", table))
    assert [row[0] for row in good_of(checked, "row_no")] == [3, 5, 8]
    assert rejects_of(checked) == [(6, "可用余额", "not_amount")]


def test_surplus_cells_are_told_and_short_rows_are_rows_with_empty_cells(tmp_path: Path) -> None:
    rows = [list(row.values()) for row in rows_of("balances", 5)]
    table = [HEADINGS, *rows[:3], [*rows[3], "", "more"], rows[4][:2]]
    checked = check(tmp_path, "balances", write_xlsx(tmp_path / "in.xlsx", table))
    assert rejects_of(checked) == [(5, "", "wrong_cell_count"), (6, "测算时间", "missing")]


def test_rich_text_readings_escapes_and_errors(tmp_path: Path) -> None:
    path = tmp_path / "in.xlsx"
    with FastWorkbook(path) as book:
        sheet = book.add_worksheet()
        bold = book.add_format({"bold": True})
        names = list(rows_of("customers", 1)[0])
        sheet.write_row(0, 0, names)
        for number, row in enumerate(rows_of("customers", 4), 1):
            sheet.write_row(number, 0, list(row.values()))
        sheet.write_rich_string(1, 2, "云溪", bold, "恒源", "铸造")
        sheet.write_string(2, 2, "恒源\x01铸造")
        sheet.write_string(3, 2, "_x0041_")
        sheet.write_formula(4, 8, "=1/0", None, "#DIV/0!")
    checked = check(tmp_path, "customers", path)
    assert rejects_of(checked) == [
        (3, "户名", "control_characters"),
        (5, "运行容量", "formula"),
    ]
    assert good_of(checked, "name") == [("云溪恒源铸造",), ("_x0041_",)]


def test_how_a_name_is_read_aloud_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "in.xlsx"
    with FastWorkbook(path) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([list(one) for one in rows_of("customers", 1)]):
            sheet.write_row(number, 0, row)
        sheet.write_row(1, 0, list(rows_of("customers", 1, 户名="NAME")[0].values()))
    with zipfile.ZipFile(path) as archive:
        strings = archive.read("xl/sharedStrings.xml").decode()
    spoken = "<r><t>恒源</t></r><rPh sb='0' eb='1'><t>hengyuan</t></rPh><r><t>铸造</t></r>"
    assert "<t>NAME</t>" in strings
    strings = strings.replace("<t>NAME</t>", spoken)
    path = changed(path, "xl/sharedStrings.xml", strings.encode())
    assert good_of(check(tmp_path, "customers", path), "name") == [("恒源铸造",)]


def test_a_truncated_workbook_is_refused(tmp_path: Path) -> None:
    content = simple(tmp_path / "whole.xlsx", 500).read_bytes()
    path = tmp_path / "in.xlsx"
    for part in (0.3, 0.6, 0.95):
        path.write_bytes(content[: int(len(content) * part)])
        assert refused(tmp_path, path).code == "truncated_file"


def test_a_workbook_with_a_damaged_part_is_refused(tmp_path: Path) -> None:
    path = simple(tmp_path / "in.xlsx", 500)
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("xl/worksheets/sheet1.xml").header_offset + 200
    content = bytearray(path.read_bytes())
    content[at : at + 40] = bytes(40)
    path.write_bytes(content)
    assert refused(tmp_path, path).code in ("truncated_file", "not_a_workbook")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.xlsx", b"99,1,2\n"),
        ("in.xls", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)),
        ("in.csv", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)),
    ],
)
def test_what_is_no_workbook_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refused(tmp_path, path).code == "not_a_workbook"


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no workbook")
    assert refused(tmp_path, path).code == "not_a_workbook"


def changed(path: Path, part: str, content: bytes) -> Path:
    """A workbook with one of its parts replaced."""
    other = path.with_name("changed.xlsx")
    with (
        zipfile.ZipFile(path) as given,
        zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for one in given.namelist():
            made.writestr(one, content if one == part else given.read(one))
    return other


@pytest.mark.parametrize(
    "sheet",
    [
        b"<worksheet",
        b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]><worksheet>&a;</worksheet>",
        b"<worksheet><sheetData><row r='99999999'><c><v>1</v></c></row></sheetData></worksheet>",
        b"<worksheet><sheetData><row r='1'><c r='AAAA1'><v>1</v></c></row></sheetData></worksheet>",
        b"<worksheet><sheetData><row r='1'><c t='s'><v>99</v></c></row></sheetData></worksheet>",
        b"<worksheet><sheetData><row r='x'></row></sheetData></worksheet>",
    ],
)
def test_a_hostile_or_broken_sheet_is_refused(tmp_path: Path, sheet: bytes) -> None:
    path = changed(simple(tmp_path / "in.xlsx"), "xl/worksheets/sheet1.xml", sheet)
    assert refused(tmp_path, path).code == "not_a_workbook"


def test_a_workbook_that_unpacks_into_far_too_much_is_refused(tmp_path: Path) -> None:
    path = changed(simple(tmp_path / "in.xlsx"), "xl/worksheets/sheet1.xml", bytes(70 << 20))
    assert refused(tmp_path, path).code == "workbook_too_large"


def test_a_cell_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    text = b"".join(b"%d," % number for number in range(400_000))
    sheet = b"<worksheet><sheetData><row><c t='str'><v>%b</v></c></row></sheetData></worksheet>"
    path = changed(simple(tmp_path / "in.xlsx"), "xl/worksheets/sheet1.xml", sheet % text)
    assert refused(tmp_path, path).code == "not_a_workbook"


def test_a_row_of_many_long_cells_is_refused(tmp_path: Path) -> None:
    rows = [list(row.values()) for row in rows_of("balances", 3)]
    table = [HEADINGS, *rows, ["9" * 30_000] * 40]
    error = refused(tmp_path, write_xlsx(tmp_path / "in.xlsx", table))
    assert (error.code, error.context["row"]) == ("endless_line", 5)


def test_a_sheet_without_heading_or_rows_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, write_xlsx(tmp_path / "a.xlsx", [])).code == "empty_file"
    assert refused(tmp_path, write_xlsx(tmp_path / "b.xlsx", [HEADINGS])).code == "empty_file"
    late = write_xlsx(tmp_path / "c.xlsx", [[], HEADINGS, list(BALANCE.values())])
    assert refused(tmp_path, late).code == "empty_file"


def test_the_first_visible_sheet_is_read_or_the_one_that_the_mapping_names(tmp_path: Path) -> None:
    book = Workbook()
    book.worksheets[0].title = "隐藏"
    book.worksheets[0].sheet_state = "hidden"
    for title, money in (("一", "1.00"), ("二", "2.00")):
        sheet = book.create_sheet(title)
        sheet.append(HEADINGS)
        sheet.append(["9900000000001", money, "2026-11-20 06:00:00"])
    path = tmp_path / "in.xlsx"
    book.save(path)
    assert good_of(check(tmp_path, "balances", path), "balance") == [(100,)]
    mapping = mapping_of("balances")
    object.__setattr__(mapping, "sheet", "二")
    checked = check_file(path, mapping, tmp_path / "two", Known(now=NOW))
    assert good_of(checked, "balance") == [(200,)]
    object.__setattr__(mapping, "sheet", "三")
    with pytest.raises(InputError, match="missing_sheet") as caught:
        check_file(path, mapping, tmp_path / "three", Known(now=NOW))
    assert "一、二" in str(caught.value.context["problem"])


def test_the_epoch_of_1904_is_minded(tmp_path: Path) -> None:
    path = tmp_path / "in.xlsx"
    with FastWorkbook(path, {"date_1904": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADINGS)
        sheet.write_row(1, 0, ["9900000000001", "1.00"])
        form = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.write_datetime(1, 2, datetime(2026, 11, 20, 6, 0), form)  # noqa: DTZ001
    checked = check(tmp_path, "balances", path)
    assert good_of(checked, "measured_at") == [(datetime(2026, 11, 19, 22, 0),)]  # noqa: DTZ001


def test_a_workbook_by_its_bytes_whatever_its_name(tmp_path: Path) -> None:
    path = simple(tmp_path / "in.xlsx").rename(tmp_path / "in.dat")
    assert check(tmp_path, "balances", path).rows_good == 3
