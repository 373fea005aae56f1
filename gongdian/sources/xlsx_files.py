"""XLSX files of any size (Excel 读取): the sheet's XML as a stream, formulas never run.

Called by ``gongdian.sources.reading``. openpyxl tells sheets, date styles and the epoch; rows and
shared strings are read here, since it keeps every shared string and every row element in memory.
"""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

from openpyxl.packaging.manifest import Manifest
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.datetime import from_excel
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.xml.constants import SHARED_STRINGS

from gongdian.errors import InputError
from gongdian.sources.mapping import Mapping
from gongdian.sources.progress import Progress
from gongdian.sources.sheet_xml import Cell, SharedStrings, read_shared_strings, sheet_rows
from gongdian.sources.work_rows import RowWriter, check_headings, refuse

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # .xls of old, or a workbook with a password
_ZIP = b"PK\x03\x04"
# A million rows of 26 columns are about 2 GB of XML; it shrinks some 10 to 30 times.
_MOST_BYTES = 8 << 30
_MOST_OTHER_BYTES = 32 << 20  # parts that are read whole: styles, list of sheets
_SUSPICIOUS_BYTES = 64 << 20
_MOST_SHRUNK = 150
_MOST_PARTS = 2_000
_PLAIN = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError)
# What openpyxl raises over a broken or hostile workbook.
_UNREADABLE = (
    AttributeError,
    ImportError,
    IndexError,
    InvalidFileException,
    KeyError,
    NotImplementedError,
    OSError,
    ParseError,
    RuntimeError,
    TypeError,
    ValueError,
)


def is_workbook(path: Path) -> bool:
    """Whether a file is to be read as a workbook: by its name or by its first bytes."""
    with path.open("rb") as file:
        start = file.read(8)
    looks_so = start.startswith(_ZIP) or start == _OLE
    return looks_so or path.suffix.lower() in (".xlsx", ".xlsm", ".xls")


def read_xlsx(
    path: Path, mapping: Mapping, work: Path, writer: RowWriter, progress: Progress
) -> None:
    """Write the rows of a sheet to the work file; InputError for a fault of the whole file."""
    with path.open("rb") as file:
        archive = _open(file)
        try:
            _read(archive, file, mapping, work, writer, progress)
        except _DAMAGED as error:
            raise _truncated() from error
        except expat.ExpatError as error:
            raise refuse(
                "not_a_workbook", "工作表内容损坏，无法读取", "the XML of the sheet is broken"
            ) from error


def _open(file: IO[bytes]) -> zipfile.ZipFile:
    start = file.read(8)
    if start == _OLE:
        raise refuse(
            "not_a_workbook",
            "这是旧版 .xls 或加密的工作簿，请另存为不加密的 .xlsx",
            "an OLE file: an old workbook or one with a password",
        )
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        if start.startswith(_ZIP):
            raise _truncated() from error
        raise refuse("not_a_workbook", "不是 Excel 工作簿（.xlsx）", "not a ZIP file") from error
    _check_size(archive)
    return archive


def _check_size(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that unpacks into far more than it says it is worth (zip bomb)."""
    parts = archive.infolist()
    is_bomb = len(parts) > _MOST_PARTS or sum(one.file_size for one in parts) > _MOST_BYTES
    for one in parts:
        shrunk = one.file_size / max(one.compress_size, 1)
        is_bomb |= one.file_size > _SUSPICIOUS_BYTES and shrunk > _MOST_SHRUNK
        is_rows = "worksheets/" in one.filename or "sharedStrings" in one.filename
        is_bomb |= not is_rows and one.file_size > _MOST_OTHER_BYTES
    if is_bomb:
        raise refuse(
            "workbook_too_large", "工作簿解压后异常庞大，已拒绝读取", "unpacks to too much"
        )


@dataclass(frozen=True, slots=True)
class _Book:
    """What is needed of a workbook."""

    sheet_path: str
    strings_path: str
    date_styles: frozenset[int]
    span_styles: frozenset[int]
    epoch: datetime


class _Reader(ExcelReader):  # type: ignore[misc]
    """openpyxl's reader without the shared strings, which it keeps in memory."""

    def read_strings(self) -> None:
        """They are read by ``read_shared_strings``."""


def _book(file: IO[bytes], mapping: Mapping) -> _Book:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = _Reader(file, read_only=True, keep_links=False)
            reader.read()
        package: Manifest = reader.package
        strings = package.find(SHARED_STRINGS)
        sheets = [one for one in reader.wb.worksheets if one.sheet_state == "visible"]
        if mapping.sheet:
            sheets = [one for one in reader.wb.worksheets if one.title == mapping.sheet]
        titles = "、".join(str(one.title)[:31] for one in reader.wb.worksheets[:20])
        if not sheets:
            raise refuse(
                "missing_sheet",
                f"没有工作表“{mapping.sheet}”。文件中有：{titles}"
                if mapping.sheet
                else "工作簿中没有可见的工作表",
                "the sheet is not there",
            )
        return _Book(
            sheets[0]._worksheet_path,
            strings.PartName[1:] if strings is not None else "",
            frozenset(reader.wb._date_formats),
            frozenset(reader.wb._timedelta_formats),
            reader.wb.epoch,
        )
    except (*_UNREADABLE, zipfile.BadZipFile) as error:
        raise refuse(
            "not_a_workbook", "不是完整的 Excel 工作簿（.xlsx）", "parts of it are missing"
        ) from error


def _read(
    archive: zipfile.ZipFile,
    file: IO[bytes],
    mapping: Mapping,
    work: Path,
    writer: RowWriter,
    progress: Progress,
) -> None:
    book = _book(file, mapping)
    strings = SharedStrings(work / "strings.bin")
    try:
        if book.strings_path in archive.namelist():
            with archive.open(book.strings_path) as part:
                read_shared_strings(part, strings)
        size = archive.getinfo(book.sheet_path).file_size
        with archive.open(book.sheet_path) as part:
            _write_rows(_Rows(part, size, book, strings, mapping), writer, progress)
    finally:
        strings.close()


class _Rows:
    """The rows of a sheet as texts."""

    def __init__(
        self, part: IO[bytes], size: int, book: _Book, strings: SharedStrings, mapping: Mapping
    ) -> None:
        self._part = part
        self._size = size
        self._book = book
        self._strings = strings
        self.mapping = mapping
        self._formats: list[str] = []

    def share(self) -> float:
        """How much of the sheet is read, 0 to 1."""
        return self._part.tell() / self._size if self._size else 1.0

    def know_headings(self, headings: tuple[str, ...]) -> None:
        """Dates are written as their column's mapping reads them."""
        by_heading = {one.heading: one for one in self.mapping.columns}
        self._formats = [
            next(iter(by_heading[name].formats), "") if name in by_heading else ""
            for name in headings
        ]

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for row_no, cells in sheet_rows(self._part):
            texts = [""] * (max(cells) + 1 if cells else 0)
            for column, cell in cells.items():
                texts[column] = self._text(cell, column)
            while texts and not texts[-1]:
                texts.pop()
            yield row_no, texts

    def _text(self, cell: Cell, column: int) -> str:
        if cell.formula is not None:
            return "=" + cell.formula
        if cell.kind == "s":
            return self._strings[int(cell.text)] if cell.text else ""
        if cell.kind == "n":
            return self._number(cell, column)
        if cell.kind == "b":
            return "TRUE" if cell.text == "1" else "FALSE"
        return cell.text

    def _number(self, cell: Cell, column: int) -> str:
        if cell.text and cell.style in self._book.date_styles:
            with suppress(ValueError, OverflowError, TypeError):
                return self._moment(cell, column)
        if _PLAIN.fullmatch(cell.text):
            return _fifteen(cell.text) if len(cell.text) > 15 else cell.text
        with suppress(ValueError):
            return _fifteen(cell.text)
        return cell.text

    def _moment(self, cell: Cell, column: int) -> str:
        value: Any = from_excel(
            float(cell.text), self._book.epoch, timedelta=cell.style in self._book.span_styles
        )
        if not isinstance(value, datetime):
            return str(value)
        value = (value + timedelta(microseconds=500_000)).replace(microsecond=0)
        form = self._formats[column] if column < len(self._formats) else ""
        if not form:
            form = "%Y-%m-%d %H:%M:%S" if value.hour or value.minute else "%Y-%m-%d"
        return str(value.strftime(form))


def _write_rows(rows: _Rows, writer: RowWriter, progress: Progress) -> None:
    for row_no, cells in rows:
        if not writer.headings:
            if row_no != 1:
                break
            writer.headings = check_headings(cells, rows.mapping)
            rows.know_headings(writer.headings)
            continue
        if not any(cells):
            continue
        cells += [""] * (len(writer.headings) - len(cells))
        writer.write_cells(row_no, cells)
        if not row_no % 5_000:
            share = rows.share()
            progress(writer.rows, round(writer.rows / share) if share else None, "reading")
    if not writer.headings:
        raise refuse("empty_file", "工作表为空，或第一行不是表头", "no heading in row 1")


def _fifteen(text: str) -> str:
    """A number with the 15 digits that Excel shows: it stores 86.4 as 86.400000000000006."""
    shown = f"{Decimal(f'{float(text):.15g}'):f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _truncated() -> InputError:
    return refuse(
        "truncated_file",
        "工作簿不完整，可能在传输中被截断，请重新导出或上传",
        "the workbook is cut off or damaged",
    )
