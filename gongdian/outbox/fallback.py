"""Fallback (备用渠道): when WeChat refuses or stays silent, the next channel gets the message.

One message stays one row with one final state; its channels are steps. A step is begun once:
the row moves on by a conditional update. The sweep calls ``switch_channels``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, false, not_, or_, select, true, update

from gongdian.db import AnyRow, Session, insert_once
from gongdian.outbox.costs import is_spent, is_used_up
from gongdian.outbox.model import (
    ALL_SENDING,
    CHANNEL_LABELS,
    CHANNEL_MAIL,
    CHANNEL_TEMPLATE,
    MessageState,
    Priority,
    SendingPolicy,
    Stop,
    channel_stop,
    kind_stop,
)
from gongdian.outbox.pending_receipts import word_may_come
from gongdian.outbox.policy import earliest_send, may_disturb
from gongdian.outbox.switches import standing_stops
from gongdian.outbox.tables import message_steps, messages
from gongdian.outbox.timeline import note_event

_BATCH = 200
MOST_STEPS = 5
_REFUSED = (MessageState.FAILED.value, MessageState.EXPIRED.value)

# How long a channel may leave a message undelivered, unless the step says otherwise.
_PATIENCE: dict[Priority, timedelta | None] = {
    Priority.CRITICAL: timedelta(minutes=2),
    Priority.HIGH: timedelta(minutes=30),
    Priority.NORMAL: timedelta(hours=4),
    Priority.LOW: None,
}


def switch_at(start: datetime, wait: timedelta | None, priority: Priority) -> datetime | None:
    """When a message that is still undelivered leaves its channel; None: only on a refusal."""
    patience = _PATIENCE[priority] if wait is None else wait
    return None if patience is None else start + patience


def switch_channels(
    session: Session, policy: SendingPolicy, others: Mapping[str, SendingPolicy], now: datetime
) -> int:
    """Move messages on whose channel failed or was silent too long; returns how many.

    While all sending is stopped nothing moves on: the channel that stands still is not to blame.
    """
    stops = standing_stops(session, now)
    if ALL_SENDING in stops:
        return 0
    columns = messages.c
    open_steps = (
        columns.account == policy.account,
        columns.next_step.in_(range(1, MOST_STEPS + 1)),
        columns.expires_at > now,
        or_(columns.held_until.is_(None), columns.held_until <= now),
    )
    policies = {**others, policy.channel: policy}
    moved = 0
    for states, condition in _reasons_to_move(session, policies, stops, now):
        query = select(messages).where(columns.state.in_(states), *open_steps, condition)
        rows = session.execute(query.limit(_BATCH).with_for_update(skip_locked=True)).all()
        moved += sum(_switch(session, row, policy, now) for row in rows)
    _close_steps(session, policy.account, now)
    return moved


def _reasons_to_move(
    session: Session,
    policies: Mapping[str, SendingPolicy],
    stops: Mapping[str, Stop],
    now: datetime,
) -> list[tuple[tuple[str, ...], ColumnElement[bool]]]:
    """Which states move on, and under what condition."""
    columns = messages.c
    is_late = columns.switch_at <= now
    # Nobody reports that a mail was read: silence says nothing.
    reports = columns.channel != CHANNEL_MAIL
    no_word = not_(word_may_come(policies[CHANNEL_TEMPLATE], now))
    # One that may have been shown waits for word first. One that nobody tried yet is not moved
    # because a worker was down or has much to do, only where its channel cannot be used.
    certain = columns.unknown_since.is_(None)
    tried = or_(columns.claimed_at.is_not(None), _is_blocked(session, policies, stops, now))
    return [
        (_REFUSED, true()),
        ((MessageState.UNKNOWN.value,), and_(is_late, columns.reason != "no_receipt", no_word)),
        ((MessageState.ACCEPTED.value,), and_(is_late, reports, no_word)),
        ((MessageState.QUEUED.value,), and_(is_late, certain, tried)),
    ]


def _is_blocked(
    session: Session,
    policies: Mapping[str, SendingPolicy],
    stops: Mapping[str, Stop],
    now: datetime,
) -> ColumnElement[bool]:
    """Whether a message's channel is stopped, for all or for its kind, or its class has used up
    its part of the day."""
    columns = messages.c
    blocked: list[ColumnElement[bool]] = [false()]
    for channel, policy in policies.items():
        prefix = kind_stop(policy.account, "", channel)
        kinds = [name.removeprefix(prefix) for name in stops if name.startswith(prefix)]
        if kinds:
            blocked.append(and_(columns.channel == channel, columns.kind.in_(kinds)))
        if channel_stop(channel, policy.account) in stops:
            blocked.append(columns.channel == channel)
            continue
        spent = [
            priority.value
            for priority in Priority
            if is_used_up(session, policy, now, priority)
            or is_spent(session, policy, now, priority)
        ]
        if spent:
            blocked.append(and_(columns.channel == channel, columns.priority.in_(spent)))
    return or_(*blocked)


def _close_steps(session: Session, account: str, now: datetime) -> None:
    """What ended and has expired goes nowhere any more."""
    columns = messages.c
    session.execute(
        update(messages)
        .where(
            columns.account == account,
            columns.state.in_((*_REFUSED, MessageState.UNKNOWN.value)),
            columns.next_step.in_(range(1, MOST_STEPS + 1)),
            columns.expires_at <= now,
        )
        .values(next_step=None)
    )


def _switch(session: Session, row: AnyRow, policy: SendingPolicy, now: datetime) -> int:
    steps = session.execute(
        select(message_steps)
        .where(message_steps.c.message_id == row.id, message_steps.c.step >= row.next_step)
        .order_by(message_steps.c.step)
    ).all()
    steps = [step for step in steps if _may_begin(row, step, policy, now)]
    because = (
        row.reason
        if row.state in (*_REFUSED, MessageState.UNKNOWN.value)
        else "not_delivered_in_time"
    )
    changed = session.execute(
        update(messages)
        .where(
            messages.c.id == row.id,
            messages.c.state == row.state,
            messages.c.fence == row.fence,
            messages.c.next_step == row.next_step,
        )
        .values(**_next_values(row, steps, policy, now))
    )
    if changed.rowcount != 1:
        return 0
    if steps:
        _remember_left(session, row)
        session.execute(
            update(message_steps)
            .where(message_steps.c.message_id == row.id, message_steps.c.step == steps[0].step)
            .values(begun_at=now, because=because[:64])
        )
        way = f"{CHANNEL_LABELS[row.channel]}→{CHANNEL_LABELS[steps[0].channel]}"
        detail = f"{way} {because} {row.receipt_status}".strip()
        note_event(session, row.id, now, "fallback", detail)
    return 1


def _may_begin(row: AnyRow, step: AnyRow, policy: SendingPolicy, now: datetime) -> bool:
    """Whether the person is still reachable there, before the message expires."""
    return bool(step.address) and _begins(row, step, policy, now) < row.expires_at


def _begins(row: AnyRow, step: AnyRow, policy: SendingPolicy, now: datetime) -> datetime:
    disturbs = may_disturb(step.channel, Priority(row.priority), row.passes_quiet)
    return earliest_send(now, disturbs, policy)


def _remember_left(session: Session, row: AnyRow) -> None:
    """What the channel that is left called the message: its report may still come."""
    values: dict[str, Any] = {"platform_msgid": row.platform_msgid}
    # One that was refused for certain gets no receipt.
    if row.step == 0 and (row.unknown_since or row.accepted_at):
        values["begun_at"] = row.unknown_since or row.claimed_at
    mine = {"message_id": row.id, "step": row.step}
    first = {
        "channel": row.channel,
        "content": {},
        "address": "",
        "address_hash": row.address_hash,
        "because": "",
    }
    if row.step > 0 or not insert_once(session, message_steps, {**mine, **first, **values}):
        session.execute(
            update(message_steps)
            .where(message_steps.c.message_id == row.id, message_steps.c.step == row.step)
            .values(**values)
        )


def _next_values(
    row: AnyRow, steps: Sequence[AnyRow], policy: SendingPolicy, now: datetime
) -> dict[str, Any]:
    if not steps:
        return {"next_step": None}
    step = steps[0]
    following = steps[1] if len(steps) > 1 else None
    priority = Priority(row.priority)
    begins = _begins(row, step, policy, now)
    wait = seconds(following.wait_s) if following is not None else None
    return {
        "step": step.step,
        "next_step": following.step if following is not None else None,
        "switch_at": switch_at(begins, wait, priority) if following else None,
        "channel": step.channel,
        "content": step.content,
        "address": step.address,
        "address_hash": step.address_hash,
        "platform_msgid": "",
        "state": MessageState.QUEUED.value,
        "reason": "",
        "not_before": begins,
        "fence": messages.c.fence + 1,
        "claimed_by": None,
        "claimed_at": None,
        "lease_until": None,
        "attempts": 0,
        "unknown_since": None,
        "budget_on": None,
        "accepted_at": None,
        "receipt_status": "",
        "receipt_at": None,
        "closed_at": None,
    }


def seconds(wait_s: int | None) -> timedelta | None:
    """A stored wait; None when the step leaves it to the priority."""
    return None if wait_s is None else timedelta(seconds=wait_s)
