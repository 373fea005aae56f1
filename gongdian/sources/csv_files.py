"""CSV files of any size (CSV 读取): encoding, line ends and quotes seen to, rows numbered.

Called by ``gongdian.sources.reading``. A stream: one pass over the bytes, memory flat. Plain lines
pass as bytes; lines with quotes go through the ``csv`` module, so that a line break inside quotes
does not end a row.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from pathlib import Path

from gongdian.errors import InputError
from gongdian.sources.mapping import Mapping
from gongdian.sources.progress import Progress
from gongdian.sources.work_rows import (
    MAX_LINE,
    RowWriter,
    check_headings,
    endless_line,
    refuse,
)

_CHUNK = 1 << 18
_MAX_COLUMNS = 500
_BOMS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def read_csv(path: Path, mapping: Mapping, writer: RowWriter, progress: Progress) -> None:
    """Write the rows of a CSV file to the work file; InputError for a fault of the whole file."""
    _CsvRows(path, mapping, writer, progress).run()


class _CsvRows:
    """One pass over one file."""

    def __init__(self, path: Path, mapping: Mapping, writer: RowWriter, progress: Progress) -> None:
        self._path = path
        self._mapping = mapping
        self._writer = writer
        self._progress = progress
        self._delimiter = mapping.delimiter.encode()
        self._size = path.stat().st_size
        self._bytes_read = 0
        self._row_no = 0
        self._pending: list[str] = []
        self._ends_open = False  # the last line had no line end
        self._lines = self._split()
        # Takes the lines that belong to one row, and no more.
        self._reader = csv.reader(
            self._texts(), delimiter=mapping.delimiter, strict=True, skipinitialspace=False
        )

    def run(self) -> None:
        """Heading, then rows."""
        self._read_heading()
        self._read_rows()

    def _read_heading(self) -> None:
        line = next(self._lines, None)
        if line is None or not line.strip():
            raise refuse("empty_file", "文件为空，或第一行不是表头", "no heading in row 1")
        self._row_no = 1
        text = line.decode("utf-8").removeprefix("\ufeff")
        cells = self._cells_of(text) or [text]
        if len(cells) > _MAX_COLUMNS:
            raise refuse("too_many_columns", f"表头超过 {_MAX_COLUMNS} 列", "too many columns")
        try:
            self._writer.headings = check_headings(cells, self._mapping)
        except InputError as error:
            other = _other_encoding(self._path, self._mapping)
            if not other:
                raise
            raise _wrong_encoding(self._mapping, other, 1, 0) from error

    def _read_rows(self) -> None:
        delimiter, writer = self._delimiter, self._writer
        wanted = len(writer.headings) - 1
        write_line, has_blanks, edges = writer.write_line, _has_blanks, _edges(delimiter)
        row_no = self._row_no
        for line in self._lines:
            row_no += 1
            plain = line[:-1] if line.endswith(b"\r") else line
            if b'"' in plain or b"\r" in plain:
                self._row_no = row_no
                self._read_quoted(row_no, plain)
            elif (
                plain.count(delimiter) == wanted
                and not plain.startswith(delimiter)
                and not (has_blanks(plain) and edges.search(plain))
            ):
                write_line(row_no, plain)
            else:
                self._row_no = row_no
                self._write_cells(row_no, plain.decode("utf-8").split(self._mapping.delimiter))
            if not row_no % 50_000:
                self._report()

    def _read_quoted(self, row_no: int, line: bytes) -> None:
        text = line.decode("utf-8")
        if '"' not in text:
            self._write_cells(row_no, text.split(self._mapping.delimiter))
            return
        cells = self._cells_of(text)
        if cells is None:
            self._writer.write_raw(row_no, "bad_quotes", text)
        else:
            self._write_cells(row_no, cells)

    def _cells_of(self, text: str) -> list[str] | None:
        """The cells of the row that begins with ``text``; None when its quotes make no sense."""
        self._pending = [text]
        try:
            return next(self._reader)
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise refuse(
                    "truncated_file",
                    f"第 {self._row_no} 行的引号到文件末尾仍未结束，文件可能不完整",
                    "the file ends inside quotes",
                    row=self._row_no,
                ) from error
            if "field limit" in str(error):
                raise endless_line(self._row_no) from error
            return None

    def _texts(self) -> Iterator[str]:
        """Lines for the csv module: the pending one, then as many as its row takes."""
        while True:
            if self._pending:
                taken = 0
                yield self._pending.pop() + "\n"
                continue
            line = next(self._lines, None)
            if line is None:
                return
            taken += len(line)
            if taken > MAX_LINE:
                raise endless_line(self._row_no)
            yield line.decode("utf-8") + "\n"

    def _write_cells(self, row_no: int, cells: list[str]) -> None:
        is_short = 1 < len(self._writer.headings) > len(cells)
        if is_short and self._ends_open and any(cell.strip() for cell in cells):
            raise refuse(
                "truncated_file",
                f"最后一行（第 {row_no} 行）不完整且没有换行，文件可能在传输中被截断",
                "the last line is cut off",
                row=row_no,
            )
        self._writer.write_cells(row_no, cells)

    def _split(self) -> Iterator[bytes]:
        """Lines without their line end, as UTF-8."""
        rest = b""
        lines = 0
        for chunk in self._chunks():
            parts = (rest + chunk).split(b"\n")
            rest = parts.pop()
            if len(rest) > MAX_LINE or (parts and len(parts[0]) > MAX_LINE + _CHUNK):
                raise endless_line(lines + 1)
            lines += len(parts)
            yield from parts
        if rest:
            self._ends_open = True
            yield rest

    def _chunks(self) -> Iterator[bytes]:
        """The file in pieces, checked and in UTF-8."""
        is_utf8 = self._mapping.encoding != "gb18030"
        decoder = codecs.getincrementaldecoder("utf-8" if is_utf8 else "gb18030")("strict")
        lines = 0
        with self._path.open("rb") as file:
            while True:
                piece = file.read(_CHUNK)
                if not self._bytes_read:
                    self._check_bom(piece)
                if b"\0" in piece:
                    row = lines + piece[: piece.index(b"\0")].count(b"\n") + 1
                    raise refuse(
                        "nul_bytes", f"第 {row} 行含有空字节，不是文本文件", "NUL bytes", row=row
                    )
                try:
                    text = decoder.decode(piece, final=not piece)
                except UnicodeDecodeError as error:
                    at = self._bytes_read + len(piece) - len(error.object) + error.start
                    row = lines + error.object[: error.start].count(b"\n") + 1
                    other = _other_encoding(self._path, self._mapping)
                    raise _wrong_encoding(self._mapping, other, row, at) from error
                if not piece:
                    return
                self._bytes_read += len(piece)
                lines += piece.count(b"\n")
                yield piece if is_utf8 else text.encode("utf-8")

    def _check_bom(self, start: bytes) -> None:
        for mark, name in _BOMS:
            if start.startswith(mark):
                raise _wrong_encoding(self._mapping, name, 1, 0)

    def _report(self) -> None:
        rows = self._writer.rows
        share = self._bytes_read / self._size if self._size else 1.0
        self._progress(rows, round(rows / share) if share else None, "reading")


def _has_blanks(line: bytes) -> bool:
    """Whether there may be something to clean: quick, for nearly every line has nothing."""
    return (
        b" " in line
        or b"'" in line
        or b"\t" in line
        or b"\xe3\x80\x80" in line
        or b"\xc2\xa0" in line
        or b"\xef\xbb\xbf" in line
    )


def _edges(delimiter: bytes) -> re.Pattern[bytes]:
    """Finds a cell that begins or ends with a blank, or begins with an apostrophe."""
    wide = b"[ \t]|\xe3\x80\x80|\xc2\xa0|\xef\xbb\xbf"
    cut = re.escape(delimiter)
    return re.compile(b"(?:^|" + cut + b")(?:'|" + wide + b")|(?:" + wide + b")(?:$|" + cut + b")")


def _other_encoding(path: Path, mapping: Mapping) -> str:
    """The encoding in which the file's first line has the headings; '' when none of ours."""
    with path.open("rb") as file:
        line = file.readline(MAX_LINE)
    for encoding in ("utf-8", "gb18030"):
        if mapping.encoding.startswith(encoding):
            continue
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError:
            continue
        if mapping.columns[0].heading in text and mapping.columns[-1].heading in text:
            return encoding.upper()
    return ""


def _wrong_encoding(mapping: Mapping, found: str, row: int, at: int) -> InputError:
    expected = mapping.encoding.upper()
    seems = f"，看来是 {found}" if found else ""
    return refuse(
        "wrong_encoding",
        f"编码不对：应为 {expected}{seems}。出错处：第 {row} 行附近，第 {at + 1} 个字节",
        "the file is not in the encoding of its mapping",
        row=row,
        byte=at,
        expected=expected,
        found=found,
    )
