"""Bulk reads and writes of billing tables (批量读写): plain cells, without a column type's care.

A column type costs a Python call a cell, which is most of the time of a batch. So amounts are whole
fen here, dates and instants the text that both databases take, and keys are checked once a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Table,
    and_,
    column,
    delete,
    insert,
    select,
    table,
    type_coerce,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.sql.elements import ColumnElement

from gongdian.db import Session
from gongdian.errors import InputError

# Binds of one statement. SQLite takes 32,766; above 1,000 MariaDB plans another way.
_CHUNK = 900

_NAMED_PLACE = re.compile(r"%\(\w+\)s")

T = TypeVar("T")


def as_fen(column: Column[Decimal]) -> ColumnElement[int]:
    """A money column as the whole fen it holds."""
    return type_coerce(column, BigInteger())


def as_yuan(fen: int) -> Decimal:
    """Stored fen -> yuan with two places."""
    return Decimal(fen).scaleb(-2)


def day_text(day: date | None) -> str | None:
    """A date as both databases store it."""
    return None if day is None else day.isoformat()


def as_day(cell: date | str) -> date:
    """A plain date cell, which SQLite gives as text."""
    return cell if isinstance(cell, date) else date.fromisoformat(cell)


def instant_text(at: datetime) -> str:
    """An aware instant as both databases store it: UTC with microseconds."""
    if at.tzinfo is None:
        raise InputError("naive_instant", "an instant needs its time zone", value=str(at))
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def check_key(text: str, length: int) -> None:
    """Refuse what one of the databases would cut or compare differently (see KeyText)."""
    if len(text) > length or text[-1:] == " ":
        raise InputError("bad_key", f"over {length} characters or ends in a blank")


def chunks(values: Iterable[T], size: int = _CHUNK) -> Iterator[list[T]]:
    """Lists that fit one statement."""
    left = iter(values)
    while some := list(islice(left, size)):
        yield some


def rows_by_pair(
    session: Session, keys: Iterable[tuple[str, str]], columns: tuple[Column[Any], ...]
) -> Iterator[Sequence[Any]]:
    """The plain cells of ``columns`` where the first two are one of ``keys``.

    SQLite reads a whole index for ``(a, b) IN (...)``; joined to the keys it seeks each of them.
    """
    select_text, place = _select_text(session.dialect, columns)
    for some in chunks(keys, _CHUNK // 2):
        places = ", ".join([f"({place}, {place})"] * len(some))
        cells = tuple(cell for key in some for cell in key)
        yield from session.exec_driver_sql(select_text.replace("()", places, 1), cells).all()


@lru_cache(maxsize=32)
def _select_text(dialect: Dialect, columns: tuple[Column[Any], ...]) -> tuple[str, str]:
    wanted = table("wanted", column("k0"), column("k1"))
    fits = and_(columns[0] == wanted.c.k0, columns[1] == wanted.c.k1)
    query = select(*columns).select_from(wanted.join(columns[0].table, fits))
    place = "?" if dialect.paramstyle == "qmark" else "%s"
    return f"WITH wanted (k0, k1) AS (VALUES ()) {query.compile(dialect=dialect)}", place


def in_order(into: Table, *, without: str = "") -> tuple[str, ...]:
    """The names of a table's columns in their order, which is that of ``insert_rows``."""
    return tuple(one.name for one in into.c if one.name != without)


def insert_rows(session: Session, into: Table, names: tuple[str, ...], rows: list[Any]) -> None:
    """Insert tuples of plain cells; ``names`` says which columns, in the order of the table."""
    if rows:
        session.exec_driver_sql(_insert_text(session.dialect, into, names), rows)


@lru_cache(maxsize=32)
def _insert_text(dialect: Dialect, into: Table, names: tuple[str, ...]) -> str:
    return plain_text(insert(into), dialect, names)


def plain_text(statement: Insert | Update, dialect: Dialect, names: tuple[str, ...] = ()) -> str:
    """A statement for ``exec_driver_sql``, its places in the order of the text.

    PyMySQL's named places would want a dict a row.
    """
    compiled = statement.compile(dialect=dialect, column_keys=list(names) or None)
    return _NAMED_PLACE.sub("%s", str(compiled))


def delete_rows(session: Session, key: Column[Any], values: Iterable[Any]) -> None:
    """Delete the rows whose ``key`` is one of ``values``."""
    for some in chunks(values):
        session.execute(delete(key.table).where(key.in_(some)))
