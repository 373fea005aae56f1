"""The XML of a sheet and of shared strings (工作表解析), as a stream; ``xlsx_files`` calls it.

A document type is refused: no workbook has one, and entities would be the way to blow it up.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO
from xml.parsers import expat

from gongdian.errors import InputError
from gongdian.sources.work_rows import refuse

_CHUNK = 1 << 18
_MOST_ROWS = 1_048_576  # of a sheet, by its format
_MOST_COLUMNS = 16_384
_MOST_TEXT = 1 << 20
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


@dataclass(slots=True)
class Cell:
    """A cell as the XML has it; ``kind`` is its attribute t."""

    kind: str
    style: int
    text: str = ""
    formula: str | None = None


class SharedStrings:
    """The shared strings of a workbook, in a file: a large one has millions."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._ends = array("Q", [0])
        self._map: mmap | bytes | None = None

    def append(self, text: str) -> None:
        """The next string."""
        written = self._file.write(text.encode("utf-8", "replace"))
        self._ends.append(self._ends[-1] + written)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        """A string by its number; InputError when the workbook names one that it lacks."""
        if not 0 <= index < len(self):
            raise _broken("a shared string is missing")
        if self._map is None:
            self._file.flush()
            self._map = mmap(self._file.fileno(), 0, access=ACCESS_READ) if self._ends[-1] else b""
        return self._map[self._ends[index] : self._ends[index + 1]].decode("utf-8")

    def close(self) -> None:
        """Close the file."""
        if isinstance(self._map, mmap):
            self._map.close()
        self._file.close()


def read_shared_strings(part: IO[bytes], strings: SharedStrings) -> None:
    """Read all shared strings; runs of rich text are joined, readings (拼音) left out."""
    table = _StringTable(strings)
    parser = _parser(table.start, table.end, table.characters)
    while chunk := part.read(_CHUNK):
        parser.Parse(chunk, False)
    parser.Parse(b"", True)


class _StringTable:
    """What the parser tells of the shared strings."""

    def __init__(self, strings: SharedStrings) -> None:
        self._strings = strings
        self._texts: list[str] = []
        self._length = 0
        self._is_phonetic = False
        self._hears = False

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        """An element begins."""
        name = tag.rpartition(":")[2] if ":" in tag else tag
        if name == "rPh":
            self._is_phonetic = True
        elif name == "t":
            self._hears = not self._is_phonetic

    def end(self, tag: str) -> None:
        """An element ends."""
        name = tag.rpartition(":")[2] if ":" in tag else tag
        if name == "rPh":
            self._is_phonetic = False
        elif name == "t":
            self._hears = False
        elif name == "si":
            self._strings.append(_plain("".join(self._texts)))
            self._texts.clear()
            self._length = 0

    def characters(self, text: str) -> None:
        """Text within an element."""
        if self._hears:
            self._texts.append(text)
            self._length += len(text)
            if self._length > _MOST_TEXT:
                raise _broken("a string is longer than 1 MB")


def sheet_rows(part: IO[bytes]) -> Iterator[tuple[int, dict[int, Cell]]]:
    """The rows of a sheet with their own numbers, cells by column from 0; empty rows are absent."""
    sheet = _Sheet()
    parser = _parser(sheet.start, sheet.end, sheet.characters)
    while chunk := part.read(_CHUNK):
        parser.Parse(chunk, False)
        yield from sheet.take()
    parser.Parse(b"", True)
    yield from sheet.take()


class _Sheet:
    """What the parser tells of a sheet, gathered into rows."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, dict[int, Cell]]] = []
        self._row_no = 0
        self._column = -1
        self._cells: dict[int, Cell] = {}
        self._cell: Cell | None = None
        self._texts: list[str] = []
        self._length = 0
        self._is_phonetic = False
        self._hears = False

    def take(self) -> list[tuple[int, dict[int, Cell]]]:
        """The rows that are complete."""
        rows, self._rows = self._rows, []
        return rows

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = tag.rpartition(":")[2] if ":" in tag else tag
        if name == "c":
            reference = attributes.get("r", "")
            self._column = _column(reference) if reference else self._column + 1
            if self._column >= _MOST_COLUMNS:
                raise _broken("too many columns")
            self._cell = Cell(attributes.get("t", "n"), _whole(attributes.get("s", "0")))
        elif name in ("v", "t", "f"):
            self._hears = self._cell is not None and not self._is_phonetic
            self._texts.clear()
            self._length = 0
        elif name == "row":
            self._row_no = _whole(attributes["r"]) if "r" in attributes else self._row_no + 1
            if not 0 < self._row_no <= _MOST_ROWS:
                raise _broken("a row number is out of range")
            self._column = -1
            self._cells = {}
        elif name == "rPh":
            self._is_phonetic = True

    def end(self, tag: str) -> None:
        """An element ends."""
        name = tag.rpartition(":")[2] if ":" in tag else tag
        cell = self._cell
        if name == "v" and cell is not None:
            cell.text = "".join(self._texts)
            self._hears = False
        elif name == "c" and cell is not None:
            if cell.text or cell.formula is not None:
                cell.text = _plain(cell.text) if cell.kind in ("str", "inlineStr") else cell.text
                self._cells[self._column] = cell
            self._cell = None
        elif name == "t" and cell is not None and self._hears:
            cell.text += "".join(self._texts)
            self._hears = False
        elif name == "f" and cell is not None:
            cell.formula = "".join(self._texts)
            self._hears = False
        elif name == "row":
            self._rows.append((self._row_no, self._cells))
        elif name == "rPh":
            self._is_phonetic = False

    def characters(self, text: str) -> None:
        """Text within an element."""
        if self._hears:
            self._texts.append(text)
            self._length += len(text)
            if self._length > _MOST_TEXT:
                raise _broken("a cell is longer than 1 MB")


def _parser(
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    characters: Callable[[str], None],
) -> expat.XMLParserType:
    # Namespaces are not told apart: a sheet has one, with a prefix or without.
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 14
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = _no_doctype
    return parser


def _no_doctype(*_: object) -> None:
    raise _broken("a document type")


def _plain(text: str) -> str:
    """Excel writes a control character as _x000A_, and an underscore before that as _x005F_."""
    if "_x" not in text:
        return text
    return _ESCAPED.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    # NUL and halves of a pair are no text; the checks call the sign for them garbled.
    return "\ufffd" if character == "\0" or "\ud800" <= character <= "\udfff" else character


@lru_cache(maxsize=4096)
def _letters(letters: str) -> int:
    column = 0
    for letter in letters:
        if not "A" <= letter <= "Z" or len(letters) > 3:
            raise _broken("a cell has no column")
        column = column * 26 + ord(letter) - 64
    return column - 1


def _column(reference: str) -> int:
    return _letters(reference.rstrip("0123456789"))


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise _broken("a number is none") from error


def _broken(text: str) -> InputError:
    return refuse("not_a_workbook", "工作表内容损坏，无法读取", text)
