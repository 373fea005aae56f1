"""Mapping files (字段映射): how the columns of a source become the fields of a feed.

Read by the imports; one TOML file per source and feed. Strict: what it does not know it refuses,
naming the file and the key. Shipped ones lie in ``mappings/``.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gongdian.clock import CHINA, next_china_midnight
from gongdian.errors import ConfigError, InputError
from gongdian.sources.check_rules import (
    FEEDS,
    KIND_CODE,
    KIND_DATE,
    KIND_FLAG,
    KIND_INSTANT,
    KIND_KEY,
    KIND_LIST,
    KIND_MONEY,
    KIND_MONTH,
    KIND_NUMBER,
    Field,
)
from gongdian.sources.toml_values import TomlTable

SHIPPED = Path(__file__).resolve().parent / "mappings"
ENCODINGS = ("utf-8", "utf-8-sig", "gb18030")
TIME_ZONES = ("Asia/Shanghai", "UTC")
DEFAULT_FORMATS = {
    KIND_DATE: ("%Y-%m-%d",),
    KIND_INSTANT: ("%Y-%m-%d %H:%M:%S",),
    KIND_MONTH: ("%Y%m",),
}
MONEY_UNITS = ("yuan", "fen")
# kWh are counted in kWh, capacity in kVA: what a unit of the source is worth.
QUANTITY_UNITS = {"": 1.0, "kWh": 1.0, "MWh": 1000.0, "万kWh": 10000.0, "kVA": 1.0, "MVA": 1000.0}


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """One column of the file and the field that it becomes."""

    heading: str
    field: str
    unit: str = ""  # money: yuan or fen; quantities: a key of QUANTITY_UNITS
    factor: float = 1.0  # multiplies a quantity, on top of its unit
    formats: tuple[str, ...] = ()  # strptime, the first one is tried first
    codes: tuple[tuple[str, str], ...] = ()  # text of the source, our value
    separator: str = ""  # between the codes of a list
    pattern: str = ""  # what a key must look like, whole
    is_optional: bool = False  # the file may come without this column


@dataclass(frozen=True, slots=True)
class AsOfRule:
    """Up to when a file tells (截至时间), when the caller does not say."""

    file_name: str = ""  # a pattern with one group, searched in the file's name
    format: str = ""  # strptime of that group, China time; without hours: the end of that day
    column: str = ""  # heading: the latest value of it


@dataclass(frozen=True, slots=True)
class SqlView:
    """A view of another database that gives the same rows."""

    view: str
    columns: tuple[tuple[str, str], ...]  # heading, column of the view
    cursor: tuple[str, ...]  # columns of the view that only grow, in their order


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file, read and checked."""

    name: str
    title: str
    feed: str
    digest: bytes  # SHA-256 of the file
    columns: tuple[ColumnMap, ...]
    encoding: str
    delimiter: str
    time_zone: str
    sheet: str  # of a workbook; '' = its first visible one
    ignored: tuple[str, ...]  # headings that may be there and are not read
    period: timedelta
    grace: timedelta
    as_of: AsOfRule
    sql: SqlView | None

    def as_of_from_name(self, file_name: str) -> datetime | None:
        """Up to when a file tells by its name; None when the name does not say.

        A day without hours counts to its end, which may lie after now: the caller caps it.
        """
        found = re.search(self.as_of.file_name, file_name) if self.as_of.file_name else None
        if found is None:
            return None
        try:
            told = datetime.strptime(found[1], self.as_of.format)  # noqa: DTZ007 - zone below
        except ValueError:
            return None
        at = told.replace(tzinfo=CHINA).astimezone(UTC)
        return at if "%H" in self.as_of.format else next_china_midnight(at)


def load_mapping(path_or_name: str | Path) -> Mapping:
    """A mapping by the name of a shipped one (``sg186_bills``) or by the path of a file.

    InputError(``unknown_mapping``) when there is none; ConfigError(``bad_mapping``,
    ``mapping_unreadable``) with file and key when it is wrong.
    """
    path = _find(path_or_name)
    try:
        content = path.read_bytes()
        values = tomllib.loads(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("mapping_unreadable", str(error), file=path.name) from error
    return _read(TomlTable(values, path.name), path.stem, hashlib.sha256(content).digest())


def shipped_mappings() -> list[str]:
    """The names of the mappings that come with the program."""
    return sorted(file.stem for file in SHIPPED.glob("*.toml"))


def _find(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    if path.suffix != ".toml" and path.name == str(path_or_name):
        path = SHIPPED / f"{path.name}.toml"
    if not path.is_file():
        known = ", ".join(shipped_mappings())
        raise InputError(
            "unknown_mapping", "no such mapping", name=str(path_or_name), shipped=known
        )
    return path


def _read(top: TomlTable, name: str, digest: bytes) -> Mapping:
    feed = top.text("feed", among=tuple(FEEDS))
    if not re.fullmatch(r"[0-9A-Za-z_.-]{1,40}", name):
        top.fail("name", "a mapping's file name has at most 40 letters, digits, _ . -")
    columns = tuple(_column(one, feed) for one in top.tables("columns"))
    _check_columns(top, feed, columns)
    delimiter = top.text("delimiter", ",")
    if delimiter not in (",", ";", "\t", "|"):
        top.fail("delimiter", "one of , ; | or a tab")
    freshness = top.table("freshness") or top.fail("freshness", "is missing")
    mapping = Mapping(
        name=name,
        title=top.text("title"),
        feed=feed,
        digest=digest,
        columns=columns,
        encoding=top.text("encoding", among=ENCODINGS),
        delimiter=delimiter,
        time_zone=top.text("time_zone", TIME_ZONES[0], among=TIME_ZONES),
        sheet=top.text("sheet", ""),
        ignored=top.texts("ignored", ()),
        period=timedelta(days=freshness.number("period_days")),
        grace=timedelta(days=freshness.number("grace_days")),
        as_of=_as_of(top.table("as_of"), columns),
        sql=_sql(top.table("sql"), columns),
    )
    freshness.done()
    top.done()
    return mapping


def _column(table: TomlTable, feed: str) -> ColumnMap:
    field = FEEDS[feed].by_name.get(table.text("field"))
    if field is None:
        table.fail("field", f"{feed} has the fields {', '.join(FEEDS[feed].by_name)}")
    heading = table.text("heading")
    if not heading.strip() or heading != heading.strip():
        table.fail("heading", "a heading is a text without blanks around it")
    column = ColumnMap(
        heading=heading,
        field=field.name,
        unit=_unit(table, field),
        factor=table.number("factor", 1.0) if field.kind == KIND_NUMBER else 1.0,
        formats=_formats(table, field),
        codes=_codes(table, field),
        separator=table.text("separator", "、") if field.kind == KIND_LIST else "",
        pattern=_pattern(table, "pattern") if field.kind == KIND_KEY else "",
        is_optional=table.flag("optional", default=False),
    )
    if column.factor <= 0:
        table.fail("factor", "a number above 0 is needed")
    if column.is_optional and field.is_needed:
        table.fail("optional", f"{field.name} cannot be left out")
    table.done()
    return column


def _unit(table: TomlTable, field: Field) -> str:
    if field.kind == KIND_MONEY:
        return table.text("unit", MONEY_UNITS[0], among=MONEY_UNITS)
    if field.kind == KIND_NUMBER:
        return table.text("unit", "", among=tuple(QUANTITY_UNITS))
    return ""


def _formats(table: TomlTable, field: Field) -> tuple[str, ...]:
    known = DEFAULT_FORMATS.get(field.kind)
    if known is None:
        return ()
    formats = table.texts("formats", known)
    for one in formats:
        moment = datetime(2026, 11, 25, 13, 45, 59, tzinfo=UTC)
        try:
            read = datetime.strptime(moment.strftime(one), one)  # noqa: DTZ007 - a trial
        except ValueError:
            table.fail("formats", f"{one} is no format of strptime")
        if (read.year, read.month) != (2026, 11):
            table.fail("formats", f"{one} lacks the year or the month")
    return formats or table.fail("formats", "at least one")


def _codes(table: TomlTable, field: Field) -> tuple[tuple[str, str], ...]:
    if field.kind not in (KIND_CODE, KIND_FLAG, KIND_LIST):
        return ()
    codes = table.pairs("codes")
    if not codes:
        table.fail("codes", "a table of codes is needed")
    choices = ("true", "false") if field.kind == KIND_FLAG else field.choices
    for text, code in codes:
        if choices and code not in choices:
            table.fail(f"codes.{text}", f"{field.name} is one of {', '.join(choices)}")
        if field.longest and len(code) > field.longest:
            table.fail(f"codes.{text}", f"at most {field.longest} characters")
    return codes


def _pattern(table: TomlTable, key: str) -> str:
    pattern = table.text(key, "")
    try:
        re.compile(pattern)
    except re.error as error:
        table.fail(key, f"no pattern: {error}")
    return pattern


def _check_columns(top: TomlTable, feed: str, columns: tuple[ColumnMap, ...]) -> None:
    for kind in ("heading", "field"):
        names = [getattr(one, kind) for one in columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            top.fail("columns", f"{kind} {twice[0]} is there twice")
    given = {one.field for one in columns}
    lacking = [one.name for one in FEEDS[feed].fields if one.is_needed and one.name not in given]
    if lacking:
        top.fail("columns", f"no column gives {', '.join(lacking)}")


def _as_of(table: TomlTable | None, columns: tuple[ColumnMap, ...]) -> AsOfRule:
    if table is None:
        return AsOfRule()
    pattern = _pattern(table, "file_name")
    if pattern and re.compile(pattern).groups != 1:
        table.fail("file_name", "a pattern with one group is needed")
    rule = AsOfRule(pattern, table.text("format", "%Y%m%d"), table.text("column", ""))
    kinds = {one.heading for one in columns if one.formats and one.field != "period"}
    if rule.column and rule.column not in kinds:
        table.fail("column", f"one of {', '.join(sorted(kinds))}")
    table.done()
    return rule


def _sql(table: TomlTable | None, columns: tuple[ColumnMap, ...]) -> SqlView | None:
    if table is None:
        return None
    view = SqlView(table.text("view"), table.pairs("columns"), table.texts("cursor"))
    headings = {one.heading for one in columns}
    for heading, _ in view.columns:
        if heading not in headings:
            table.fail(f"columns.{heading}", "no such heading under [[columns]]")
    given = {heading for heading, _ in view.columns}
    lacking = [one.heading for one in columns if not one.is_optional and one.heading not in given]
    if lacking:
        table.fail("columns", f"no column of the view gives {', '.join(lacking)}")
    known = {column for _, column in view.columns}
    names = (view.view, *known, *view.cursor)
    wrong = [one for one in names if not re.fullmatch(r"[^\W\d]\w{0,63}(\.[^\W\d]\w{0,63})?", one)]
    if wrong or not view.cursor:
        table.fail("view" if wrong else "cursor", f"no name of SQL: {', '.join(wrong)}")
    table.done()
    return view
