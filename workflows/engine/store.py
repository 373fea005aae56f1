"""Claiming and saving executions (领取与存盘): the engine's side of the database.

Ownership is a lease with a fencing number: a claim takes ``epoch + 1``, a save is refused when
the row has another one. Whoever wants something of an execution (an answer, a stop) locks the
execution's row first, then its tasks: one order, so that no two wait for each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError
from gongdian.workflow_tables import (
    workflow_answers,
    workflow_executions,
    workflow_history,
    workflow_timers,
)
from workflows.engine import task_rows
from workflows.engine.documents import Document, read_json
from workflows.engine.home import Home
from workflows.engine.orders import Answer, AnswerKind, Facts, Status, TimerFired, TimerKind
from workflows.engine.run import Run, Surroundings
from workflows.engine.signals import stored_error
from workflows.engine.states import Machine

_of = workflow_executions.c
AT_ONCE = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """An execution that this worker may advance until its lease ends."""

    row: AnyRow
    epoch: int
    signals: tuple[Answer | TimerFired, ...]
    answer_ids: tuple[int, ...]


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


def is_any_due(session: Session, now_ms: int) -> bool:
    """Whether an execution waits for a worker."""
    found = select(_of.id).where(_of.wake_at_ms <= now_ms).limit(1)
    return session.execute(found).first() is not None


def next_wake(session: Session) -> int | None:
    """When the next execution falls due, milliseconds."""
    found: int | None = session.execute(select(func.min(_of.wake_at_ms))).scalar()
    return found


def claim(session: Session, owner: str, now_ms: int, lease_ms: int, most: int) -> list[Claim]:
    """Claim executions that are due, with what they are to be told."""
    found = (
        select(workflow_executions)
        .where(_of.wake_at_ms <= now_ms)
        .order_by(_of.wake_at_ms)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(found).all()
    if not rows:
        return []
    ids = [row.id for row in rows]
    until = now_ms + lease_ms
    session.execute(
        update(workflow_executions)
        .where(_of.id.in_(ids))
        .values(epoch=_of.epoch + 1, owner=owner, leased_until_ms=until, wake_at_ms=until)
    )
    answers = _answers(session, ids)
    fired = _fired(session, ids, now_ms)
    return [
        Claim(
            row,
            row.epoch + 1,
            (*(one for _, one in answers.get(row.id, ())), *fired.get(row.id, ())),
            tuple(number for number, _ in answers.get(row.id, ())),
        )
        for row in rows
    ]


def _answers(session: Session, ids: list[int]) -> dict[int, list[tuple[int, Answer]]]:
    of = workflow_answers.c
    found: dict[int, list[tuple[int, Answer]]] = {}
    rows = session.execute(select(workflow_answers).where(of.execution_id.in_(ids)).order_by(of.id))
    for row in rows:
        output = None if row.output is None else Document(read_json(row.output), row.output)
        answer = Answer(
            row.scope,
            row.serial,
            AnswerKind(row.kind),
            output,
            row.error,
            row.cause,
            row.worker,
        )
        found.setdefault(row.execution_id, []).append((row.id, answer))
    return found


def _fired(session: Session, ids: list[int], now_ms: int) -> dict[int, list[TimerFired]]:
    of = workflow_timers.c
    found: dict[int, list[TimerFired]] = {}
    rows = session.execute(
        select(workflow_timers)
        .where(of.execution_id.in_(ids), of.due_at_ms <= now_ms)
        .order_by(of.due_at_ms)
    )
    for row in rows:
        fired = TimerFired(row.scope, TimerKind(row.kind), row.serial)
        found.setdefault(row.execution_id, []).append(fired)
    return found


def release(session: Session, owner: str) -> None:
    """A worker that stops gives its executions to the others."""
    session.execute(
        update(workflow_executions)
        .where(_of.owner == owner)
        .values(owner=None, leased_until_ms=None, wake_at_ms=AT_ONCE, epoch=_of.epoch + 1)
    )


def load(claimed: Claim, machine: Machine, home: Home, around: Surroundings) -> Run:
    """The run of a claimed execution, where it stands; a new one has made its first event."""
    row = claimed.row
    facts = facts_of(row, home)
    run = Run(machine, facts, row.last_event, around)
    if row.snapshot is None:
        run.start()
    else:
        run.restore(json.loads(row.snapshot))
    return run


def facts_of(row: AnyRow, home: Home) -> Facts:
    """What is fixed for an execution, from its row."""
    return Facts(
        row.id,
        home.execution_arn(row.machine, row.name),
        row.name,
        home.machine_arn(row.machine),
        row.machine,
        home.role_arn,
        Document(read_json(row.input), row.input),
        in_ms(row.started_at),
        row.redrives,
    )


def in_ms(at: datetime) -> int:
    """An instant in milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def from_ms(at: int) -> datetime:
    """The inverse of ``in_ms``."""
    return datetime.fromtimestamp(at / 1000, UTC)


def save(session: Session, advanced: Sequence[Advanced], seat: task_rows.Seat, home: Home) -> Saved:
    """Store what several runs did, in the caller's transaction; stale runs are dropped whole."""
    saved = Saved()
    held = _held(session, advanced)
    saved.fenced = len(advanced) - len(held)
    if not held:
        return saved
    _append_history(session, held, saved)
    ended = [run.facts.id for one in held if (run := one.run).status is not Status.RUNNING]
    _forget_signals(session, held, ended)
    task_rows.close_tasks(session, [(one.run.facts.id, one.run) for one in held], ended, home)
    saved.mine = task_rows.insert_tasks(session, [one.run for one in held], seat, home)
    _insert_timers(session, held)
    _update(session, held, seat.now_ms)
    for one in held:
        if one.run.status is not Status.RUNNING:
            saved.closed += 1
            task_rows.tell_parent(session, one.claim.row, one.run, home)
    saved.stored = len(held)
    return saved


def _held(session: Session, advanced: Sequence[Advanced]) -> list[Advanced]:
    """Those whose lease nobody has taken over; their rows are locked."""
    ids = sorted(one.run.facts.id for one in advanced)
    if not ids:
        return []
    rows = session.execute(
        select(_of.id, _of.epoch, _of.status)
        .where(_of.id.in_(ids))
        .order_by(_of.id)
        .with_for_update()
    )
    epochs = {row.id: row.epoch for row in rows if row.status == Status.RUNNING.value}
    return [one for one in advanced if epochs.get(one.run.facts.id) == one.claim.epoch]


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
        session.execute(insert(workflow_history), chunks)


def _forget_signals(session: Session, held: Sequence[Advanced], ended: list[int]) -> None:
    """Delete what was told, and the timers that fired or are not wanted."""
    told = [number for one in held for number in one.claim.answer_ids]
    if told:
        session.execute(delete(workflow_answers).where(workflow_answers.c.id.in_(told)))
    of = workflow_timers.c
    if ended:
        session.execute(delete(workflow_timers).where(of.execution_id.in_(ended)))
        of_answers = workflow_answers.c.execution_id
        session.execute(delete(workflow_answers).where(of_answers.in_(ended)))
    scopes = [
        {"b_id": one.run.facts.id, "b_scope": scope}
        for one in held
        for scope in one.run.orders.cancelled
    ]
    if scopes:
        by_scope = delete(workflow_timers).where(
            of.execution_id == bindparam("b_id"), of.scope == bindparam("b_scope")
        )
        session.execute(by_scope, scopes)
    fired = [
        {"b_id": one.run.facts.id, "b_scope": s.scope, "b_kind": s.kind.value, "b_serial": s.serial}
        for one in held
        for s in one.claim.signals
        if isinstance(s, TimerFired)
    ]
    if fired:
        by_key = delete(workflow_timers).where(
            of.execution_id == bindparam("b_id"),
            of.scope == bindparam("b_scope"),
            of.kind == bindparam("b_kind"),
            of.serial == bindparam("b_serial"),
        )
        session.execute(by_key, fired)


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
        session.execute(insert(workflow_timers), rows)


def _update(session: Session, held: Sequence[Advanced], now_ms: int) -> None:
    """The rows of the executions: position or end, the next instant, the lease given back."""
    open_ids = [one.run.facts.id for one in held if one.run.status is Status.RUNNING]
    due = _first_due(session, open_ids)
    signals = _signals(session, open_ids)
    stopped = from_ms(now_ms)
    values = [_values(one, due, signals, stopped) for one in held]
    statement = (
        update(workflow_executions)
        .where(_of.id == bindparam("b_id"), _of.epoch == bindparam("b_epoch"))
        .values(
            {
                name: bindparam(f"n_{name}", type_=_of[name].type)
                for name in ("status", "output", "error", "cause", "snapshot", "last_event")
            }
            | {
                "wake_at_ms": bindparam("n_wake"),
                "stopped_at": bindparam("n_stopped", type_=_of.stopped_at.type),
                "owner": None,
                "leased_until_ms": None,
                "epoch": _of.epoch + 1,
            }
        )
    )
    result = session.execute(statement, values)
    if result.rowcount not in (len(values), -1):
        raise ConflictError("fenced", "an execution was taken over while it was saved")


def _values(
    one: Advanced, due: dict[int, int], signals: dict[int, int], stopped: datetime
) -> dict[str, Any]:
    run = one.run
    number = run.facts.id
    is_open = run.status is Status.RUNNING
    wake: int | None = None
    if is_open:
        is_ready = bool(run.ready) or signals[number] != one.claim.row.signals
        wake = AT_ONCE if is_ready else due.get(number)
    return {
        "b_id": number,
        "b_epoch": one.claim.epoch,
        "n_status": run.status.value,
        "n_output": None if run.output is None else run.output.text,
        "n_error": stored_error(run.error),
        "n_cause": run.cause,
        "n_snapshot": one.snapshot,
        "n_last_event": run.journal.last,
        "n_wake": wake,
        "n_stopped": None if is_open else stopped,
    }


def _first_due(session: Session, ids: list[int]) -> dict[int, int]:
    if not ids:
        return {}
    of = workflow_timers.c
    found = (
        select(of.execution_id, func.min(of.due_at_ms))
        .where(of.execution_id.in_(ids))
        .group_by(of.execution_id)
    )
    return {row[0]: row[1] for row in session.execute(found).all()}


def _signals(session: Session, ids: list[int]) -> dict[int, int]:
    if not ids:
        return {}
    found = select(_of.id, _of.signals).where(_of.id.in_(ids))
    return {row[0]: row[1] for row in session.execute(found).all()}
