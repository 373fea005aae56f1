"""Loading of checked rows (入库): batches in transactions of their own, each counted once.

``gongdian.sources.runs`` calls it. The rows lie in a Parquet file beside the kept one: a run that
was killed goes on from the row that its own row in ``import_runs`` names, with exactly the rows
that were checked. How far it came is written in the transaction that wrote the rows.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import select

from gongdian.arrears.events import facts_changed, holder_changed
from gongdian.arrears.leavers import people_changed
from gongdian.billing.tables import bills
from gongdian.clock import Clock
from gongdian.db import Database, Session
from gongdian.sources.feed_rows import BatchApplied, FeedRows, Rows, rows_of_feed
from gongdian.sources.progress import Progress
from gongdian.sources.rejects import mark_corrected
from gongdian.sources.run_rows import Loaded, note_loaded

_GOOD = "good.parquet"
_CORRECTS = "corrects.rows"
_ROW_GROUP = 20_000
# DuckDB only reads here, one row group at a time.
_MEMORY = "96MB"
_WRITERS_SHARE = 0.05
_MOST_IN = 900

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be loaded: a run's rows in its work folder.

    ``corrects_run`` is the run whose rejects these rows correct; ``is_late`` says that the feed is
    known up to a later time already.
    """

    run_id: int
    feed: str
    folder: Path
    rows: int
    corrects_run: int | None
    is_late: bool = False


def keep_good(connection: duckdb.DuckDBPyConnection, feed: str, folder: Path) -> None:
    """Write the good rows, in their order, as the file that loading reads; whole or not at all."""
    draft = folder / f"{_GOOD}.draft"
    query = rows_of_feed(feed).query
    options = f"FORMAT parquet, ROW_GROUP_SIZE {_ROW_GROUP}, COMPRESSION lz4"
    connection.execute(f"COPY ({query}) TO '{_quoted(draft)}' ({options})")
    draft.chmod(0o600)
    draft.replace(folder / _GOOD)


def keep_corrects(rows: array[int], folder: Path) -> None:
    """Which rejected row each row corrects, by row number."""
    draft = folder / f"{_CORRECTS}.draft"
    with draft.open("wb") as file:
        rows.tofile(file)
    draft.replace(folder / _CORRECTS)


def has_good(folder: Path, corrects_run: int | None) -> bool:
    """Whether a run that was cut off can go on with the rows that it had checked."""
    return (folder / _GOOD).is_file() and (corrects_run is None or (folder / _CORRECTS).is_file())


def load_rows(
    database: Database, clock: Clock, load: Load, done: int, batch: int, progress: Progress
) -> None:
    """Load everything after row ``done`` of the file."""
    feed = rows_of_feed(load.feed)
    corrects = _corrects(load)
    loaded = 0
    for rows in _batches(load.folder / _GOOD, feed, done, batch):
        began = time.monotonic()
        row_nos = [row[feed.row_no_at] for row in rows]
        old = [corrects[no] for no in row_nos if no < len(corrects) and corrects[no]]
        piece = _Batch(load, feed, rows, (done, row_nos[-1]), old)
        database.run(partial(_load_batch, piece=piece, clock=clock))
        done = row_nos[-1]
        loaded += len(rows)
        progress(loaded, load.rows, "loading")
        if database.is_sqlite:
            # One writer at a time, and waiting there is by chance: leave the others a gap.
            time.sleep((time.monotonic() - began) * _WRITERS_SHARE)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of one transaction; ``span`` is the row before them and their last one."""

    load: Load
    feed: FeedRows
    rows: list[_Row]
    span: tuple[int, int]
    corrects: list[int]


def _load_batch(session: Session, piece: _Batch, clock: Clock) -> None:
    load, rows, now = piece.load, piece.rows, clock.now()
    wanted = _missing_bills(session, rows) if load.is_late else rows
    applied = apply_batch(session, piece.feed, wanted, load.run_id, now)
    if load.corrects_run is not None and piece.corrects:
        mark_corrected(session, load.corrects_run, piece.corrects)
    overtaken = len(rows) - len(wanted)
    counts = Loaded(applied.new, applied.changed, applied.same + overtaken)
    note_loaded(session, load.run_id, *piece.span, counts)


def apply_batch(
    session: Session, feed: FeedRows, rows: Rows, run_id: int, now: datetime
) -> BatchApplied:
    """Rows go to their service, and what follows from them happens in the same transaction."""
    applied = feed.apply(session, rows, run_id, now)
    if applied.holder_changed:
        numbers, former = sorted(applied.holder_changed), applied.former_parties
        holder_changed(session, numbers, now, former)
    if applied.people_changed:
        people_changed(session, applied.people_changed, applied.left, now)
    if applied.facts_changed:
        facts_changed(session, sorted(applied.facts_changed), now)
    return applied


def _missing_bills(session: Session, rows: list[_Row]) -> list[_Row]:
    """The rows of an older file whose version of the bill is not there yet.

    Payments go one way and balances have their instants, so services see for themselves what is
    older; the same version of a bill from two files is told apart by the files only.
    """
    columns = bills.c
    names = (columns.customer_no, columns.bill_no, columns.version)
    known: set[_Row] = set()
    for begin in range(0, len(rows), _MOST_IN):
        numbers = {row[1] for row in rows[begin : begin + _MOST_IN]}
        found = session.execute(select(*names).where(columns.customer_no.in_(numbers)))
        known.update(tuple(one) for one in found)
    return [row for row in rows if row[1:4] not in known]


def _batches(path: Path, feed: FeedRows, done: int, size: int) -> Iterator[list[_Row]]:
    with duckdb.connect() as connection:
        # One thread, so that the rows come in their order while the file is read by parts.
        connection.execute(f"SET threads = 1; SET memory_limit = '{_MEMORY}'")
        source = connection.execute(
            f"SELECT * FROM read_parquet('{_quoted(path)}') WHERE row_no > {done:d}"  # noqa: S608
        )
        last = done
        while rows := source.fetchmany(size):
            row_nos = [row[feed.row_no_at] for row in rows]
            if row_nos[0] <= last or row_nos != sorted(row_nos):
                # A run that goes on begins behind the last row that is in.
                raise AssertionError("rows come in the order of their numbers")
            last = row_nos[-1]
            yield rows


def _corrects(load: Load) -> array[int]:
    rows: array[int] = array("q")
    if load.corrects_run is not None:
        rows.frombytes((load.folder / _CORRECTS).read_bytes())
    return rows


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
