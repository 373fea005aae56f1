"""The work file (中间文件): the rows of a file as it came, each with its row number, for DuckDB.

The readers of CSV and XLSX write it. Every line of it has the same number of cells in one plain
dialect, so DuckDB can read it in parallel; rows that do not fit go to a second file.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, TextIO

from gongdian.errors import InputError
from gongdian.sources.formulas import unguard_cell
from gongdian.sources.mapping import Mapping

# Written by ``gongdian.sources.rejects`` before the row; a corrected file comes back with them.
REJECT_HEADINGS = ("原文件行号", "问题列", "问题")
# No bill has a line of a megabyte; a file without line ends must not fill the memory.
MAX_LINE = 1 << 20
# A million rows are 200 MB; pieces of this size keep memory flat and calls few.
_PIECE = 20_000
_MOST_RAW = 4_000
# Blanks that people and systems leave around a value, also wide, unbreakable and invisible ones.
BLANKS = " \t\r\n\u3000\u00a0\ufeff"


def refuse(code: str, problem: str, text: str, **context: object) -> InputError:
    """A structural fault of the whole file; ``problem`` is the Chinese sentence for people."""
    return InputError(code, text, problem=problem, **context)


def endless_line(row_no: int) -> InputError:
    """A row without end."""
    return refuse(
        "endless_line",
        f"第 {row_no} 行超过 1 MB 仍未结束：引号未闭合，或不是按行分隔的文件",
        "a row is longer than 1 MB",
        row=row_no,
    )


@dataclass(slots=True)
class RowsRead:
    """What reading gave: both files, the headings, how many rows."""

    good: Path
    odd: Path
    headings: tuple[str, ...]
    delimiter: str
    rows: int  # without the heading and without blank rows
    odd_rows: int


def clean_cell(text: str) -> str:
    """A cell without blanks around it and without the guard of an export (公式防护)."""
    text = text.strip(BLANKS)
    return unguard_cell(text).strip(BLANKS) if text.startswith("'") else text


class RowWriter:
    """Writes the work files; ``bytes`` of plain lines go through as they are."""

    def __init__(self, work: Path, delimiter: str) -> None:
        self._good_path = work / "rows.csv"
        self._odd_path = work / "odd_rows.csv"
        self._good: BinaryIO = self._good_path.open("wb")
        self._odd: TextIO = self._odd_path.open("w", encoding="utf-8", newline="")
        self._odd_writer = csv.writer(self._odd, lineterminator="\n")
        self._delimiter = delimiter
        self._line = b"%d" + delimiter.encode() + b"%b\n"
        self._lines: list[bytes] = []
        self.headings: tuple[str, ...] = ()
        self.rows = 0
        self._odd_rows = 0

    def write_line(self, row_no: int, line: bytes) -> None:
        """A line of UTF-8 without quotes and line breaks: clean cells, as many as headings."""
        self.rows += 1
        self._lines.append(self._line % (row_no, line))
        if len(self._lines) >= _PIECE:
            self._flush()

    def write_cells(self, row_no: int, cells: list[str]) -> None:
        """Any row; one with too few or too many cells becomes an odd one, a blank one nothing."""
        if sum(map(len, cells)) > MAX_LINE:
            raise endless_line(row_no)
        cells = [clean_cell(cell) for cell in cells]
        if not any(cells):
            return
        if len(cells) != len(self.headings):
            wanted = len(self.headings)
            self._write_odd(row_no, "wrong_cell_count", cells[:wanted], cells[wanted:])
            return
        piece = io.StringIO()
        # The line end is cut off again: with it, cells that hold one of its characters are quoted.
        csv.writer(piece, delimiter=self._delimiter, lineterminator="\r\n").writerow(cells)
        self.write_line(row_no, piece.getvalue()[:-2].encode("utf-8"))

    def write_raw(self, row_no: int, reason: str, text: str) -> None:
        """A row that cannot be told by cells."""
        self._write_odd(row_no, reason, [], [text[:_MOST_RAW]])

    def _write_odd(self, row_no: int, reason: str, cells: list[str], rest: list[str]) -> None:
        """Every heading is in the value, in the order of the file; what has none is under ''."""
        self.rows += 1
        self._odd_rows += 1
        told = zip_longest(self.headings, cells, fillvalue="")
        value: dict[str, object] = {
            heading: cell for heading, cell in told if heading not in REJECT_HEADINGS
        }
        if rest:
            value[""] = rest
        self._odd_writer.writerow((row_no, reason, json.dumps(value, ensure_ascii=False)))

    def finish(self) -> RowsRead:
        """Close the files; InputError(``empty_file``) when there was no row."""
        self.close()
        if not self.rows:
            raise refuse("empty_file", "文件只有表头，没有一行数据", "a heading and no row")
        return RowsRead(
            self._good_path,
            self._odd_path,
            self.headings,
            self._delimiter,
            self.rows,
            self._odd_rows,
        )

    def close(self) -> None:
        """Close the files; harmless when they are closed."""
        if not self._good.closed:
            self._flush()
            self._good.close()
        self._odd.close()

    def _flush(self) -> None:
        self._good.writelines(self._lines)
        self._lines.clear()


def check_headings(cells: list[str], mapping: Mapping) -> tuple[str, ...]:
    """The headings of a file, which must be those of the mapping, in any order.

    InputError: ``duplicate_columns``, ``missing_columns``, ``unknown_columns``.
    """
    headings = [cell.strip() for cell in cells]
    while headings and not headings[-1]:
        headings.pop()
    shown = "、".join(one[:20] for one in headings[:60]) or "（空）"
    twice = sorted({one for one in headings if headings.count(one) > 1})
    if twice:
        raise refuse(
            "duplicate_columns",
            f"表头重复：{'、'.join(one[:20] or '（空）' for one in twice)}。文件的表头是：{shown}",
            "headings are there twice",
        )
    missing = [
        one.heading
        for one in mapping.columns
        if not one.is_optional and one.heading not in headings
    ]
    known = {one.heading for one in mapping.columns} | {*mapping.ignored, *REJECT_HEADINGS}
    unknown = [one for one in headings if one not in known]
    if missing:
        extra = f"多出：{'、'.join(one[:20] for one in unknown[:60])}。" if unknown else ""
        raise refuse(
            "missing_columns",
            f"缺少列：{'、'.join(missing)}。{extra}文件的表头是：{shown}",
            "headings are missing",
            missing=missing,
        )
    if unknown:
        raise refuse(
            "unknown_columns",
            f"不认识的列：{'、'.join(one[:20] for one in unknown[:60])}。如确需保留，请在映射文件"
            "的 ignored 中列出",
            "headings are not in the mapping",
        )
    return tuple(headings)
