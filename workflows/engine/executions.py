"""What may be done with executions (流程实例): look at, stop, redrive, prune; any process may.

Functions take the caller's session and never commit. Names, conditions and errors are those of
the Step Functions API reference; InvalidArn and the like are codes of our error classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update

from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError, GongdianError, InputError, NotFoundError
from gongdian.workflow_tables import (
    workflow_answers,
    workflow_executions,
    workflow_history,
    workflow_tasks,
    workflow_timers,
    workflow_versions,
)
from workflows.engine.home import LONGEST_NAME, Home, execution_of
from workflows.engine.journal import MOST_EVENTS, read_chunks
from workflows.engine.language.errors import DefinitionError
from workflows.engine.orders import Answer, AnswerKind, Status
from workflows.engine.run import Run, Surroundings
from workflows.engine.saving import Advanced, advanced, save
from workflows.engine.statements import CLAIMED_COLUMNS
from workflows.engine.store import Claim, from_ms, load, load_unread
from workflows.engine.task_rows import Seat
from workflows.engine.versions import CompiledVersions

_of = workflow_executions.c
REDRIVABLE_FOR = timedelta(days=14)
_SAVER = "console"

log = logging.getLogger("gongdian.workflows")


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as DescribeExecution shows it; ``output`` and ``cause`` as text."""

    arn: str
    machine: str
    name: str
    version: int
    status: Status
    input: str | None
    output: str | None
    error: str | None
    cause: str | None
    started_at: datetime
    stopped_at: datetime | None
    redrives: int
    events: int
    is_pruned: bool


@dataclass(frozen=True, slots=True)
class ExecutionLine:
    """An execution as ListExecutions shows it: without its data."""

    id: int
    machine: str
    name: str
    version: int
    status: Status
    started_at: datetime
    stopped_at: datetime | None


# The number of the version is shown, its row's id is not.
_NUMBER = (
    select(workflow_versions.c.number)
    .where(workflow_versions.c.id == _of.version_id)
    .scalar_subquery()
    .label("number")
)
_WHOLE = select(workflow_executions, _NUMBER)
_LINE = select(_of.id, _of.machine, _of.name, _of.status, _of.started_at, _of.stopped_at, _NUMBER)


def _which(given: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    machine, name = execution_of(given)
    if not given.isprintable() or max(len(machine), len(name)) > LONGEST_NAME:
        raise InputError("InvalidArn", f"Invalid Arn: '{given!r}'")
    return _of.machine == machine, _of.name == name.rstrip(" ")


def _found(row: AnyRow | None, given: str) -> AnyRow:
    if row is None:
        text = f"Execution Does Not Exist: '{given}'"
        raise NotFoundError("ExecutionDoesNotExist", text)
    return row


def _locked(session: Session, given: str) -> AnyRow:
    """What decides whether an execution may be changed; nothing that is encrypted."""
    columns = (
        _of.id,
        _of.machine,
        _of.name,
        _of.status,
        _of.stopped_at,
        _of.pruned_at,
        _of.last_event,
        _of.redrives,
        _of.snapshot.is_not(None).label("has_position"),
    )
    row = session.execute(select(*columns).where(*_which(given)).with_for_update()).one_or_none()
    return _found(row, given)


def describe(session: Session, given: str, home: Home) -> Execution:
    """One execution by ARN or ``machine:name``; NotFoundError ExecutionDoesNotExist."""
    row = _found(session.execute(_WHOLE.where(*_which(given))).one_or_none(), given)
    return _execution(row, home)


def _execution(row: AnyRow, home: Home) -> Execution:
    return Execution(
        home.execution_arn(row.machine, row.name),
        row.machine,
        row.name,
        row.number,
        Status(row.status),
        row.input,
        row.output,
        row.error,
        row.cause,
        row.started_at,
        row.stopped_at,
        row.redrives,
        row.last_event,
        row.pruned_at is not None,
    )


def list_executions(
    session: Session,
    *,
    machine: str | None = None,
    status: Status | None = None,
    before: int | None = None,
    most: int = 100,
) -> tuple[list[ExecutionLine], int | None]:
    """Executions, the latest first, and where the next page begins (``before``) or None."""
    found = _LINE.order_by(_of.id.desc()).limit(most + 1)
    if machine is not None:
        found = found.where(_of.machine == machine)
    if status is not None:
        found = found.where(_of.status == status.value)
    if before is not None:
        found = found.where(_of.id < before)
    rows = session.execute(found).all()
    following = rows[most - 1].id if len(rows) > most else None
    lines = [
        ExecutionLine(
            row.id,
            row.machine,
            row.name,
            row.number,
            Status(row.status),
            row.started_at,
            row.stopped_at,
        )
        for row in rows[:most]
    ]
    return lines, following


def history(
    session: Session,
    given: str,
    *,
    after: int = 0,
    most: int = 1_000,
    is_reversed: bool = False,
) -> list[dict[str, Any]]:
    """Events in the shape of GetExecutionHistory, ``timestamp`` in milliseconds.

    ``after`` is the id of the last event that the caller has (reversed: of the first one; 0 is
    the end). A pruned execution has none.
    """
    light = select(_of.id, _of.last_event).where(*_which(given))
    row = _found(session.execute(light).one_or_none(), given)
    of = workflow_history.c
    low, high = (after + 1, after + most) if not is_reversed else (1, row.last_event)
    if is_reversed:
        high = (after or row.last_event + 1) - 1
        low = max(1, high - most + 1)
    chunks = session.execute(
        select(of.first_event, of.events)
        .where(of.execution_id == row.id, of.last_event >= low, of.first_event <= high)
        .order_by(of.first_event)
    ).all()
    events = read_chunks([(chunk.first_event, chunk.events) for chunk in chunks])
    page = [event for event in events if low <= event["id"] <= high]
    return page[::-1] if is_reversed else page


def stop(
    session: Session, given: str, home: Home, now_ms: int, *, error: str | None, cause: str | None
) -> Execution:
    """End an execution as ABORTED at once, whoever works on it; one that has ended stays so."""
    row = _locked(session, given)
    if row.status == Status.RUNNING.value:
        halt = Answer(0, 0, AnswerKind.STOP, None, error, cause)
        try:
            _take_over(session, row.id, home, now_ms, lambda run: run.apply(halt))
        except (GongdianError, DefinitionError, LookupError, TypeError, ValueError) as trouble:
            # It cannot be read: then it can at least be ended.
            log.warning("stopped_unread", extra={"execution": row.name, "why": repr(trouble)})
            _end_unread(session, row.id, home, now_ms, halt)
    return describe(session, given, home)


def _end_unread(session: Session, number: int, home: Home, now_ms: int, halt: Answer) -> None:
    row = session.execute(select(*CLAIMED_COLUMNS).where(_of.id == number)).one()
    claimed = Claim(row, row.epoch, (), ())
    run = load_unread(claimed, home, Surroundings(lambda: now_ms))
    run.apply(halt)
    save(session, [Advanced(claimed, run, None)], Seat(_SAVER, now_ms, 0, 0), home)


def _take_over(
    session: Session, number: int, home: Home, now_ms: int, work: Callable[[Run], None]
) -> None:
    """Change an execution as a worker would: a worker that holds it is fenced off."""
    bumped = update(workflow_executions).where(_of.id == number).values(epoch=_of.epoch + 1)
    session.execute(bumped)
    row = session.execute(select(*CLAIMED_COLUMNS).where(_of.id == number)).one()
    claimed = Claim(row, row.epoch, (), ())
    around = Surroundings(lambda: now_ms)
    versions = CompiledVersions()
    versions.fetch(session, {row.version_id})
    run = load(claimed, versions.machine(row.version_id), home, around)
    work(run)
    save(session, [advanced(claimed, run)], Seat(_SAVER, now_ms, 0, 0), home)


def redrive(session: Session, given: str, home: Home, now_ms: int) -> Execution:
    """Let a failed, aborted or timed-out execution go on from the states that had not succeeded.

    ConflictError ExecutionNotRedrivable: it runs, succeeded, ended over 14 days ago, is pruned,
    or its history is full.
    """
    row = _locked(session, given)
    reason = _not_redrivable(row, from_ms(now_ms))
    if reason:
        raise ConflictError("ExecutionNotRedrivable", reason)
    session.execute(
        update(workflow_executions)
        .where(_of.id == row.id)
        .values(
            status=Status.RUNNING.value,
            redrives=row.redrives + 1,
            stopped_at=None,
            error=None,
            cause=None,
        )
    )
    _take_over(session, row.id, home, now_ms, lambda run: run.redrive())
    return describe(session, given, home)


def _not_redrivable(row: AnyRow, now: datetime) -> str:
    if row.status in (Status.RUNNING.value, Status.SUCCEEDED.value):
        return f"Execution is {row.status} and cannot be redriven"
    if row.pruned_at is not None or now - row.stopped_at > REDRIVABLE_FOR:
        return "Execution redrivable period exceeded"
    if not row.has_position:
        return "The execution's position was too large to be kept"
    if row.last_event >= MOST_EVENTS - 1:
        return "Execution history event limit exceeded"
    return ""


def prune(session: Session, before: datetime, now: datetime, *, most: int = 500) -> int:
    """Delete histories, inputs and outputs of executions that ended before an instant.

    Their rows stay: names are unique for ever, and a list still shows how they ended.
    """
    old = (
        select(_of.id)
        .where(_of.pruned_at.is_(None), _of.stopped_at < before)
        .order_by(_of.stopped_at)
        .limit(most)
        .with_for_update(skip_locked=True)  # one that is redriven now is not old
    )
    ids = session.execute(old).scalars().all()
    if not ids:
        return 0
    for table in (workflow_history, workflow_timers, workflow_tasks, workflow_answers):
        session.execute(delete(table).where(table.c.execution_id.in_(ids)))
    session.execute(
        update(workflow_executions)
        .where(_of.id.in_(ids))
        .values(pruned_at=now, input=None, output=None, cause=None, snapshot=None)
    )
    return len(ids)


def count_by_status(session: Session, since: datetime) -> dict[str, int]:
    """How many executions run, and how many ended since an instant, by status (metrics)."""
    running = select(func.count()).where(_of.status == Status.RUNNING.value)
    ended = (
        select(_of.status, func.count())
        .where(_of.pruned_at.is_(None), _of.stopped_at >= since)
        .group_by(_of.status)
    )
    counts = {row[0]: row[1] for row in session.execute(ended).all()}
    return {**counts, Status.RUNNING.value: session.execute(running).scalar_one()}
