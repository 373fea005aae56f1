"""Fields and rules as SQL over columns (校验语句): text to typed value, and why it is none.

``gongdian.sources.checking`` calls this. Each field has a typed value that is NULL when the text is
not acceptable, so one pass tells good rows from bad ones; reasons are worked out for bad rows only.
Text of files never becomes part of a statement; names and codes of mappings are quoted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from gongdian.clock import china_date
from gongdian.sources.check_rules import (
    KIND_CODE,
    KIND_DATE,
    KIND_FLAG,
    KIND_INSTANT,
    KIND_INTEGER,
    KIND_KEY,
    KIND_LIST,
    KIND_MAIL,
    KIND_MONEY,
    KIND_MONTH,
    KIND_NUMBER,
    KIND_PHONE,
    KIND_TEXT,
    REASONS,
    Field,
)
from gongdian.sources.mapping import QUANTITY_UNITS, ColumnMap
from gongdian.sources.model import CLOCK_SKEW

SQL_TYPES = {
    KIND_MONEY: "BIGINT",
    KIND_NUMBER: "DOUBLE",
    KIND_INTEGER: "INTEGER",
    KIND_DATE: "DATE",
    KIND_INSTANT: "TIMESTAMP",
    KIND_FLAG: "BOOLEAN",
}
_TEXTS = (KIND_KEY, KIND_TEXT, KIND_PHONE, KIND_MAIL, KIND_CODE, KIND_LIST)

# Control characters and signs that nobody sees, which turn text around or hide in a number.
_HIDDEN = r"[\x00-\x1f\x7f\x{80}-\x{9f}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}\x{feff}]"
_FORMULA = r"^=|^[@+\-].*[(|!]"
_CELL_ERROR = r"^#(?:N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!|SPILL!|CALC!)$"
_GARBLED = r"\x{fffd}|锟斤拷"
_RISKY_TEXT = f"{_HIDDEN}|{_FORMULA}|{_CELL_ERROR}|{_GARBLED}"
_KEY = r"[0-9A-Za-z][0-9A-Za-z_./#:+-]*"
_PHONE = r"1[3-9][0-9]{9}"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAIL = rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]"
# Signs are ASCII; no exponents, no thousands separators: Excel's 9.9E+12 has lost digits.
_YUAN = r"[+-]?[0-9]{1,13}(?:\.[0-9]{1,2}0*)?"
_FEN = r"[+-]?[0-9]{1,15}(?:\.0+)?"
_QUANTITY = r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,12})?"
_WHOLE = r"[0-9]{1,9}"
_ANY_NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?"


def quoted(text: str) -> str:
    """A literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """A name of SQL."""
    return '"' + text.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class FieldSql:
    """A field and the column that gives it; ``text`` is the SQL of its text."""

    field: Field
    column: ColumnMap | None  # None: the mapping or the file does not give it
    text: str
    time_zone: str
    now: datetime | None

    @property
    def heading(self) -> str:
        """What people call it."""
        return self.column.heading if self.column is not None else self.field.name

    def value(self) -> str:
        """SQL of the typed value; NULL when the text is not acceptable or says nothing."""
        if self.column is None:
            return self._empty()
        read = _READERS[self.field.kind](self, self.column)
        if self.field.kind in (KIND_CODE, KIND_FLAG):  # a code may stand for an empty text
            return f"coalesce({read}, CASE WHEN {self.text} = '' THEN {self._empty()} END)"
        return f"CASE WHEN {self.text} = '' THEN {self._empty()} ELSE {read} END"

    def is_bad(self) -> str:
        """SQL over ``text`` and the typed value, named as the field: the row cannot be taken."""
        field = self.field
        if self.column is None:
            return "false"
        bad = f"{field.name} IS NULL"
        if field.may_be_empty and field.kind not in _TEXTS:
            bad += f" AND {self.text} <> ''"
        limits = [f"{field.name} < {low}" for low in self._limit(field.low)]
        limits += [f"{field.name} > {high}" for high in self._limit(field.high)]
        if self._latest():
            limits.append(f"{field.name} > {self._latest()}")
        return f"({bad}{''.join(f' OR coalesce({limit}, false)' for limit in limits)})"

    def reason(self) -> str:
        """SQL of the reason, for a text that ``is_bad``."""
        cases = [
            (f"{self.text} = ''", "missing"),
            (_matches(self.text, _FORMULA), "formula"),
            (_matches(self.text, _CELL_ERROR), "cell_error"),
            (_matches(self.text, _HIDDEN), "control_characters"),
            (_matches(self.text, _GARBLED), "garbled"),
            *self._reasons(),
        ]
        whens = " ".join(f"WHEN {condition} THEN {quoted(code)}" for condition, code in cases)
        return f"CASE {whens} END"

    def message(self, reason: str) -> str:
        """What people read of a reason: never the value."""
        text = f"{self.heading}：{REASONS[reason]}"
        if reason == "unknown_code" and self.column is not None:
            known = "、".join(code or "（空）" for code, _ in self.column.codes[:12])
            text += f"，应为：{known}"
        if reason in ("not_date", "not_month", "not_instant") and self.column is not None:
            sample = datetime(2026, 11, 5, 9, 30).strftime(self.column.formats[0])  # noqa: DTZ001
            text += f"，应写成 {sample} 的样式"
        if reason == "out_of_range" and self.field.low is not None:
            text += f"（{_shown(self.field.low)} 至 {_shown(self.field.high)}）"
        if reason == "too_long":
            text += f"，至多 {self.field.longest} 个字"
        return text[:300]

    def reasons(self) -> list[str]:
        """Every reason that ``reason`` may give."""
        common = ["missing", "formula", "cell_error", "control_characters", "garbled"]
        return common + [code for _, code in self._reasons()]

    def _reasons(self) -> list[tuple[str, str]]:
        field, text = self.field, self.text
        is_number = _full(text, _ANY_NUMBER)
        cases: list[tuple[str, str]] = []
        if field.longest:
            cases.append((f"length({text}) > {field.longest}", "too_long"))
        if self._latest():
            past = f"{field.name} > {self._latest()} AND {field.name} <= "
            cases.append((past + next(iter(self._limit(field.high))), "in_future"))
        if field.low is not None:
            cases.append((f"{field.name} IS NOT NULL", "out_of_range"))
        if field.kind == KIND_MONEY:
            fine = self.column is not None and self.column.unit == "fen"
            digits = r"[+-]?[0-9]{14,}(?:\.[0-9]{1,2}0*)?"
            cases.append((_full(text, r"[+-]?[0-9]{16,}" if fine else digits), "out_of_range"))
            cases.append((is_number, "too_precise"))
        if field.kind == KIND_NUMBER:
            cases.append((is_number, "out_of_range"))
        if field.kind == KIND_INTEGER:
            cases.append((_full(text, r"-?[0-9]+"), "out_of_range"))
        cases.append(("true", _NOT_SO[field.kind]))
        return cases

    def _limit(self, limit: float | date | None) -> list[str]:
        """SQL of a limit: none or one."""
        if limit is None:
            return []
        if isinstance(limit, date):
            if self.field.kind == KIND_MONTH:
                return [quoted(limit.strftime("%Y%m"))]
            if self.field.kind == KIND_INSTANT:
                return [f"TIMESTAMP '{limit} 23:59:59'"]
            return [f"DATE '{limit}'"]
        return [str(round(limit * 100) if self.field.kind == KIND_MONEY else limit)]

    def _latest(self) -> str:
        if not self.field.is_past or self.now is None:
            return ""
        if self.field.kind == KIND_DATE:
            return f"DATE '{china_date(self.now)}'"
        latest = (self.now + CLOCK_SKEW).replace(tzinfo=None, microsecond=0)
        return f"TIMESTAMP '{latest}'"

    def _empty(self) -> str:
        field = self.field
        if field.default_field:
            return field.default_field
        if field.kind in _TEXTS or field.kind == KIND_MONTH:
            return quoted(field.default) if field.may_be_empty else "CAST(NULL AS VARCHAR)"
        return f"CAST(NULL AS {SQL_TYPES[field.kind]})"


def _matches(text: str, pattern: str) -> str:
    return f"regexp_matches({text}, {quoted(pattern)})"


def _full(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, {quoted(pattern)})"


def _shown(limit: float | date | None) -> str:
    return f"{limit:.15g}" if isinstance(limit, (int, float)) else str(limit)


def _read_key(sql: FieldSql, column: ColumnMap) -> str:
    fits = f"length({sql.text}) <= {sql.field.longest} AND {_full(sql.text, _KEY)}"
    if column.pattern:
        fits += f" AND {_full(sql.text, column.pattern)}"
    return f"CASE WHEN {fits} THEN {sql.text} END"


def _read_text(sql: FieldSql, _column: ColumnMap) -> str:
    risky = _matches(sql.text, _RISKY_TEXT)
    return (
        f"CASE WHEN length({sql.text}) <= {sql.field.longest} AND NOT {risky} THEN {sql.text} END"
    )


def _read_phone(sql: FieldSql, _column: ColumnMap) -> str:
    return f"CASE WHEN {_full(sql.text, _PHONE)} THEN {sql.text} END"


def _read_mail(sql: FieldSql, _column: ColumnMap) -> str:
    text = sql.text
    fits = f"length({text}) <= {sql.field.longest} AND strpos({text}, '@') <= 65"
    return f"CASE WHEN {fits} AND {_full(text, _MAIL)} THEN {text} END"


def _read_money(sql: FieldSql, column: ColumnMap) -> str:
    """Fen, exactly: DECIMAL(15,2) times DECIMAL(3,0) stays within 64 bits."""
    if column.unit == "fen":
        whole = f"split_part({sql.text}, '.', 1)"
        return f"CASE WHEN {_full(sql.text, _FEN)} THEN CAST({whole} AS BIGINT) END"
    fen = f"CAST(CAST({sql.text} AS DECIMAL(15,2)) * CAST(100 AS DECIMAL(3,0)) AS BIGINT)"
    return f"CASE WHEN {_full(sql.text, _YUAN)} THEN {fen} END"


def _read_number(sql: FieldSql, column: ColumnMap) -> str:
    factor = QUANTITY_UNITS[column.unit] * column.factor
    times = f" * CAST({factor!r} AS DOUBLE)" if factor != 1.0 else ""
    return f"CASE WHEN {_full(sql.text, _QUANTITY)} THEN CAST({sql.text} AS DOUBLE){times} END"


def _read_integer(sql: FieldSql, _column: ColumnMap) -> str:
    return f"CASE WHEN {_full(sql.text, _WHOLE)} THEN CAST({sql.text} AS INTEGER) END"


def _parsed(sql: FieldSql, column: ColumnMap) -> str:
    formats = f"[{', '.join(quoted(one) for one in column.formats)}]"
    return f"try_strptime({sql.text}, {formats})"


def _read_date(sql: FieldSql, column: ColumnMap) -> str:
    return f"CAST({_parsed(sql, column)} AS DATE)"


def _read_month(sql: FieldSql, column: ColumnMap) -> str:
    return f"strftime({_parsed(sql, column)}, '%Y%m')"


def _read_instant(sql: FieldSql, column: ColumnMap) -> str:
    """UTC; China has had no summer time since 1992."""
    hours = 0 if sql.time_zone == "UTC" else 8
    return f"{_parsed(sql, column)} - INTERVAL {hours} HOUR"


def _read_code(sql: FieldSql, column: ColumnMap) -> str:
    is_flag = sql.field.kind == KIND_FLAG
    whens = " ".join(
        f"WHEN {quoted(text)} THEN {code if is_flag else quoted(code)}"
        for text, code in column.codes
    )
    return f"CASE {sql.text} {whens} END"


def _read_list(sql: FieldSql, column: ColumnMap) -> str:
    whens = " ".join(f"WHEN {quoted(text)} THEN {quoted(code)}" for text, code in column.codes)
    each = f"lambda x: CASE trim(x) {whens} ELSE '?' END"
    parts = f"string_split({sql.text}, {quoted(column.separator)})"
    joined = f"array_to_string(list_transform({parts}, {each}), ',')"
    return f"CASE WHEN NOT contains({joined}, '?') THEN {joined} END"


_Reader = Callable[[FieldSql, ColumnMap], str]
_READERS: dict[str, _Reader] = {
    KIND_KEY: _read_key,
    KIND_TEXT: _read_text,
    KIND_PHONE: _read_phone,
    KIND_MAIL: _read_mail,
    KIND_MONEY: _read_money,
    KIND_NUMBER: _read_number,
    KIND_INTEGER: _read_integer,
    KIND_DATE: _read_date,
    KIND_MONTH: _read_month,
    KIND_INSTANT: _read_instant,
    KIND_CODE: _read_code,
    KIND_FLAG: _read_code,
    KIND_LIST: _read_list,
}
_NOT_SO = {
    KIND_KEY: "bad_key",
    KIND_TEXT: "too_long",
    KIND_PHONE: "bad_phone",
    KIND_MAIL: "bad_mail",
    KIND_MONEY: "not_amount",
    KIND_NUMBER: "not_number",
    KIND_INTEGER: "not_integer",
    KIND_DATE: "not_date",
    KIND_MONTH: "not_month",
    KIND_INSTANT: "not_instant",
    KIND_CODE: "unknown_code",
    KIND_FLAG: "unknown_code",
    KIND_LIST: "unknown_code",
}
