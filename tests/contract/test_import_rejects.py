"""Rejected rows: kept whole, exported without live formulas, brought back corrected."""

from __future__ import annotations

import csv
import stat
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from sqlalchemy import LargeBinary, select, type_coerce

from gongdian.accounts.customer_tables import customers
from gongdian.audit import audit_rows
from gongdian.billing.tables import bills
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import InputError, NotFoundError
from gongdian.sources.model import RunReport, RunState
from gongdian.sources.reject_files import export_rejects
from gongdian.sources.rejects import count_reasons, list_rejects
from gongdian.sources.tables import import_rejects
from tests.import_stage import ImportStage
from tests.unit.sources.feed_files import CUSTOMER, rows_of


@pytest.fixture
def stage(database: Database, clock: MovableClock, tmp_path: Path) -> ImportStage:
    made = ImportStage(database, clock, tmp_path)
    made.customers()
    return made


@pytest.fixture
def run(stage: ImportStage) -> RunReport:
    """Six bills: the third has a wrong sum and a wrong date, the fifth an unknown customer."""
    rows = rows_of("bills", 6)
    rows[2] |= {"应收电费": "121.505", "发行日期": "11月5日"}
    rows[4]["户号"] = "9900000009999"
    return stage.load("bills", stage.file("bills_20261105.csv", "bills", rows))


def export(stage: ImportStage, run_id: int, name: str = "out.csv") -> Path:
    path = stage.inbox / name
    export_rejects(stage.database, run_id, path, "李班长", stage.clock.now())
    return path


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def save(path: Path, rows: list[dict[str, str]], encoding: str = "utf-8-sig") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def corrected(path: Path) -> list[dict[str, str]]:
    """The exported rows with the third bill put right."""
    rows = table_of(path)
    rows[0] |= {"应收电费": "120.50", "发行日期": "2026-11-05"}
    return rows


def test_every_bad_row_is_kept_with_row_column_value_and_reason(
    stage: ImportStage, run: RunReport
) -> None:
    assert (run.rows_read, run.rows_new, run.rows_rejected) == (6, 4, 2)
    assert stage.rejects(run.run_id) == [
        (4, "应收电费", "too_precise", False),
        (4, "发行日期", "not_date", False),
        (6, "户号", "unknown_customer", False),
    ]
    with stage.database.read() as session:
        found = list_rejects(session, run.run_id)
        reasons = count_reasons(session, run.run_id)
    assert found[0].values["应收电费"] == "121.505"
    assert found[0].values["应收编号"] == "9900000000003"
    assert len(found[0].faults) == 2
    assert {(one.column, one.rows, one.corrected) for one in reasons} == {
        ("应收电费", 1, 0),
        ("发行日期", 1, 0),
        ("户号", 1, 0),
    }


def test_rejects_come_page_by_page_and_no_row_is_cut_in_two(
    stage: ImportStage, run: RunReport
) -> None:
    with stage.database.read() as session:
        first = list_rejects(session, run.run_id, most=1)
        second = list_rejects(session, run.run_id, after=first[-1].row_no, most=1)
        third = list_rejects(session, run.run_id, after=second[-1].row_no, most=1)
    assert [(one.row_no, len(one.faults)) for one in (*first, *second)] == [(4, 2), (6, 1)]
    assert third == []


def test_the_values_of_a_reject_are_encrypted_at_rest(stage: ImportStage) -> None:
    row = dict(CUSTOMER, 户号="9900000000002", 户名="张三丰", 电压等级="9kV")
    path = stage.file("customers_20261110.csv", "customers", [CUSTOMER, row])
    report = stage.load("customers", path)
    assert report.rows_rejected == 1
    with stage.database.read() as session:
        raw = type_coerce(import_rejects.c.row_values, LargeBinary())
        stored = session.execute(select(raw, import_rejects.c.message)).one()
    assert "张三丰".encode() not in bytes(stored[0])
    assert "张三丰" not in stored[1]


def test_the_export_has_the_columns_of_the_file_and_is_audited(
    stage: ImportStage, run: RunReport
) -> None:
    path = export(stage, run.run_id)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = table_of(path)
    headings = list(rows[0])
    assert headings[:-3] == list(rows_of("bills", 1)[0])
    assert [row[headings[-3]] for row in rows] == ["4", "6"]
    assert rows[0][headings[-2]] == "应收电费；发行日期"
    assert "不足一分" in rows[0][headings[-1]]
    with stage.database.read() as session:
        last = session.execute(select(audit_rows).order_by(audit_rows.c.id.desc())).first()
    assert last is not None
    assert (last.actor, last.action) == ("李班长", "sources:rejects:exported")
    assert (last.subject, last.details) == (str(run.run_id), '{"rows": 2}')


@pytest.mark.parametrize("name", ["out.csv", "out.xlsx"])
def test_a_formula_is_never_exported_live_and_comes_back_as_it_was(
    stage: ImportStage, name: str
) -> None:
    bad = dict(CUSTOMER, 户号="9900000000002", 用电地址="=HYPERLINK(1)", 电压等级="9kV")
    path = stage.file("customers_20261110.csv", "customers", [CUSTOMER, CUSTOMER, bad])
    report = stage.load("customers", path)
    out = export(stage, report.run_id, name)
    if name.endswith("csv"):
        assert table_of(out)[0]["用电地址"] == "'=HYPERLINK(1)"
    else:
        cell = load_workbook(out).worksheets[0].cell(2, list(CUSTOMER).index("用电地址") + 1)
        assert (cell.data_type, cell.value) == ("s", "'=HYPERLINK(1)")
    with stage.database.read() as session:
        assert list_rejects(session, report.run_id)[0].values["用电地址"] == "=HYPERLINK(1)"


def test_corrected_rows_go_in_and_the_still_bad_ones_are_rejects_of_the_new_run(
    stage: ImportStage, run: RunReport
) -> None:
    fixed = save(stage.inbox / "fixed.csv", corrected(export(stage, run.run_id)))
    report = stage.load("bills", fixed, corrects_run=run.run_id)
    assert (report.state, report.rows_new, report.rows_rejected) == (RunState.DONE, 1, 1)
    assert report.corrects_run == run.run_id
    assert report.as_of == run.as_of
    assert stage.rejects(run.run_id) == [
        (4, "应收电费", "too_precise", True),
        (4, "发行日期", "not_date", True),
        (6, "户号", "unknown_customer", False),
    ]
    assert stage.rejects(report.run_id) == [(3, "户号", "unknown_customer", False)]
    assert ("9900000000003", report.run_id, 2) in stage.bills_in()
    # what is corrected is not exported again
    assert [row["原文件行号"] for row in table_of(export(stage, run.run_id, "2.csv"))] == ["6"]


def test_the_same_correction_twice_is_one_run(stage: ImportStage, run: RunReport) -> None:
    fixed = save(stage.inbox / "fixed.csv", corrected(export(stage, run.run_id)))
    stage.load("bills", fixed, corrects_run=run.run_id)
    assert stage.load("bills", fixed, corrects_run=run.run_id).is_repeat


def test_a_file_that_excel_saved_in_gb18030_is_read(stage: ImportStage, run: RunReport) -> None:
    rows = corrected(export(stage, run.run_id))
    fixed = save(stage.inbox / "fixed.csv", rows, "gb18030")
    assert stage.load("bills", fixed, corrects_run=run.run_id).rows_new == 1


def test_a_workbook_goes_out_and_comes_back(stage: ImportStage, run: RunReport) -> None:
    out = export(stage, run.run_id, "out.xlsx")
    lines = [[cell.value for cell in row] for row in load_workbook(out).worksheets[0].rows]
    heading = lines[0]
    lines[1][heading.index("应收电费")] = 120.5
    lines[1][heading.index("发行日期")] = "2026-11-05"
    book = Workbook()
    sheet: Any = book.active
    for line in lines:
        sheet.append(line)
    book.save(stage.inbox / "fixed.xlsx")
    report = stage.load("bills", stage.inbox / "fixed.xlsx", corrects_run=run.run_id)
    assert (report.rows_new, report.rows_rejected) == (1, 1)
    assert [row[3] for row in stage.rejects(run.run_id)] == [True, True, False]


def test_a_correction_without_row_numbers_is_known_by_its_key(
    stage: ImportStage, run: RunReport
) -> None:
    rows = corrected(export(stage, run.run_id))[:1]
    for row in rows:
        for name in ("原文件行号", "问题列", "问题"):
            del row[name]
    stage.load("bills", save(stage.inbox / "fixed.csv", rows), corrects_run=run.run_id)
    assert [row[3] for row in stage.rejects(run.run_id)] == [True, True, False]


def test_a_row_that_was_cut_off_is_exported_with_all_columns(stage: ImportStage) -> None:
    path = stage.file("bills_20261105.csv", "bills", rows_of("bills", 3))
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2][:40]
    path.write_bytes(b"\n".join(lines))
    report = stage.load("bills", path)
    assert stage.rejects(report.run_id) == [(3, "", "wrong_cell_count", False)]
    row = table_of(export(stage, report.run_id))[0]
    assert list(row)[:-3] == list(rows_of("bills", 1)[0])
    assert row["其他费用"] == ""


def test_a_correction_of_another_feed_or_run_is_refused(stage: ImportStage, run: RunReport) -> None:
    fixed = save(stage.inbox / "fixed.csv", corrected(export(stage, run.run_id)))
    with pytest.raises(InputError, match="wrong_run"):
        stage.load("payments", fixed, corrects_run=run.run_id)
    with pytest.raises(NotFoundError, match="no_such_run"):
        stage.load("bills", fixed, corrects_run=999)


def test_a_correction_that_comes_after_newer_files_overwrites_nothing(
    stage: ImportStage, run: RunReport
) -> None:
    newer = rows_of("bills", 3, 应收电费="130.50", 购电费="110.00")
    stage.load("bills", stage.file("bills_20261120.csv", "bills", newer))
    fixed = save(stage.inbox / "fixed.csv", corrected(export(stage, run.run_id)))
    report = stage.load("bills", fixed, corrects_run=run.run_id)
    assert (report.rows_new, report.rows_changed, report.rows_same) == (0, 0, 1)
    with stage.database.read() as session:
        query = select(bills.c.amount).where(bills.c.bill_no == "9900000000003")
        assert str(session.execute(query).scalar_one()) == "130.50"


def test_an_export_overwrites_no_file_and_needs_rows(stage: ImportStage, run: RunReport) -> None:
    export(stage, run.run_id)
    with pytest.raises(InputError, match="file_exists"):
        export(stage, run.run_id)
    with pytest.raises(InputError, match="bad_file_name"):
        export(stage, run.run_id, "out.txt")
    with pytest.raises(NotFoundError, match="no_such_run"):
        export(stage, 999, "other.csv")
    with pytest.raises(InputError, match="no_rejects"):
        export(stage, stage.bills("good.csv", 1)[1].run_id, "other.csv")
    assert stage.count(customers) == 1
    assert sorted(one.name for one in stage.inbox.glob("o*")) == ["out.csv"]
