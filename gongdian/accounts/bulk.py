"""Reading and writing in bulk (批量读写) for feeds and campaigns: many 户号 in few statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Table, insert, literal_column

from gongdian.db import Session, upsert

# Values of one IN list. Above 1,000 MariaDB makes a temporary table of them and, when it locks,
# reads and locks the whole table.
_CHUNK = 900

T = TypeVar("T")


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Lists that fit one statement."""
    left = iter(values)
    while some := list(islice(left, _CHUNK)):
        yield some


def write_rows(
    session: Session,
    table: Table,
    fresh: Sequence[dict[str, Any]],
    changed: Sequence[dict[str, Any]],
) -> None:
    """Insert ``fresh``; overwrite ``changed``, which name their row's ``id``: it must be locked.

    Updates go as inserts that meet their own row: MariaDB's driver sends those many at once.
    """
    if fresh:
        session.execute(insert(table), fresh)
    if changed:
        given = "excluded.{}" if session.dialect.name == "sqlite" else "VALUES({})"
        names = [name for name in changed[0] if name != "id"]
        updates: dict[str, Any] = {name: literal_column(given.format(name)) for name in names}
        session.execute(upsert(session, table, ("id",), updates), changed)


def texts(row: Sequence[Any]) -> list[Any]:
    """A row with what the source left empty as empty text."""
    return ["" if value is None else value for value in row]
