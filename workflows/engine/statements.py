"""The engine's statements (语句), built once: building them anew costs more than running them.

Each is executed with named values; ``b_...`` find rows, ``n_...`` are what is written.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, bindparam, case, delete, func, insert, or_, select, update

from gongdian.columns import as_stored
from gongdian.workflow_tables import (
    workflow_answers,
    workflow_executions,
    workflow_history,
    workflow_tasks,
    workflow_timers,
)
from workflows.engine.orders import Status

AT_ONCE = 0
READY, RUNNING, WAITING, CLOSED = "ready", "running", "waiting", "closed"

_run = workflow_executions.c
_task = workflow_tasks.c
_timer = workflow_timers.c
_answer = workflow_answers.c
_ids: BindParameter[Any] = bindparam("b_ids", expanding=True)
_now: BindParameter[Any] = bindparam("b_now")
_most: BindParameter[Any] = bindparam("b_most")
_free = {"owner": None, "lease_until_ms": None}

# -- executions -----------------------------------------------------------------------------------

# Due now, or leased for longer than anybody leases: the clock was put back since.
_is_due = or_(_run.wake_at_ms <= _now, _run.leased_until_ms > bindparam("b_absurd"))
CLAIMED_COLUMNS = (
    _run.id,
    _run.machine,
    _run.name,
    _run.version_id,
    _run.status,
    as_stored(_run.input),
    as_stored(_run.snapshot),
    _run.last_event,
    _run.epoch,
    _run.signals,
    _run.parent_id,
    _run.redrives,
    _run.started_at,
)
ANY_DUE = select(_run.id).where(_is_due).limit(1)
NEXT_WAKE = select(func.min(_run.wake_at_ms))
CLAIMABLE = (
    select(*CLAIMED_COLUMNS)
    .where(_is_due)
    .order_by(_run.wake_at_ms)
    .limit(_most)
    .with_for_update(skip_locked=True)
)
TAKE = (
    update(workflow_executions)
    .where(_run.id.in_(_ids))
    .values(
        epoch=_run.epoch + 1,
        owner=bindparam("n_owner"),
        leased_until_ms=bindparam("n_until"),
        wake_at_ms=bindparam("n_until"),
    )
)
RELEASE = (
    update(workflow_executions)
    .where(_run.owner == bindparam("b_owner"))
    .values(owner=None, leased_until_ms=None, wake_at_ms=AT_ONCE, epoch=_run.epoch + 1)
)
# Back to whoever comes first: the run that was made of them is not saved.
PUT_BACK = (
    update(workflow_executions)
    .where(_run.id.in_(_ids))
    .values(owner=None, leased_until_ms=None, wake_at_ms=AT_ONCE, epoch=_run.epoch + 1)
)
# Not begun in time: to whoever comes first.
GIVE_BACK = (
    update(workflow_executions)
    .where(_run.id == bindparam("b_id"), _run.epoch == bindparam("b_epoch"))
    .values(owner=None, leased_until_ms=None, wake_at_ms=AT_ONCE, epoch=_run.epoch + 1)
)
HELD = (
    select(_run.id, _run.epoch, _run.status, _run.signals)
    .where(_run.id.in_(_ids))
    .order_by(_run.id)
    .with_for_update()
)
SAVE = (
    update(workflow_executions)
    .where(_run.id == bindparam("b_id"), _run.epoch == bindparam("b_epoch"))
    .values(
        {
            name: bindparam(f"n_{name}", type_=_run[name].type)
            for name in (
                "status",
                "output",
                "error",
                "cause",
                "snapshot",
                "last_event",
                "wake_at_ms",
                "stopped_at",
            )
        }
        | {"owner": None, "leased_until_ms": None, "epoch": _run.epoch + 1}
    )
)
WAKE = (
    update(workflow_executions)
    .where(_run.id == bindparam("b_id"), _run.status == Status.RUNNING.value)
    .values(
        signals=_run.signals + 1,
        wake_at_ms=case((_run.leased_until_ms.is_(None), AT_ONCE), else_=_run.wake_at_ms),
    )
)
ADD_HISTORY = insert(workflow_history)

# -- timers and answers ---------------------------------------------------------------------------

FIRED = (
    select(workflow_timers)
    .where(_timer.execution_id.in_(_ids), _timer.due_at_ms <= _now)
    .order_by(_timer.due_at_ms)
)
FIRST_DUE = (
    select(_timer.execution_id, func.min(_timer.due_at_ms))
    .where(_timer.execution_id.in_(_ids))
    .group_by(_timer.execution_id)
)
ADD_TIMERS = insert(workflow_timers)
DROP_TIMERS = delete(workflow_timers).where(_timer.execution_id.in_(_ids))
DROP_SCOPE_TIMERS = delete(workflow_timers).where(
    _timer.execution_id == bindparam("b_id"), _timer.scope == bindparam("b_scope")
)
DROP_TIMER = delete(workflow_timers).where(
    _timer.execution_id == bindparam("b_id"),
    _timer.scope == bindparam("b_scope"),
    _timer.kind == bindparam("b_kind"),
    _timer.serial == bindparam("b_serial"),
)
ANSWERS = (
    select(
        _answer.id,
        _answer.execution_id,
        _answer.scope,
        _answer.serial,
        _answer.kind,
        as_stored(_answer.output),
        _answer.error,
        as_stored(_answer.cause),
        _answer.worker,
    )
    .where(_answer.execution_id.in_(_ids))
    .order_by(_answer.id)
)
ADD_ANSWER = insert(workflow_answers)
DROP_TOLD = delete(workflow_answers).where(_answer.id.in_(_ids))
DROP_ANSWERS = delete(workflow_answers).where(_answer.execution_id.in_(_ids))

# -- tasks ----------------------------------------------------------------------------------------

_by_key = (_task.execution_id == bindparam("b_id"), _task.serial == bindparam("b_serial"))
_mine = (*_by_key, _task.epoch == bindparam("b_epoch"), _task.state == RUNNING)
_of_these = _task.execution_id.in_(_ids)

_is_task_due = or_(_task.lease_until_ms <= _now, _task.lease_until_ms > bindparam("b_absurd"))
ANY_TASK_DUE = select(_task.serial).where(_is_task_due).limit(1)
CLAIMABLE_TASKS = (
    select(
        _task.execution_id,
        _task.serial,
        _task.scope,
        _task.service,
        _task.pattern,
        _task.name,
        _task.key,
        as_stored(_task.payload),
        _task.epoch,
    )
    .where(_is_task_due)
    .order_by(_task.lease_until_ms)
    .limit(_most)
    .with_for_update(skip_locked=True)
)
TAKE_TASKS = (
    update(workflow_tasks)
    .where(*_by_key)
    .values(
        state=RUNNING,
        owner=bindparam("n_owner"),
        lease_until_ms=bindparam("n_until"),
        epoch=_task.epoch + 1,
    )
)
RENEW_TASKS = update(workflow_tasks).where(*_mine).values(lease_until_ms=bindparam("n_until"))
MY_TASKS = select(_task.execution_id, _task.serial, _task.epoch).where(
    _task.owner == bindparam("b_owner"), _task.state == RUNNING
)
RELEASE_TASKS = (
    update(workflow_tasks)
    .where(_task.owner == bindparam("b_owner"), _task.state == RUNNING)
    .values(state=READY, owner=None, lease_until_ms=AT_ONCE, epoch=_task.epoch + 1)
)
ADD_TASKS = insert(workflow_tasks)
# The token is out: only its hash stays.
SUBMIT_TASK = update(workflow_tasks).where(*_mine).values(state=WAITING, payload=None, **_free)
END_TASK = update(workflow_tasks).where(*_mine).values(state=CLOSED, payload=None, **_free)
DROP_TASKS = delete(workflow_tasks).where(*_by_key, _task.token_hash.is_(None))
CLOSE_TASKS = update(workflow_tasks).where(*_by_key).values(state=CLOSED, payload=None, **_free)
DROP_ALL_TASKS = delete(workflow_tasks).where(_of_these, _task.token_hash.is_(None))
CLOSE_ALL_TASKS = (
    update(workflow_tasks)
    .where(_of_these, or_(_task.state != CLOSED, _task.payload.is_not(None)))
    .values(state=CLOSED, payload=None, **_free)
)
WAITS_FOR_CHILD = select(_task.execution_id, _task.serial, _task.scope, _task.pattern).where(
    _task.child_id == bindparam("b_child"), _task.state == WAITING
)
SET_CHILD = update(workflow_tasks).where(*_by_key).values(child_id=bindparam("n_child"))
CLOSE_WAITING = (
    update(workflow_tasks)
    .where(*_by_key, _task.state == WAITING)
    .values(state=CLOSED, payload=None, **_free)
)
