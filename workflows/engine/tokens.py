"""Task tokens and activities (任务令牌): answers from people and other systems.

A token is random, used once, bound to one attempt; only its hash is stored. Errors are those of
SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat and GetActivityTask in the Step Functions
API reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError, InputError
from gongdian.workflow_tables import workflow_executions, workflow_tasks, workflow_timers
from workflows.engine.documents import LARGEST_DOCUMENT, Document, read_json
from workflows.engine.orders import Answer, AnswerKind, TimerKind
from workflows.engine.resources import Service
from workflows.engine.signals import add_answer, wake
from workflows.engine.statements import CLOSED, READY, WAITING
from workflows.engine.token_text import new_token, token_hash

_of = workflow_tasks.c
_LONGEST_TOKEN = 2048
_LONGEST_ERROR, _LONGEST_CAUSE = 256, 32_768


@dataclass(frozen=True, slots=True)
class ActivityTask:
    """What an activity worker is given: the token to answer with, the input as JSON text."""

    token: str
    input: str


def send_success(session: Session, token: str, output: str) -> str:
    """Finish a task with a JSON text; its execution ``machine:name``.

    InputError InvalidOutput, InvalidToken; ConflictError TaskTimedOut.
    """
    try:
        document = Document(read_json(output), None)
        size, is_too_deep = document.size, document.is_too_deep
    except (ValueError, RecursionError) as error:
        raise InputError("InvalidOutput", f"Invalid Output: {error}") from None
    if size > LARGEST_DOCUMENT or is_too_deep:
        text = f"the output has over {LARGEST_DOCUMENT} bytes or is nested too deeply"
        raise InputError("InvalidOutput", text)
    return _finish(session, token, AnswerKind.SUCCEEDED, document, None, None)


def send_failure(
    session: Session, token: str, error: str | None = None, cause: str | None = None
) -> str:
    """Fail a task; its execution ``machine:name``.

    ConflictError TaskTimedOut, InputError InvalidToken.
    """
    if len(error or "") > _LONGEST_ERROR or len(cause or "") > _LONGEST_CAUSE:
        raise InputError(
            "ValidationException",
            f"error has {_LONGEST_ERROR} characters at most, cause {_LONGEST_CAUSE}",
        )
    return _finish(session, token, AnswerKind.FAILED, None, error, cause)


def send_heartbeat(session: Session, token: str, now_ms: int) -> str:
    """The task is still worked on: its heartbeat starts anew; its execution ``machine:name``."""
    row = _locked(session, token)
    of = workflow_timers.c
    if row.heartbeat_s is not None:
        session.execute(
            update(workflow_timers)
            .where(
                of.execution_id == row.execution_id,
                of.scope == row.scope,
                of.kind == TimerKind.HEARTBEAT.value,
                of.serial == row.serial,
            )
            .values(due_at_ms=now_ms + row.heartbeat_s * 1000)
        )
    return _subject(session, row.execution_id)


def _finish(
    session: Session,
    token: str,
    kind: AnswerKind,
    output: Document | None,
    error: str | None,
    cause: str | None,
) -> str:
    row = _locked(session, token)
    closed = session.execute(
        update(workflow_tasks)
        .where(_of.execution_id == row.execution_id, _of.serial == row.serial, _of.state != CLOSED)
        .values(state=CLOSED, payload=None, owner=None, lease_until_ms=None)
    )
    if closed.rowcount != 1:
        raise _timed_out()
    add_answer(
        session,
        row.execution_id,
        Answer(row.scope, row.serial, kind, output, error, cause),
    )
    return _subject(session, row.execution_id)


def _subject(session: Session, execution_id: int) -> str:
    of = workflow_executions.c
    found = session.execute(select(of.machine, of.name).where(of.id == execution_id)).one()
    return f"{found.machine}:{found.name}"


def _locked(session: Session, token: str) -> AnyRow:
    """The open task of a token; its execution's row is locked and woken."""
    if not 1 <= len(token) <= _LONGEST_TOKEN:
        raise InputError("InvalidToken", "Invalid Token: 'Invalid token'")
    found = select(workflow_tasks).where(_of.token_hash == token_hash(token))
    row = session.execute(found).one_or_none()
    if row is None:
        raise InputError("InvalidToken", "Invalid Token: 'Invalid token'")
    wake(session, row.execution_id)
    again = session.execute(found.with_for_update()).one_or_none()
    if again is None or again.state == CLOSED:
        raise _timed_out()
    return again


def _timed_out() -> ConflictError:
    return ConflictError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")


def get_activity_task(
    session: Session, activity: str, now_ms: int, *, worker: str = ""
) -> ActivityTask | None:
    """Take the oldest waiting task of an activity (its name or ARN), or None."""
    name = activity.rpartition(":activity:")[2]
    found: Any = (
        select(_of.execution_id, _of.serial)
        .where(_of.service == Service.ACTIVITY.value, _of.name == name, _of.state == READY)
        .order_by(_of.execution_id, _of.serial)
        .limit(20)
    )
    for place in session.execute(found).all():
        task = _take_activity(session, place, now_ms, worker)
        if task is not None:
            return task
    return None


def _take_activity(
    session: Session, place: AnyRow, now_ms: int, worker: str
) -> ActivityTask | None:
    wake(session, place.execution_id)
    by_key = (_of.execution_id == place.execution_id, _of.serial == place.serial)
    row = session.execute(select(workflow_tasks).where(*by_key)).one_or_none()
    if row is None:
        return None
    token = new_token()
    taken = session.execute(
        update(workflow_tasks)
        .where(*by_key, _of.state == READY)
        .values(state=WAITING, token_hash=token_hash(token), payload=None)
    )
    if taken.rowcount != 1:
        return None
    if row.heartbeat_s is not None:
        session.execute(
            workflow_timers.insert().values(
                execution_id=row.execution_id,
                scope=row.scope,
                kind=TimerKind.HEARTBEAT.value,
                serial=row.serial,
                due_at_ms=now_ms + row.heartbeat_s * 1000,
            )
        )
    add_answer(
        session,
        row.execution_id,
        Answer(row.scope, row.serial, AnswerKind.STARTED, worker=worker[:80]),
    )
    return ActivityTask(token, row.payload)
