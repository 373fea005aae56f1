"""Export of rejects (拒收行导出): a CSV or XLSX file for the person who corrects the rows.

The command line and the console call it. The original columns in their order, then the row's
number, the columns and reasons; the corrected file is read by ``import_file(corrects_run=…)``. The
file holds personal data: its export is in the audit, and only its owner may read it.
"""

from __future__ import annotations

import csv
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from openpyxl import Workbook

from gongdian.audit import record_audit
from gongdian.db import Database
from gongdian.errors import InputError, UpstreamError
from gongdian.sources.formulas import guard_cell
from gongdian.sources.rejects import Reject, every_reject
from gongdian.sources.run_rows import run_by_id
from gongdian.sources.work_rows import REJECT_HEADINGS

_WORKBOOK = ".xlsx"


def export_rejects(database: Database, run_id: int, path: Path, by: str, now: datetime) -> int:
    """Write the rows of a run that wait for correction to a new file; how many.

    ``path`` ends in .csv (UTF-8 with BOM) or .xlsx (all cells text, so that no spreadsheet makes
    9.9E+12 of a 户号). NotFoundError ``no_such_run``; InputError ``file_exists``,
    ``bad_file_name``, ``no_rejects``; UpstreamError ``file_not_written``.
    """
    if path.suffix.lower() not in (".csv", _WORKBOOK):
        raise InputError("bad_file_name", f"文件名应以 .csv 或 .xlsx 结尾：{path.name}")
    if path.exists():
        raise InputError("file_exists", f"文件已存在，没有覆盖：{path.name}")
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")
    try:
        draft.touch(mode=0o600, exist_ok=False)
        rows = _write(database, run_id, path, draft)
        if not rows:
            raise InputError("no_rejects", f"批次{run_id}没有待更正的行", run=run_id)
        details = {"rows": rows}
        database.run(
            lambda session: record_audit(
                session, now, by, "sources:rejects:exported", str(run_id), details
            )
        )
        draft.replace(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UpstreamError("file_not_written", f"文件不能写入：{reason}") from error
    finally:
        draft.unlink(missing_ok=True)
    return rows


def _write(database: Database, run_id: int, path: Path, draft: Path) -> int:
    with database.read() as session:
        run_by_id(session, run_id)
        first = next(every_reject(session, run_id), None)
        headings = [] if first is None else [name for name in first.values if name]
        lines = (_line(one, headings) for one in every_reject(session, run_id))
        table = _counted([*headings, *REJECT_HEADINGS], lines)
        if path.suffix.lower() == _WORKBOOK:
            return _write_workbook(table, draft)
        return _write_csv(table, draft)


def _counted(heading: list[str], lines: Iterable[list[str]]) -> Iterator[list[str]]:
    yield heading
    yield from lines


def _write_csv(table: Iterable[list[str]], path: Path) -> int:
    rows = -1
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        for line in table:
            writer.writerow(map(guard_cell, line))
            rows += 1
    return rows


def _write_workbook(table: Iterable[list[str]], path: Path) -> int:
    rows = -1
    book = Workbook(write_only=True)
    sheet = book.create_sheet("拒收行")
    for line in table:
        # openpyxl makes a formula of a text that begins with =; the guard is before it.
        sheet.append([guard_cell(cell) for cell in line])
        rows += 1
    book.save(path)
    return rows


def _line(one: Reject, headings: list[str]) -> list[str]:
    cells = [str(one.values.get(name) or "") for name in headings]
    columns = "；".join(dict.fromkeys(fault.column for fault in one.faults if fault.column))
    reasons = "；".join(dict.fromkeys(fault.message for fault in one.faults))
    surplus = one.values.get("")
    if surplus:
        reasons += f"；多出的内容：{'|'.join(map(str, surplus))}"
    return [*cells, str(one.row_no), columns, reasons]
