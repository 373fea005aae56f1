"""Saving executions (存盘): history, position, tasks and timers of several runs at once.

All in the caller's transaction. A run whose execution was taken over is dropped whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gongdian.alarms import raise_alarm
from gongdian.db import Session
from gongdian.errors import ConflictError
from workflows.engine import statements, task_rows
from workflows.engine.home import Home
from workflows.engine.orders import AnswerKind, Status, TimerFired
from workflows.engine.resources import Service
from workflows.engine.run import Run
from workflows.engine.signals import stored_error
from workflows.engine.store import Claim, from_ms
from workflows.engine.task_rows import Seat


@dataclass(frozen=True, slots=True)
class Advanced:
    """A run that was advanced and is to be saved, with its position as text."""

    claim: Claim
    run: Run
    snapshot: str | None


def advanced(claimed: Claim, run: Run) -> Advanced:
    """What is to be saved of a run; of one that has succeeded no position is kept."""
    snapshot = None if run.status is Status.SUCCEEDED else run.snapshot()
    return Advanced(claimed, run, snapshot or None)


@dataclass(slots=True)
class Saved:
    """What a save did: how many were stored, lost to another worker; tasks to perform now."""

    stored: int = 0
    fenced: int = 0
    events: int = 0
    closed: int = 0
    mine: list[task_rows.ClaimedTask] = field(default_factory=list)


def save(session: Session, advanced: Sequence[Advanced], seat: Seat, home: Home) -> Saved:
    """Store what several runs did, in the caller's transaction; stale runs are dropped whole."""
    saved = Saved()
    held, woken = _held(session, advanced)
    saved.fenced = len(advanced) - len(held)
    if not held:
        return saved
    _append_history(session, held, saved)
    _forget_signals(session, held)
    # What ends in its first batch has no row of a task, a timer or a child yet.
    ended = [
        one.run.facts.id
        for one in held
        if one.run.status is not Status.RUNNING and one.claim.row.snapshot is not None
    ]
    runs = [one.run for one in held]
    task_rows.close_tasks(session, runs, ended, home)
    saved.mine = task_rows.insert_tasks(session, runs, seat, home)
    _insert_timers(session, held)
    _update(session, held, woken, seat.now_ms)
    for one in held:
        if one.run.status is not Status.RUNNING:
            saved.closed += 1
            task_rows.tell_parents(session, one.run)
    _tell_failures(session, held, from_ms(seat.now_ms))
    saved.stored = len(held)
    return saved


_REASONS = {Status.FAILED: "失败", Status.TIMED_OUT: "超时"}


def _tell_failures(session: Session, held: Iterable[Advanced], now: datetime) -> None:
    """Operators hear of executions that failed; a child's failure is its parent's affair."""
    failed = (Status.FAILED, Status.TIMED_OUT)
    latest = {
        one.claim.row.machine: one
        for one in held
        if one.run.status in failed and one.claim.row.parent_id is None
    }
    for machine, one in sorted(latest.items()):
        # An error's name may hold what somebody wrote: only the engine's own are repeated.
        error = one.run.error or ""
        reason = error if error.startswith("States.") else _REASONS[one.run.status]
        text = f"流程 {machine} 有实例失败，最近一个是 {one.claim.row.name}：{reason}"
        raise_alarm(session, f"workflow_failed:{machine}", text, now)


def _held(session: Session, advanced: Sequence[Advanced]) -> tuple[list[Advanced], set[int]]:
    """Those whose lease nobody has taken over, their rows locked; and which were woken since.

    A run that closed a task whose answer was accepted after its claim is put back: who answered
    was told that it counts. The next claim is told the answer first.
    """
    ids = sorted(one.run.facts.id for one in advanced)
    if not ids:
        return [], set()
    rows = {row.id: row for row in session.execute(statements.HELD, {"b_ids": ids})}
    held, woken = [], set()
    for one in advanced:
        row = rows[one.run.facts.id]
        if row.epoch == one.claim.epoch and row.status == Status.RUNNING.value:
            held.append(one)
            if row.signals != one.claim.row.signals:
                woken.add(row.id)
    overtaken = _overtaken(session, [one for one in held if one.run.facts.id in woken])
    if overtaken:
        session.execute(statements.PUT_BACK, {"b_ids": sorted(overtaken)})
    return [one for one in held if one.run.facts.id not in overtaken], woken


def _overtaken(session: Session, woken: Sequence[Advanced]) -> set[int]:
    """Executions whose run closed a task that was answered in the meantime."""
    closing = {one.run.facts.id: one for one in woken if _closes(one.run)}
    if not closing:
        return set()
    rows = session.execute(statements.ANSWERS, {"b_ids": sorted(closing)}).all()
    return {
        row.execution_id
        for row in rows
        if row.id not in closing[row.execution_id].claim.answer_ids
        and row.kind != AnswerKind.STOP.value
        and _is_closed(closing[row.execution_id].run, row.serial)
    }


def _closes(run: Run) -> bool:
    return bool(run.orders.closed_tasks) or run.status is not Status.RUNNING


def _is_closed(run: Run, serial: int) -> bool:
    return run.status is not Status.RUNNING or serial in run.orders.closed_tasks


def _append_history(session: Session, held: Iterable[Advanced], saved: Saved) -> None:
    chunks = []
    for one in held:
        journal = one.run.journal
        if journal.entries:
            saved.events += len(journal.entries)
            chunks.append(
                {
                    "execution_id": one.run.facts.id,
                    "first_event": journal.first,
                    "last_event": journal.last,
                    "events": journal.text(),
                }
            )
    if chunks:
        session.execute(statements.ADD_HISTORY, chunks)


def _forget_signals(session: Session, held: Sequence[Advanced]) -> None:
    """Delete what was told, and the timers that fired or are not wanted."""
    told = [number for one in held for number in one.claim.answer_ids]
    if told:
        session.execute(statements.DROP_TOLD, {"b_ids": told})
    ended = [one for one in held if one.run.status is not Status.RUNNING]
    timed = [one.run.facts.id for one in ended if one.claim.row.snapshot is not None]
    if timed:
        session.execute(statements.DROP_TIMERS, {"b_ids": timed})
    if ended:
        session.execute(statements.DROP_ANSWERS, {"b_ids": [one.run.facts.id for one in ended]})
    scopes = [
        {"b_id": one.run.facts.id, "b_scope": scope}
        for one in held
        for scope in one.run.orders.cancelled
    ]
    if scopes:
        session.execute(statements.DROP_SCOPE_TIMERS, scopes)
    fired = [
        {"b_id": one.run.facts.id, "b_scope": s.scope, "b_kind": s.kind.value, "b_serial": s.serial}
        for one in held
        for s in one.claim.signals
        if isinstance(s, TimerFired)
    ]
    if fired:
        session.execute(statements.DROP_TIMER, fired)


def _insert_timers(session: Session, held: Iterable[Advanced]) -> None:
    rows = [
        {
            "execution_id": one.run.facts.id,
            "scope": timer.scope,
            "kind": timer.kind.value,
            "serial": timer.serial,
            "due_at_ms": timer.due,
        }
        for one in held
        for timer in one.run.orders.timers.values()
    ]
    if rows:
        session.execute(statements.ADD_TIMERS, rows)


def _update(session: Session, held: Sequence[Advanced], woken: set[int], now_ms: int) -> None:
    """The rows of the executions: position or end, the next instant, the lease given back."""
    timed = [one.run.facts.id for one in held if _is_timed(one.run)]
    due = _first_due(session, timed)
    stopped = from_ms(now_ms)
    values = [_values(one, due, woken, stopped) for one in held]
    result = session.execute(statements.SAVE, values)
    if result.rowcount not in (len(values), -1):
        raise ConflictError("fenced", "an execution was taken over while it was saved")


def _values(
    one: Advanced, due: dict[int, int], woken: set[int], stopped: datetime
) -> dict[str, Any]:
    run = one.run
    number = run.facts.id
    is_open = run.status is Status.RUNNING
    wake: int | None = None
    if is_open:
        # A child that was started now has been answered in this same transaction.
        is_ready = bool(run.ready) or number in woken or _starts_child(run)
        wake = statements.AT_ONCE if is_ready else due.get(number)
    return {
        "b_id": number,
        "b_epoch": one.claim.epoch,
        "n_status": run.status.value,
        "n_output": None if run.output is None else run.output.text,
        "n_error": stored_error(run.error),
        "n_cause": run.cause,
        "n_snapshot": one.snapshot,
        "n_last_event": run.journal.last,
        "n_wake_at_ms": wake,
        "n_stopped_at": None if is_open else stopped,
    }


def _starts_child(run: Run) -> bool:
    return any(order.service is Service.CHILD for order in run.orders.tasks.values())


def _is_timed(run: Run) -> bool:
    """Whether timers may stand for a run that goes on."""
    if run.status is not Status.RUNNING:
        return False
    return run.machine.timeout is not None or any(scope.timed for scope in run.scopes.values())


def _first_due(session: Session, ids: list[int]) -> dict[int, int]:
    if not ids:
        return {}
    rows = session.execute(statements.FIRST_DUE, {"b_ids": ids}).all()
    return {row[0]: row[1] for row in rows}
