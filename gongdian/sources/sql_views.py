"""SQL views of other databases (SQL 视图): read by cursor into a CSV file that is then imported.

``server.source_commands`` calls ``pull_view``. The snapshot goes through the same import as any
file, so it is kept, checked and resumed like one; the cursor moves in the transaction that ends
the run. A pull that was cut off is finished from its snapshot before a new one is taken.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    column,
    create_engine,
    func,
    make_url,
    or_,
    select,
    table,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from gongdian.db import Database, Session, upsert
from gongdian.errors import InputError, UpstreamError
from gongdian.feeds import FeedState, note_feed
from gongdian.sources.kept_files import clear_work, imports_folder
from gongdian.sources.mapping import ColumnMap, Mapping, SqlView
from gongdian.sources.model import RunReport, RunState
from gongdian.sources.progress import Progress, no_progress
from gongdian.sources.run_rows import latest_runs
from gongdian.sources.runs import Importing, import_file
from gongdian.sources.tables import import_cursors
from gongdian.sources.turns import file_turn

_PAGE = 5_000
_MOST_TIES = 1_000_000
_CURSOR_FILE = "cursor.json"

Position = tuple[Any, ...]
_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Rows of a view as a file, and where the next pull begins."""

    path: Path
    position: Position
    as_of: datetime


def pull_view(
    place: Importing,
    mapping: Mapping,
    url: str,
    by: str,
    *,
    progress: Progress = no_progress,
) -> RunReport | None:
    """Read what is new in the mapping's view and import it; None when there is nothing new.

    Rows with the last cursor value are read again: others may have come with the same one. What
    is in already changes nothing. InputError ``no_view``, ``bad_url``; UpstreamError
    ``source_unavailable``; else as ``import_file``.
    """
    if mapping.sql is None:
        raise InputError("no_view", f"映射 {mapping.name} 没有 [sql] 部分", mapping=mapping.name)
    folder = imports_folder(place.data_dir, mapping.feed) / f".pull-{mapping.name}"
    with file_turn(folder.with_suffix(".turn"), place.patience_s):
        return _pull(place, mapping, mapping.sql, url, by, folder, progress)


def _pull(
    place: Importing,
    mapping: Mapping,
    view: SqlView,
    url: str,
    by: str,
    folder: Path,
    progress: Progress,
) -> RunReport | None:
    snapshot = _found(folder) or _take(place, mapping, view, url, folder, progress)
    if snapshot is None:
        place.database.run(lambda session: _note_quiet(session, place, mapping))
        return None
    report = import_file(
        place,
        snapshot.path,
        mapping,
        by,
        as_of=snapshot.as_of,
        progress=progress,
        then=lambda session, now: _advance(session, mapping.name, snapshot.position, now),
    )
    if report.state is RunState.DONE and report.is_repeat:
        # Its rows are in, but perhaps not the cursor: the same rows came twice.
        now = place.clock.now()
        place.database.run(lambda session: _advance(session, mapping.name, snapshot.position, now))
        place.database.run(lambda session: _note_quiet(session, place, mapping, snapshot.as_of))
    clear_work(folder)
    return report


def _take(
    place: Importing,
    mapping: Mapping,
    view: SqlView,
    url: str,
    folder: Path,
    progress: Progress,
) -> _Snapshot | None:
    """Read the view; None when it has nothing new."""
    clear_work(folder)
    folder.mkdir(mode=0o700)
    as_of = place.clock.now()
    begin = cursor_position(place.database, mapping.name)
    path = folder / f"{mapping.name}-{as_of:%Y%m%dT%H%M%SZ}.csv"
    with _source(url) as connection:
        position = _write(connection, mapping, view, begin, path, progress)
    if position is None:
        clear_work(folder)
        return None
    path.chmod(0o600)
    snapshot = _Snapshot(path, position, as_of)
    _commit(snapshot, folder)
    return snapshot


def _commit(snapshot: _Snapshot, folder: Path) -> None:
    """From here on the snapshot counts: a later pull finishes it."""
    draft = folder / f"{_CURSOR_FILE}.draft"
    kept = {
        "file": snapshot.path.name,
        "position": to_json(snapshot.position),
        "as_of": snapshot.as_of.isoformat(),
    }
    draft.write_text(json.dumps(kept, ensure_ascii=False), "utf-8")
    draft.chmod(0o600)
    draft.replace(folder / _CURSOR_FILE)


def _found(folder: Path) -> _Snapshot | None:
    """The snapshot of a pull that was cut off."""
    marker = folder / _CURSOR_FILE
    if not marker.is_file():
        return None
    kept = json.loads(marker.read_text("utf-8"))
    path = folder / kept["file"]
    as_of = datetime.fromisoformat(kept["as_of"])
    return _Snapshot(path, from_json(kept["position"]), as_of)


@contextmanager
def _source(url: str) -> Iterator[Connection]:
    """A connection to the other database; its password is in no error."""
    try:
        parsed = make_url(url)
        engine = create_engine(parsed, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InputError("bad_url", "数据库地址无法识别，或没有安装它的驱动") from error
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        text = str(getattr(error, "orig", None) or error)
        if parsed.password:
            text = text.replace(str(parsed.password), "***")
        # ``from None``: the driver's own words may hold the password.
        raise UpstreamError("source_unavailable", text[:300]) from None
    finally:
        engine.dispose()


def _write(
    connection: Connection,
    mapping: Mapping,
    view: SqlView,
    begin: Position | None,
    path: Path,
    progress: Progress,
) -> Position | None:
    """Write the rows of the view from ``begin`` on; the last row's cursor, None without a row."""
    maps = {one.heading: one for one in mapping.columns}
    columns = [maps[heading] for heading, _ in view.columns]
    zone = ZoneInfo(mapping.time_zone)
    position = None
    written = 0
    with path.open("w", encoding=mapping.encoding, newline="") as file:
        writer = csv.writer(file, delimiter=mapping.delimiter)
        writer.writerow(one.heading for one in columns)
        for rows in _pages(connection, view, begin):
            width = len(columns)
            for row in rows:
                writer.writerow(map(_text, row[:width], columns, [zone] * width))
            position = tuple(rows[-1][width:])
            written += len(rows)
            progress(written, None, "reading")
    return position


def _pages(connection: Connection, view: SqlView, begin: Position | None) -> Iterator[list[_Row]]:
    """The rows by page, in the order of the cursor, each row once.

    The end is fixed at the start: a row that changes meanwhile moves behind it and comes with the
    next pull, instead of coming twice with this one.
    """
    schema, _, name = view.view.rpartition(".")
    names = [given for _, given in view.columns] + list(view.cursor)
    source = table(name, *(column(one) for one in dict.fromkeys(names)), schema=schema or None)
    cursor = [source.c[one] for one in view.cursor]
    end = connection.execute(select(func.max(cursor[0]))).scalar()
    if end is None:
        return
    query = select(*(source.c[given].label(f"c{at}") for at, given in enumerate(names)))
    query = query.where(cursor[0] <= end, *(one.is_not(None) for one in cursor[1:]))
    query = query.order_by(*cursor)
    seen: set[_Row] = set()
    last, size, width = begin, _PAGE, len(view.columns)
    while True:
        page = query if last is None else query.where(_from(cursor, last))
        found = [tuple(row) for row in connection.execute(page.limit(size))]
        rows = [row for row in found if row not in seen]
        if rows:
            yield rows
            end_of_page = rows[-1][width:]
            ties = {row for row in found if row[width:] == end_of_page}
            seen = ties if end_of_page != last else seen | ties
            last = end_of_page
        if len(found) < size:
            return
        # All of a page may have one cursor value: the next one must reach beyond.
        size = max(_PAGE, len(seen) + _PAGE)
        if size > _MOST_TIES:
            raise InputError("cursor_too_coarse", "视图的游标列有太多相同的值，无法分页读取")


def _from(cursor: Sequence[ColumnElement[Any]], last: Position) -> ColumnElement[bool]:
    """The cursor is at ``last`` or behind it: (a, b) >= (x, y), written out for every dialect."""
    alternatives = []
    for at in range(len(cursor)):
        equal = [one == value for one, value in zip(cursor[:at], last[:at], strict=True)]
        is_last = at == len(cursor) - 1
        greater = cursor[at] >= last[at] if is_last else cursor[at] > last[at]
        alternatives.append(and_(*equal, greater))
    return or_(*alternatives)


def _text(value: Any, column: ColumnMap, zone: ZoneInfo) -> str:
    """A value as the mapping reads it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        local = value.astimezone(zone) if value.tzinfo is not None else value
        return local.strftime(column.formats[0]) if column.formats else local.isoformat(" ")
    if isinstance(value, date):
        return value.strftime(column.formats[0]) if column.formats else value.isoformat()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        raise InputError("binary_column", f"列“{column.heading}”是二进制，不能导入")
    return str(value)


def cursor_position(database: Database, source: str) -> Position | None:
    """Where a source's next pull begins; None before the first."""
    query = select(import_cursors.c.position).where(import_cursors.c.source == source)
    with database.read() as session:
        kept = session.execute(query).scalar()
    return None if kept is None else from_json(json.loads(kept))


def _advance(session: Session, source: str, position: Position, now: datetime) -> None:
    values = {"position": json.dumps(to_json(position), ensure_ascii=False), "changed_at": now}
    statement = upsert(session, import_cursors, ("source",), values)
    session.execute(statement, {"source": source, **values})


def _note_quiet(
    session: Session, place: Importing, mapping: Mapping, as_of: datetime | None = None
) -> None:
    """The view answered and had nothing new: that is news, too."""
    runs = latest_runs(session, 1, mapping.feed)
    now = place.clock.now()
    run_id = runs[0].run_id if runs else 0
    state = FeedState(mapping.feed, as_of or now, now, run_id, mapping.period, mapping.grace)
    note_feed(session, state)


def to_json(position: Position) -> list[Any]:
    """Cursor values with their types: a day compared as text is another thing."""
    tagged: list[Any] = []
    for value in position:
        if isinstance(value, datetime):
            tagged.append({"datetime": value.isoformat()})
        elif isinstance(value, date):
            tagged.append({"date": value.isoformat()})
        elif isinstance(value, Decimal):
            tagged.append({"decimal": str(value)})
        elif isinstance(value, str | int | float):
            tagged.append(value)
        else:
            kind = type(value).__name__
            raise InputError("bad_cursor", f"游标列的类型不能保存：{kind}")
    return tagged


_READERS: dict[str, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "decimal": Decimal,
}


def from_json(tagged: list[Any]) -> Position:
    """The inverse of ``to_json``."""
    return tuple(
        next(_READERS[kind](text) for kind, text in one.items()) if isinstance(one, dict) else one
        for one in tagged
    )
