"""Corrected rejects (更正文件): how the file that a person saved is read, what its rows correct.

``runs`` calls this for a file with ``corrects_run``. The person opened what ``reject_files`` wrote,
in Excel or WPS, and saved it as it suited them: any of our encodings and delimiters, CSV or XLSX.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gongdian.sources.check_rules import FEEDS
from gongdian.sources.checks import Checked
from gongdian.sources.formulas import unguard_cell
from gongdian.sources.mapping import Mapping
from gongdian.sources.rejects import Reject
from gongdian.sources.work_rows import REJECT_HEADINGS
from gongdian.sources.xlsx_files import is_workbook

_PIECE = 1 << 20
_DELIMITERS = (",", "\t", ";", "|")


def mapping_of_corrections(mapping: Mapping, path: Path) -> Mapping:
    """The mapping as this file needs it: its own encoding and delimiter, any sheet."""
    if is_workbook(path):
        return replace(mapping, sheet="")
    encoding = "utf-8-sig" if _is_utf8(path) else "gb18030"
    with path.open("rb") as file:
        heading = file.readline(_PIECE).decode(encoding, "replace")
    delimiter = max(_DELIMITERS, key=heading.count)
    return replace(mapping, encoding=encoding, delimiter=delimiter)


def _is_utf8(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            while file.read(_PIECE):
                pass
    except UnicodeDecodeError:
        return False
    return True


def corrected_rows(checked: Checked, rows: Path, rejects: Iterable[Reject]) -> array[int]:
    """Which rejected row each row of the file corrects, by the file's row number; 0: none.

    By the number that the export wrote; where a file lacks that column, by the row's key.
    ``rows`` is the work file that was checked.
    """
    headings = checked.headings
    by_number = headings.index(REJECT_HEADINGS[0]) + 1 if REJECT_HEADINGS[0] in headings else 0
    keys = _key_headings(checked.mapping)
    places = [headings.index(one) + 1 for one in keys if one in headings]
    by_key: dict[tuple[str, ...], int] = {}
    if not by_number and len(places) == len(keys):
        by_key = {_key([str(one.values.get(k, "")) for k in keys]): one.row_no for one in rejects}
    found: array[int] = array("q")
    with rows.open(encoding="utf-8", newline="") as file:
        for cells in csv.reader(file, delimiter=checked.mapping.delimiter):
            row_no = int(cells[0])
            found.extend([0] * (row_no + 1 - len(found)))
            if by_number:
                found[row_no] = _number(cells[by_number])
            elif by_key:
                found[row_no] = by_key.get(_key([cells[at] for at in places]), 0)
    return found


def _key_headings(mapping: Mapping) -> list[str]:
    headings = {one.field: one.heading for one in mapping.columns}
    return [headings[name] for name in FEEDS[mapping.feed].key if name in headings]


def _key(cells: list[str]) -> tuple[str, ...]:
    return tuple(unguard_cell(cell).strip() for cell in cells)


def _number(cell: str) -> int:
    text = cell.strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
