"""The sweep (清理): lost leases, expiries, ended holds, missing receipts; any worker may run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update

from gongdian.db import AnyRow, Session
from gongdian.outbox.fallback import switch_channels
from gongdian.outbox.holding import is_held
from gongdian.outbox.model import (
    FINAL_STATES,
    Attempt,
    ClaimedMessage,
    MessageState,
    SendingPolicy,
)
from gongdian.outbox.pending_receipts import match_by_client_id, match_by_time
from gongdian.outbox.policy import decide
from gongdian.outbox.settling import lost_outcome
from gongdian.outbox.tables import message_attempts, messages

_BATCH = 500
_QUEUED, _HELD = MessageState.QUEUED.value, MessageState.HELD.value
_SENDING, _ACCEPTED = MessageState.SENDING.value, MessageState.ACCEPTED.value


def sweep(
    session: Session,
    policy: SendingPolicy,
    now: datetime,
    others: Mapping[str, SendingPolicy] | None = None,
) -> dict[str, int]:
    """One round of at most 500 rows a subject; returns counts by subject.

    ``others`` are the policies of the channels besides the account's first.
    """
    by_channel = {**(others or {}), policy.channel: policy}
    return {
        "receipts_by_time": match_by_time(session, policy, now),
        "receipts_by_our_id": match_by_client_id(session, policy, now),
        # after the receipts: what has arrived goes nowhere else
        "switched": switch_channels(session, policy, others or {}, now),
        "lost": _recover_lost(session, policy, by_channel, now),
        "expired": _expire(session, policy, now),
        "unknown": _give_up_unknown(session, policy, now),
        "no_receipt": _give_up_receipts(session, policy, now),
        "released": _release_held(session, policy, now),
    }


def _pick(session: Session, account: str, *conditions: ColumnElement[bool]) -> Sequence[AnyRow]:
    query = select(messages).where(messages.c.account == account, *conditions)
    return session.execute(query.limit(_BATCH).with_for_update(skip_locked=True)).all()


def _recover_lost(
    session: Session,
    policy: SendingPolicy,
    by_channel: Mapping[str, SendingPolicy],
    now: datetime,
) -> int:
    """Messages whose worker is gone: nobody knows whether they were sent."""
    columns = messages.c
    rows = _pick(session, policy.account, columns.state == _SENDING, columns.lease_until < now)
    for row in rows:
        message = _as_claimed(row)
        attempt = Attempt(message, lost_outcome(), row.claimed_at, now)
        verdict = decide(message, attempt.outcome, now, by_channel.get(row.channel, policy))
        if row.withdraw_requested:
            verdict = replace(verdict, state=MessageState.UNKNOWN)
        elif verdict.state is MessageState.QUEUED and is_held(row, now):
            verdict = replace(verdict, state=MessageState.HELD)
        is_over = verdict.state in FINAL_STATES
        changed = session.execute(
            update(messages)
            .where(columns.id == row.id, columns.state == _SENDING, columns.fence == row.fence)
            .values(
                state=verdict.state.value,
                reason="worker_lost",
                fence=columns.fence + 1,
                claimed_by=None,
                lease_until=None,
                attempts=columns.attempts + 1,
                not_before=verdict.not_before or row.not_before,
                unknown_since=verdict.unknown_since,
                closed_at=now if is_over else None,
            )
        )
        if changed.rowcount == 1:
            session.execute(insert(message_attempts).values(**_lost_row(row, attempt)))
    return len(rows)


def _lost_row(row: AnyRow, attempt: Attempt) -> dict[str, Any]:
    return {
        "message_id": row.id,
        "channel": row.channel,
        "worker": row.claimed_by or "",
        "started_at": row.claimed_at,
        "ended_at": attempt.ended_at,
        "outcome": attempt.outcome.kind.value,
        "detail": attempt.outcome.detail,
    }


def _as_claimed(row: AnyRow) -> ClaimedMessage:
    return ClaimedMessage(
        id=row.id,
        key=row.key,
        kind=row.kind,
        channel=row.channel,
        address=row.address,
        address_hash=bytes(row.address_hash),
        content=row.content,
        client_msg_id=row.client_msg_id,
        fence=row.fence,
        worker=row.claimed_by or "",
        claimed_at=row.claimed_at,
        lease_until=row.lease_until,
        expires_at=row.expires_at,
        attempts=row.attempts,
        unknown_since=row.unknown_since,
    )


def _expire(session: Session, policy: SendingPolicy, now: datetime) -> int:
    columns = messages.c
    unsent = columns.state.in_((_QUEUED, _HELD))
    rows = _pick(session, policy.account, unsent, columns.expires_at <= now)
    return sum(
        _end(
            session,
            row,
            MessageState.EXPIRED if row.unknown_since is None else MessageState.UNKNOWN,
            "expired",
            now,
        )
        for row in rows
    )


def _give_up_unknown(session: Session, policy: SendingPolicy, now: datetime) -> int:
    """Past the platform's window a second try could show the message twice."""
    columns = messages.c
    too_late = columns.unknown_since <= now - policy.unknown_window
    rows = _pick(session, policy.account, columns.state.in_((_QUEUED, _HELD)), too_late)
    return sum(_end(session, row, MessageState.UNKNOWN, "unknown_too_long", now) for row in rows)


def _give_up_receipts(session: Session, policy: SendingPolicy, now: datetime) -> int:
    columns = messages.c
    too_late = columns.accepted_at < now - policy.receipt_timeout
    rows = _pick(session, policy.account, columns.state == _ACCEPTED, too_late)
    return sum(_end(session, row, MessageState.UNKNOWN, "no_receipt", now) for row in rows)


def _release_held(session: Session, policy: SendingPolicy, now: datetime) -> int:
    columns = messages.c
    rows = _pick(session, policy.account, columns.state == _HELD, columns.held_until <= now)
    released = 0
    for row in rows:
        changed = session.execute(
            update(messages)
            .where(columns.id == row.id, columns.state == _HELD)
            .values(state=_QUEUED, held_until=None)
        )
        released += changed.rowcount
    return released


def _end(session: Session, row: AnyRow, state: MessageState, reason: str, now: datetime) -> int:
    changed = session.execute(
        update(messages)
        .where(messages.c.id == row.id, messages.c.state == row.state)
        .values(state=state.value, reason=reason, closed_at=now)
    )
    return changed.rowcount
