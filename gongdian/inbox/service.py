"""The inbox (收件箱): stores each callback once, keeps its answer, hands it to the worker.

The web edge calls ``store_callback`` and ``finish_inline``; the worker claims what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update

from gongdian.db import Session, change_one, insert_once
from gongdian.errors import ConflictError
from gongdian.inbox.tables import callbacks

NEW, DONE, FAILED = "new", "done", "failed"
INLINE_GRACE = timedelta(seconds=10)
_LEASE = timedelta(seconds=60)
_MAX_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Arrived:
    """An authentic callback; ``is_inline`` when the web edge handles it at once."""

    dedupe: bytes
    account: str
    kind: str
    raw: bytes
    is_json: bool
    received_at: datetime
    is_inline: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A stored callback that this worker handles now."""

    id: int
    dedupe: bytes
    account: str
    kind: str
    raw: bytes
    is_json: bool
    received_at: datetime
    fence: int
    attempts: int


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What is known of a callback's answer: ``is_done`` with None means no passive reply."""

    is_done: bool
    reply: Mapping[str, Any] | None


def store_callback(session: Session, arrived: Arrived) -> bool:
    """Store it; False when its dedupe key is there already (a retry of the platform)."""
    wait = INLINE_GRACE if arrived.is_inline else timedelta(0)
    return insert_once(
        session,
        callbacks,
        {
            "dedupe": arrived.dedupe,
            "account": arrived.account,
            "kind": arrived.kind,
            "raw": arrived.raw,
            "is_json": arrived.is_json,
            "received_at": arrived.received_at,
            "state": NEW,
            "not_before": arrived.received_at + wait,
        },
    )


def is_stored(session: Session, dedupe: bytes) -> bool:
    """Whether a callback with this dedupe key is there."""
    query = select(callbacks.c.id).where(callbacks.c.dedupe == dedupe)
    return session.execute(query).first() is not None


def stored_answer(session: Session, dedupe: bytes) -> StoredAnswer:
    """The answer of a stored callback, for a retry."""
    columns = callbacks.c
    row = session.execute(
        select(columns.state, columns.reply).where(columns.dedupe == dedupe)
    ).first()
    if row is None or row.state == NEW:
        return StoredAnswer(is_done=False, reply=None)
    return StoredAnswer(is_done=True, reply=row.reply or None)


def finish_inline(
    session: Session, dedupe: bytes, reply: Mapping[str, Any] | None, now: datetime
) -> None:
    """The web edge has handled it; ConflictError when the worker was first."""
    columns = callbacks.c
    change_one(
        session,
        update(callbacks)
        .where(columns.dedupe == dedupe, columns.state == NEW, columns.fence == 0)
        .values(state=DONE, reply=dict(reply or {}), done_at=now),
        "callback_taken",
    )


def claim_callbacks(session: Session, now: datetime, limit: int) -> list[Claimed]:
    """Claim due callbacks, oldest first; a claim that is not settled comes back in a minute."""
    columns = callbacks.c
    rows = session.execute(
        select(callbacks)
        .where(columns.state == NEW, columns.not_before <= now)
        .order_by(columns.not_before, columns.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if rows:
        session.execute(
            update(callbacks)
            .where(columns.id.in_([row.id for row in rows]))
            .values(fence=columns.fence + 1, not_before=now + _LEASE)
        )
    return [
        Claimed(
            id=row.id,
            dedupe=bytes(row.dedupe),
            account=row.account,
            kind=row.kind,
            raw=row.raw,
            is_json=row.is_json,
            received_at=row.received_at,
            fence=row.fence + 1,
            attempts=row.attempts,
        )
        for row in rows
    ]


def finish_claimed(session: Session, claimed: Sequence[Claimed], now: datetime) -> None:
    """Their handlers are done, in this transaction; ConflictError if another claim came between."""
    columns = callbacks.c
    statement = (
        update(callbacks)
        .where(
            columns.id == bindparam("b_id"),
            columns.state == NEW,
            columns.fence == bindparam("b_fence"),
        )
        .values(state=DONE, done_at=now)
    )
    rows = [{"b_id": one.id, "b_fence": one.fence} for one in claimed]
    if rows and session.execute(statement, rows).rowcount != len(rows):
        raise ConflictError("callback_taken")


def postpone_claimed(session: Session, one: Claimed, detail: str, now: datetime) -> bool:
    """Its handler failed: again later, at most six times; True when it is given up.

    What the database did take, though its answer to the commit was lost, stays done.
    """
    columns = callbacks.c
    is_over = one.attempts + 1 >= _MAX_ATTEMPTS
    changed = session.execute(
        update(callbacks)
        .where(columns.id == one.id, columns.state == NEW, columns.fence == one.fence)
        .values(
            state=FAILED if is_over else NEW,
            attempts=one.attempts + 1,
            detail=detail[:200],
            not_before=now + timedelta(seconds=10 * 2**one.attempts),
        )
    )
    return is_over and changed.rowcount == 1


def count_callbacks(session: Session) -> dict[str, int]:
    """How many stored callbacks stand in each state."""
    query = select(callbacks.c.state, func.count()).group_by(callbacks.c.state)
    return {row[0]: row[1] for row in session.execute(query)}


def prune_callbacks(session: Session, before: datetime, limit: int = 1000) -> int:
    """Delete callbacks from before an instant that are handled or given up (retention); returns
    how many."""
    columns = callbacks.c
    is_closed = columns.state.in_((DONE, FAILED))
    old = session.execute(
        select(columns.id).where(is_closed, columns.received_at < before).limit(limit)
    ).scalars()
    ids = old.all()
    if ids:
        session.execute(delete(callbacks).where(columns.id.in_(ids)))
    return len(ids)
