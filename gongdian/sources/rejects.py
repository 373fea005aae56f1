"""Rows that were refused (拒收行): kept whole and encrypted, listed, marked when corrected.

``runs`` and ``loading`` write them, the command line and pages read them. A row may have several
reasons; each is a row here, with the same number and values. ``reject_files`` exports them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import delete, func, select, update

from gongdian.db import Database, Session
from gongdian.sources.checks import Checked
from gongdian.sources.tables import import_rejects

_C = import_rejects.c
_BATCH = 2_000
_MOST_IN = 1_000


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row; ``column`` is the file's own name, '' for the row as a whole."""

    column: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was refused, with every fault; ``values`` are its cells by heading."""

    row_no: int
    faults: tuple[Fault, ...]
    is_corrected: bool
    values: dict[str, Any] = field(repr=False)


def store_rejects(database: Database, run_id: int, checked: Checked) -> None:
    """Write the rejects of a checked file, in batches; those of an earlier try go first."""
    _forget(database, run_id)
    source = checked.connection.execute(
        "SELECT row_no, column_name, reason, message, value FROM rejects ORDER BY row_no"
    )
    while rows := source.fetchmany(_BATCH):
        values = [
            {
                "run_id": run_id,
                "row_no": row_no,
                "column_name": column_name[:100],
                "reason": reason,
                "message": message[:300],
                "row_values": _whole(json.loads(value), checked.headings),
            }
            for row_no, column_name, reason, message, value in rows
        ]
        database.run(partial(_insert, values=values))


def _insert(session: Session, values: list[dict[str, Any]]) -> None:
    session.execute(import_rejects.insert(), values)


def _whole(values: dict[str, Any], headings: Iterable[str]) -> dict[str, Any]:
    """Every column of the file, also those that a row which was cut off lacks."""
    cells = {name: values.get(name, "") for name in headings}
    return {**cells, "": values[""]} if "" in values else cells


def _forget(database: Database, run_id: int) -> None:
    def work(session: Session) -> int:
        ours = select(_C.id).where(_C.run_id == run_id).limit(_BATCH)
        found = list(session.scalars(ours))
        session.execute(delete(import_rejects).where(_C.id.in_(found)))
        return len(found)

    while database.run(work) == _BATCH:
        pass


def mark_corrected(session: Session, run_id: int, row_nos: Sequence[int]) -> None:
    """Rows of a run came in corrected."""
    for begin in range(0, len(row_nos), _MOST_IN):
        some = row_nos[begin : begin + _MOST_IN]
        session.execute(
            update(import_rejects)
            .where(_C.run_id == run_id, _C.row_no.in_(some))
            .values(is_corrected=True)
        )


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many faults of one kind a run has, and how many were corrected since."""

    column: str
    reason: str
    message: str
    rows: int
    corrected: int


def count_reasons(session: Session, run_id: int) -> list[ReasonCount]:
    """The faults of a run by column and reason, most first; messages are examples."""
    rows = func.count()
    corrected = func.coalesce(func.sum(_C.is_corrected), 0)
    query = (
        select(_C.column_name, _C.reason, func.min(_C.message), rows, corrected)
        .where(_C.run_id == run_id)
        .group_by(_C.column_name, _C.reason)
        .order_by(rows.desc(), _C.column_name, _C.reason)
    )
    found = session.execute(query)
    return [ReasonCount(row[0], row[1], row[2], row[3], int(row[4])) for row in found]


def list_rejects(
    session: Session,
    run_id: int,
    *,
    after: int = 0,
    most: int = 100,
    with_corrected: bool = True,
) -> list[Reject]:
    """Rejects after row ``after``, at most ``most`` rows, in the order of the file."""
    wanted = [_C.run_id == run_id, _C.row_no > after]
    if not with_corrected:
        wanted.append(_C.is_corrected.is_(False))
    numbers = select(_C.row_no).where(*wanted).distinct().order_by(_C.row_no).limit(most)
    found = list(session.scalars(numbers))
    if not found:
        return []
    wanted.append(_C.row_no <= found[-1])
    query = select(import_rejects).where(*wanted).order_by(_C.row_no, _C.id)
    return list(_by_row(session.execute(query)))


def every_reject(
    session: Session, run_id: int, *, with_corrected: bool = False
) -> Iterator[Reject]:
    """All rejects of a run, read page by page."""
    after = 0
    while page := list_rejects(
        session, run_id, after=after, most=_MOST_IN, with_corrected=with_corrected
    ):
        yield from page
        after = page[-1].row_no


def _by_row(rows: Iterable[Any]) -> Iterator[Reject]:
    current: list[Any] = []
    for row in rows:
        if current and row.row_no != current[0].row_no:
            yield _reject(current)
            current = []
        current.append(row)
    if current:
        yield _reject(current)


def _reject(rows: list[Any]) -> Reject:
    faults = tuple(Fault(row.column_name, row.reason, row.message) for row in rows)
    first = rows[0]
    return Reject(first.row_no, faults, all(row.is_corrected for row in rows), first.row_values)
