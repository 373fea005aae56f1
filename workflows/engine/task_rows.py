"""Rows of tasks (任务行): written with the history that orders them, claimed, renewed, closed.

States: ``ready`` (for any worker), ``running`` (leased by one), ``waiting`` (for a token, an
activity worker or a child execution), ``closed`` (kept so that a late token is known as late).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, update

from gongdian.db import AnyRow, Session
from gongdian.workflow_tables import workflow_tasks
from workflows.engine import children
from workflows.engine.documents import Document, read_json
from workflows.engine.home import Home
from workflows.engine.orders import Answer, AnswerKind, TaskOrder
from workflows.engine.resources import Pattern, Service
from workflows.engine.run import Run
from workflows.engine.signals import add_answer, wake

READY, RUNNING, WAITING, CLOSED = "ready", "running", "waiting", "closed"
_of = workflow_tasks.c


@dataclass(frozen=True, slots=True)
class Seat:
    """Who writes, when, and how many tasks it can take on at once."""

    owner: str
    now_ms: int
    task_lease_ms: int
    room: int


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A task that this worker is to perform; ``epoch`` fences its answer."""

    execution_id: int
    serial: int
    scope: int
    service: Service
    pattern: Pattern
    name: str
    key: str
    payload: Document
    epoch: int


def token_hash(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def insert_tasks(
    session: Session, runs: Iterable[Run], seat: Seat, home: Home
) -> list[ClaimedTask]:
    """Write what runs order; those that there is room for are claimed at once."""
    rows: list[dict[str, Any]] = []
    mine: list[ClaimedTask] = []
    started: list[tuple[Run, TaskOrder]] = []
    for run in runs:
        for order in run.orders.tasks.values():
            row = _row(run, order)
            if order.service is Service.CHILD:
                row["state"], row["lease_until_ms"] = WAITING, None
                started.append((run, order))
            elif order.service is Service.ACTIVITY:
                row["state"], row["lease_until_ms"] = READY, None
            elif len(mine) < seat.room:
                row["state"], row["owner"] = RUNNING, seat.owner
                row["lease_until_ms"] = seat.now_ms + seat.task_lease_ms
                mine.append(_claimed(run.facts.id, order))
            rows.append(row)
    if rows:
        session.execute(insert(workflow_tasks), rows)
    for run, order in started:
        children.start_child(session, run.facts, order, seat.now_ms, home)
    return mine


def _row(run: Run, order: TaskOrder) -> dict[str, Any]:
    return {
        "execution_id": run.facts.id,
        "serial": order.serial,
        "scope": order.scope,
        "service": order.service.value,
        "pattern": order.pattern.value,
        "name": order.name[:300],
        "key": order.key,
        "payload": order.payload.text,
        "state": READY,
        "epoch": 1,
        "owner": None,
        "lease_until_ms": 0,
        "token_hash": token_hash(order.token) if order.token else None,
        "heartbeat_s": order.heartbeat_s,
    }


def _claimed(execution_id: int, order: TaskOrder) -> ClaimedTask:
    return ClaimedTask(
        execution_id,
        order.serial,
        order.scope,
        order.service,
        order.pattern,
        order.name,
        order.key,
        order.payload,
        1,
    )


def is_any_task_due(session: Session, now_ms: int) -> bool:
    """Whether a task waits for a worker, or the worker that had it is gone."""
    found = select(_of.serial).where(_of.lease_until_ms <= now_ms).limit(1)
    return session.execute(found).first() is not None


def claim_tasks(session: Session, seat: Seat) -> list[ClaimedTask]:
    """Take ready tasks, and those whose worker let its lease run out."""
    if seat.room <= 0:
        return []
    found = (
        select(workflow_tasks)
        .where(_of.lease_until_ms <= seat.now_ms)
        .order_by(_of.lease_until_ms)
        .limit(seat.room)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(found).all()
    if not rows:
        return []
    until = seat.now_ms + seat.task_lease_ms
    session.execute(
        update(workflow_tasks)
        .where(_of.execution_id == bindparam("b_id"), _of.serial == bindparam("b_serial"))
        .values(state=RUNNING, owner=seat.owner, lease_until_ms=until, epoch=_of.epoch + 1),
        [{"b_id": row.execution_id, "b_serial": row.serial} for row in rows],
    )
    return [
        ClaimedTask(
            row.execution_id,
            row.serial,
            row.scope,
            Service(row.service),
            Pattern(row.pattern),
            row.name,
            row.key,
            Document(read_json(row.payload), row.payload),
            row.epoch + 1,
        )
        for row in rows
    ]


def renew_tasks(session: Session, seat: Seat) -> None:
    """This worker still works on its tasks."""
    session.execute(
        update(workflow_tasks)
        .where(_of.owner == seat.owner, _of.state == RUNNING)
        .values(lease_until_ms=seat.now_ms + seat.task_lease_ms)
    )


def release_tasks(session: Session, owner: str) -> None:
    """A worker that stops gives its tasks to the others."""
    session.execute(
        update(workflow_tasks)
        .where(_of.owner == owner, _of.state == RUNNING)
        .values(state=READY, owner=None, lease_until_ms=0, epoch=_of.epoch + 1)
    )


def record_result(session: Session, task: ClaimedTask, answer: Answer) -> bool:
    """Keep what a worker's attempt gave; False when the task is not this worker's any more."""
    wake(session, task.execution_id)
    mine = (
        _of.execution_id == task.execution_id,
        _of.serial == task.serial,
        _of.epoch == task.epoch,
        _of.state == RUNNING,
    )
    if answer.kind is AnswerKind.SUBMITTED:
        # The token is out: only its hash stays.
        changed = (
            update(workflow_tasks)
            .where(*mine)
            .values(state=WAITING, payload=None, owner=None, lease_until_ms=None)
        )
    else:
        changed = (
            update(workflow_tasks)
            .where(*mine)
            .values(state=CLOSED, payload=None, owner=None, lease_until_ms=None)
        )
    if session.execute(changed).rowcount != 1:
        return False
    add_answer(session, task.execution_id, answer)
    return True


def close_tasks(
    session: Session, runs: Sequence[tuple[int, Run]], ended: Sequence[int], home: Home
) -> None:
    """Tasks whose answer is known or no longer wanted; their child executions are stopped."""
    closed = [
        {"b_id": number, "b_serial": serial}
        for number, run in runs
        for serial in run.orders.closed_tasks
    ]
    by_key = (_of.execution_id == bindparam("b_id"), _of.serial == bindparam("b_serial"))
    if closed:
        children.stop_children(session, [(one["b_id"], one["b_serial"]) for one in closed], home)
        session.execute(delete(workflow_tasks).where(*by_key, _of.token_hash.is_(None)), closed)
        session.execute(
            update(workflow_tasks)
            .where(*by_key)
            .values(state=CLOSED, payload=None, owner=None, lease_until_ms=None),
            closed,
        )
    if ended:
        close_all(session, ended, home)


def close_all(session: Session, execution_ids: Sequence[int], home: Home) -> None:
    """Every task of executions that have ended."""
    children.stop_children_of(session, execution_ids, home)
    of_these = _of.execution_id.in_(execution_ids)
    session.execute(delete(workflow_tasks).where(of_these, _of.token_hash.is_(None)))
    session.execute(
        update(workflow_tasks)
        .where(of_these, or_(_of.state != CLOSED, _of.payload.is_not(None)))
        .values(state=CLOSED, payload=None, owner=None, lease_until_ms=None)
    )


def tell_parent(session: Session, row: AnyRow, run: Run, home: Home) -> None:
    """A child execution has ended: its parent's task is answered, if it still waits."""
    if row.parent_id is None:
        return
    wake(session, row.parent_id)
    task = session.execute(
        select(workflow_tasks).where(
            _of.execution_id == row.parent_id,
            _of.serial == row.parent_task,
            _of.state == WAITING,
        )
    ).one_or_none()
    if task is None:
        return
    answer = children.answer_of(task, row, run, home)
    session.execute(
        update(workflow_tasks)
        .where(_of.execution_id == row.parent_id, _of.serial == row.parent_task)
        .values(state=CLOSED, payload=None)
    )
    add_answer(session, row.parent_id, answer)
