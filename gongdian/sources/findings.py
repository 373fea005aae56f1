"""What is wrong with a file of which most rows are bad (整体问题): two columns swapped, or worse.

Called by ``gongdian.sources.checking``. Such a file changes nothing: its few good rows are not to
be trusted either.
"""

# ruff: noqa: S608 - names and codes of mappings are quoted; cells never become SQL

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import duckdb

from gongdian.sources.check_rules import REASONS
from gongdian.sources.check_sql import FieldSql
from gongdian.sources.work_rows import refuse

# A file of a few rows is no proof against its columns: each of its rows is told by itself.
_FROM_ROWS = 10
_SWAPPED_FROM_ROWS = 2
_SAMPLE = 1_000
# Of the rows of the sample: so many fail, so many fit when the two columns are changed round.
_FAILS = 0.5
_FITS = 0.9
# Rules that say it by themselves when most rows break them.
_RULE_PAIRS = {
    "due_before_issue": ("issued_on", "due_on"),
    "reading_back": ("previous_reading", "current_reading"),
}


def refuse_mostly_bad(
    db: duckdb.DuckDBPyConnection,
    fields: list[FieldSql],
    rows: int,
    rejected: int,
    reasons: dict[str, int],
) -> None:
    """InputError ``swapped_columns`` or ``mostly_bad`` when more than half the rows are bad."""
    if rejected * 2 <= rows or rows < _SWAPPED_FROM_ROWS:
        return
    told = "；".join(f"{REASONS[code]} {count} 行" for code, count in list(reasons.items())[:5])
    summary = f"{rows} 行中有 {rejected} 行有误（{told}），全部未导入"
    pairs = _swapped(db, fields, rows, reasons)
    if pairs:
        names = "；".join(f"“{one}”与“{other}”两列可能对调了" for one, other in pairs)
        raise refuse(
            "swapped_columns",
            f"{names}。{summary}",
            "two columns seem to be swapped",
            columns=[list(pair) for pair in pairs],
            rows=rows,
            rejected=rejected,
        )
    if rows >= _FROM_ROWS:
        raise refuse(
            "mostly_bad",
            f"大部分行有误：{summary}",
            "more than half of the rows are bad",
            rows=rows,
            rejected=rejected,
        )


def _swapped(
    db: duckdb.DuckDBPyConnection,
    fields: list[FieldSql],
    rows: int,
    reasons: dict[str, int],
) -> list[tuple[str, str]]:
    """Headings of the columns that fit when they are changed round."""
    db.execute(
        "CREATE TEMP TABLE sample AS SELECT row_no, COLUMNS('^t[0-9]+$') "
        f"FROM bad_values ORDER BY row_no LIMIT {_SAMPLE}"
    )
    mapped = [one for one in fields if one.column is not None and not one.field.default_field]
    failing = [one for one in mapped if _share_bad(db, one) > _FAILS]
    pairs: list[tuple[str, str]] = []
    paired: set[str] = set()
    # Two that fail explain each other; one alone may have lost its place to one that takes all.
    for one, other in (*combinations(failing, 2), *product(failing, mapped)):
        is_new = other is not one and not {one.heading, other.heading} & paired
        if is_new and _fits_swapped(db, one, other):
            pairs.append((one.heading, other.heading))
            paired |= {one.heading, other.heading}
    by_name = {one.field.name: one.heading for one in fields}
    for reason, (first, second) in _RULE_PAIRS.items():
        if reasons.get(reason, 0) * 2 > rows:
            pairs.append((by_name[first], by_name[second]))
    db.execute("DROP TABLE sample")
    return pairs


def _share_bad(db: duckdb.DuckDBPyConnection, one: FieldSql) -> float:
    value = f"{one.value()} AS {one.field.name}"
    row = db.execute(
        f"SELECT avg(CAST({one.is_bad()} AS INTEGER)) FROM (SELECT *, {value} FROM sample)"
    ).fetchone()
    return float(row[0] or 0.0) if row is not None else 0.0


def _fits_swapped(db: duckdb.DuckDBPyConnection, one: FieldSql, other: FieldSql) -> bool:
    """Both fit in each other's place, and the cells are not simply empty."""
    differ = f"{one.text} <> '' AND {other.text} <> '' AND {one.text} <> {other.text}"
    row = db.execute(f"SELECT avg(CAST({differ} AS INTEGER)) FROM sample").fetchone()
    if row is None or (row[0] or 0.0) < _FITS:
        return False
    turned = (replace(one, text=other.text), replace(other, text=one.text))
    return all(1.0 - _share_bad(db, field) >= _FITS for field in turned)
