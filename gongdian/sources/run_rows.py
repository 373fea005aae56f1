"""Rows of the runs (导入记录): written by ``runs`` and ``loading``, read by commands and pages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from gongdian.audit import record_audit
from gongdian.db import AnyRow, Session, change_one, insert_once
from gongdian.errors import NotFoundError
from gongdian.sources.checks import Checked
from gongdian.sources.model import RunReport, RunState
from gongdian.sources.tables import import_runs

_C = import_runs.c
_LONGEST_PROBLEM = 500
_ENDED = (RunState.DONE.value, RunState.REFUSED.value)


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run as it begins."""

    feed: str
    source: str
    file_name: str
    file_hash: bytes
    mapping_hash: bytes
    as_of: datetime
    corrects_run: int | None
    by: str

    @property
    def file_key(self) -> bytes:
        """What makes it one run: the file, the mapping, and what it corrects."""
        corrects = f"corrects {self.corrects_run or ''}".encode()
        return hashlib.sha256(self.file_hash + self.mapping_hash + corrects).digest()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a batch did."""

    new: int = 0
    changed: int = 0
    same: int = 0


def run_of_file(session: Session, file_key: bytes) -> RunReport | None:
    """The run that holds this file, whatever its state."""
    row = session.execute(select(import_runs).where(_C.file_key == file_key)).first()
    return None if row is None else report_of(row)


def begin_run(session: Session, new: NewRun, now: datetime) -> int | None:
    """Write a run in state checking; its number, None when another has begun the same."""
    values = {
        "feed": new.feed,
        "source": new.source,
        "file_name": new.file_name[:200],
        "file_hash": new.file_hash,
        "mapping_hash": new.mapping_hash,
        "kept_as": "",
        "state": RunState.CHECKING.value,
        "file_key": new.file_key,
        "as_of": new.as_of,
        "corrects_run": new.corrects_run,
        "started_by": new.by[:64],
        "started_at": now,
    }
    if not insert_once(session, import_runs, values):
        return None
    key = new.file_key
    run_id: int = session.execute(select(_C.id).where(_C.file_key == key)).scalar_one()
    details = {"feed": new.feed, "source": new.source, "corrects": new.corrects_run}
    record_audit(session, now, new.by, "sources:run:started", str(run_id), details)
    return run_id


def note_kept(session: Session, run_id: int, kept_as: str) -> None:
    """Where the run's file is kept."""
    session.execute(update(import_runs).where(_C.id == run_id).values(kept_as=kept_as))


def begin_again(session: Session, run_id: int) -> None:
    """Back to checking: what an earlier try found counts no more."""
    zero = {"rows_read": 0, "rows_new": 0, "rows_changed": 0, "rows_same": 0}
    values: dict[str, Any] = {"state": RunState.CHECKING.value, "rows_loaded": 0, **zero}
    statement = update(import_runs).where(_C.id == run_id, _C.state.not_in(_ENDED))
    change_one(session, statement.values(**values, rows_rejected=0), "run_ended", run=run_id)


def begin_loading(session: Session, run_id: int, checked: Checked, as_of: datetime) -> None:
    """The file is checked: from here on its good rows go in. Repeated rows changed nothing."""
    _change(
        session,
        run_id,
        RunState.CHECKING,
        state=RunState.LOADING.value,
        as_of=as_of,
        rows_read=checked.rows_read,
        rows_rejected=checked.rows_rejected,
        rows_same=checked.rows_duplicate,
    )


def note_loaded(session: Session, run_id: int, done: int, upto: int, loaded: Loaded) -> None:
    """Advance from row ``done`` to ``upto``; ConflictError when another process did."""
    statement = (
        update(import_runs)
        .where(_C.id == run_id, _C.state == RunState.LOADING.value, _C.rows_loaded == done)
        .values(
            rows_loaded=upto,
            rows_new=_C.rows_new + loaded.new,
            rows_changed=_C.rows_changed + loaded.changed,
            rows_same=_C.rows_same + loaded.same,
        )
    )
    change_one(session, statement, "import_running", run=run_id)


def end_run(session: Session, run_id: int, now: datetime) -> None:
    """Everything is in."""
    _change(session, run_id, RunState.LOADING, state=RunState.DONE.value, ended_at=now)
    report = run_by_id(session, run_id)
    details = {
        "feed": report.feed,
        "new": report.rows_new,
        "changed": report.rows_changed,
        "rejected": report.rows_rejected,
    }
    record_audit(session, now, report.started_by, "sources:run:done", str(run_id), details)


def refuse_run(session: Session, run_id: int, problem: str, code: str, now: datetime) -> None:
    """The file is refused; the same one may be tried again as a run of its own."""
    _change(
        session,
        run_id,
        RunState.CHECKING,
        state=RunState.REFUSED.value,
        file_key=None,
        problem=problem[:_LONGEST_PROBLEM],
        ended_at=now,
    )
    by = run_by_id(session, run_id).started_by
    record_audit(session, now, by, "sources:run:refused", str(run_id), {"code": code})


def _change(session: Session, run_id: int, before: RunState, **values: Any) -> None:
    statement = update(import_runs).where(_C.id == run_id, _C.state == before.value)
    change_one(session, statement.values(**values), "import_running", run=run_id)


def run_by_id(session: Session, run_id: int) -> RunReport:
    """One run; NotFoundError ``no_such_run``."""
    row = session.execute(select(import_runs).where(_C.id == run_id)).first()
    if row is None:
        raise NotFoundError("no_such_run", f"没有这个导入批次：{run_id}", run=run_id)
    return report_of(row)


def rows_loaded(session: Session, run_id: int) -> int:
    """Up to which row of the file a run is in."""
    done: int = session.execute(select(_C.rows_loaded).where(_C.id == run_id)).scalar_one()
    return done


def latest_runs(session: Session, most: int = 20, feed: str = "") -> list[RunReport]:
    """The latest runs, newest first."""
    query = select(import_runs).order_by(_C.id.desc()).limit(most)
    if feed:
        query = query.where(_C.feed == feed)
    return [report_of(row) for row in session.execute(query)]


def report_of(row: AnyRow) -> RunReport:
    """A run's row as its report."""
    return RunReport(
        run_id=row.id,
        feed=row.feed,
        source=row.source,
        file_name=row.file_name,
        state=RunState(row.state),
        as_of=row.as_of,
        rows_read=row.rows_read,
        rows_new=row.rows_new,
        rows_changed=row.rows_changed,
        rows_same=row.rows_same,
        rows_rejected=row.rows_rejected,
        problem=row.problem,
        kept_as=row.kept_as,
        corrects_run=row.corrects_run,
        started_by=row.started_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
