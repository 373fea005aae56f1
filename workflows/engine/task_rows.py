"""Rows of tasks (任务行): written with the history that orders them, claimed, renewed, closed.

States: ``ready`` (for any worker), ``running`` (leased by one), ``waiting`` (for a token, an
activity worker or a child execution), ``closed`` (kept so that a late token is known as late).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gongdian.columns import opened
from gongdian.db import AnyRow, Session
from gongdian.errors import InputError
from gongdian.workflow_tables import workflow_tasks
from workflows.engine import children, signals, statements
from workflows.engine.documents import Document, read_json
from workflows.engine.home import Home
from workflows.engine.orders import Answer, AnswerKind, TaskOrder
from workflows.engine.resources import Pattern, Service
from workflows.engine.run import Run
from workflows.engine.signals import add_answer, wake
from workflows.engine.statements import READY, RUNNING, WAITING
from workflows.engine.token_text import token_hash


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
    payload: Document | None  # None: it cannot be read
    epoch: int


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
        session.execute(statements.ADD_TASKS, rows)
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


def is_any_task_due(session: Session, seat: Seat) -> bool:
    """Whether a task waits for a worker, or the worker that had it is gone."""
    return session.execute(statements.ANY_TASK_DUE, _due(session, seat)).first() is not None


def _due(session: Session, seat: Seat) -> dict[str, int]:
    absurd = signals.absurd_lease(session, seat.now_ms, seat.task_lease_ms)
    return {"b_now": seat.now_ms, "b_absurd": absurd}


def claim_tasks(session: Session, seat: Seat) -> list[ClaimedTask]:
    """Take ready tasks, and those whose worker let its lease run out."""
    if seat.room <= 0:
        return []
    rows = session.execute(
        statements.CLAIMABLE_TASKS, {**_due(session, seat), "b_most": seat.room}
    ).all()
    if not rows:
        return []
    taken = {"n_owner": seat.owner, "n_until": seat.now_ms + seat.task_lease_ms}
    session.execute(
        statements.TAKE_TASKS,
        [{"b_id": row.execution_id, "b_serial": row.serial, **taken} for row in rows],
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
            _payload(row),
            row.epoch + 1,
        )
        for row in rows
    ]


def _payload(row: AnyRow) -> Document | None:
    try:
        text = opened(workflow_tasks.c.payload, row.payload)
        return Document(read_json(text), text)
    except (InputError, ValueError, TypeError, RecursionError):
        return None


def renew_tasks(
    session: Session, seat: Seat, tasks: Sequence[ClaimedTask]
) -> set[tuple[int, int, int]]:
    """This worker still works on these; the keys of those that are still its own.

    What it does not know of is left to run out.
    """
    until = seat.now_ms + seat.task_lease_ms
    values = [
        {"b_id": one.execution_id, "b_serial": one.serial, "b_epoch": one.epoch, "n_until": until}
        for one in tasks
    ]
    if not values:
        return set()
    session.execute(statements.RENEW_TASKS, values)
    mine = session.execute(statements.MY_TASKS, {"b_owner": seat.owner}).all()
    return {(row.execution_id, row.serial, row.epoch) for row in mine}


def release_tasks(session: Session, owner: str) -> None:
    """A worker that stops gives its tasks to the others."""
    session.execute(statements.RELEASE_TASKS, {"b_owner": owner})


def record_result(session: Session, task: ClaimedTask, answer: Answer) -> bool:
    """Keep what a worker's attempt gave; False when the task is not this worker's any more."""
    wake(session, task.execution_id)
    is_later = answer.kind is AnswerKind.SUBMITTED
    changed = statements.SUBMIT_TASK if is_later else statements.END_TASK
    key = {"b_id": task.execution_id, "b_serial": task.serial, "b_epoch": task.epoch}
    if session.execute(changed, key).rowcount != 1:
        return False
    add_answer(session, task.execution_id, answer)
    return True


def close_tasks(session: Session, runs: Sequence[Run], ended: Sequence[int], home: Home) -> None:
    """Tasks whose answer is known or no longer wanted; their child executions are stopped."""
    closed = [
        {"b_id": run.facts.id, "b_serial": serial}
        for run in runs
        for serial in run.orders.closed_tasks
    ]
    parents = {run.facts.id for run in runs if run.machine.has_children}
    if closed:
        waited = [(one["b_id"], one["b_serial"]) for one in closed if one["b_id"] in parents]
        children.stop_children(session, waited, home)
        dropped = session.execute(statements.DROP_TASKS, closed).rowcount
        if dropped != len(closed):  # some had tokens, which are to be known as too late
            session.execute(statements.CLOSE_TASKS, closed)
    if ended:
        children.stop_children_of(session, [one for one in ended if one in parents], home)
        session.execute(statements.DROP_ALL_TASKS, {"b_ids": ended})
        session.execute(statements.CLOSE_ALL_TASKS, {"b_ids": ended})


def tell_parents(session: Session, run: Run) -> None:
    """An execution has ended: every task that waits for it is answered."""
    waiting = session.execute(statements.WAITS_FOR_CHILD, {"b_child": run.facts.id}).all()
    for task in waiting:
        wake(session, task.execution_id)
        key = {"b_id": task.execution_id, "b_serial": task.serial}
        if session.execute(statements.CLOSE_WAITING, key).rowcount == 1:
            add_answer(session, task.execution_id, children.answer_of(task, run))
