"""Receipts that could not be matched when they came (待对应回执); the sweep tries them again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from gongdian.db import AnyRow, Session
from gongdian.outbox.model import CHANNEL_TEMPLATE, MessageState, SendingPolicy
from gongdian.outbox.receipts import (
    NO_ID,
    WINDOW,
    FoundMessage,
    close_message,
    find_by_client_id,
    is_in_doubt,
    waits_for_word,
)
from gongdian.outbox.tables import message_steps, messages, pending_receipts
from gongdian.outbox.timeline import note_event

_ACCEPTED, _UNKNOWN = MessageState.ACCEPTED.value, MessageState.UNKNOWN.value
_SENDING = MessageState.SENDING.value


def match_by_client_id(session: Session, policy: SendingPolicy, now: datetime) -> int:
    """Receipts that came while their message was being sent, or its answer was being stored."""
    receipt, columns = pending_receipts.c, messages.c
    due = session.execute(
        select(pending_receipts)
        .join(messages, columns.client_msg_id == receipt.client_msg_id)
        .where(
            receipt.client_msg_id != "",
            receipt.account == policy.account,
            columns.account == policy.account,
            or_(columns.channel != receipt.channel, waits_for_word()),
        )
        .limit(500)
    ).all()
    matched = 0
    for one in due:
        person = bytes(one.address_hash)
        found = find_by_client_id(session, policy.account, one.channel, one.client_msg_id, person)
        if found is not None:
            matched += close_message(session, found, one.status, one.received_at)
        session.execute(delete(pending_receipts).where(receipt.id == one.id))
    return matched


def match_by_time(session: Session, policy: SendingPolicy, now: datetime) -> int:
    """Receipts without a usable MsgID: matched by person and time.

    Only WeChat's. Waits ``receipt_grace`` first, since an answer may still be on its way. The
    message that has the MsgID by now comes first; for MsgID 0 the oldest accepted one. A message
    whose outcome is unknown gets a receipt only when no other could be meant: else one that was
    never shown would count as delivered, while its next try tells for certain. A receipt with a
    MsgID waits for the end of the tries, since the next one may be told this MsgID. Other
    systems' receipts may be many, so only those that have a candidate are read.
    """
    columns = pending_receipts.c
    due = session.execute(
        select(pending_receipts)
        .where(
            columns.account == policy.account,
            columns.channel == CHANNEL_TEMPLATE,
            columns.received_at <= now - policy.receipt_grace,
            or_(_has_candidate(), columns.received_at < now - WINDOW),
        )
        .order_by(columns.received_at, columns.id)
        .limit(500)
        .with_for_update(skip_locked=True)
    ).all()
    matched = 0
    _forget_old(session, policy, now)
    for receipt in due:
        found = _find_by_time(session, receipt)
        if found is not None:
            matched += close_message(session, found, receipt.status, receipt.received_at)
            note_event(session, found.id, now, "receipt_by_time", receipt.status)
            if found.is_past:
                _use_up(session, found)
        if found is not None or receipt.received_at < now - WINDOW:
            session.execute(delete(pending_receipts).where(columns.id == receipt.id))
    return matched


def _use_up(session: Session, found: FoundMessage) -> None:
    """The card that was left has had its receipt: the next one is for another."""
    steps = message_steps.c
    session.execute(
        update(message_steps)
        .where(steps.message_id == found.id, steps.step == 0)
        .values(begun_at=None)
    )


def _forget_old(session: Session, policy: SendingPolicy, now: datetime) -> None:
    """Other channels' reports that nobody waits for."""
    columns = pending_receipts.c
    session.execute(
        delete(pending_receipts).where(
            columns.account == policy.account,
            columns.channel != CHANNEL_TEMPLATE,
            columns.received_at < now - WINDOW,
        )
    )


def _has_candidate() -> ColumnElement[bool]:
    receipt, columns = pending_receipts.c, messages.c
    own = and_(
        columns.person_hash == receipt.address_hash,
        columns.channel == CHANNEL_TEMPLATE,
        columns.account == receipt.account,
        _first_try().between(receipt.since, receipt.received_at),
        columns.receipt_at.is_(None),
    )
    steps = message_steps.c
    left = select(steps.message_id).where(
        steps.address_hash == receipt.address_hash,
        *_is_left_without_word(),
        steps.begun_at.between(receipt.since, receipt.received_at),
    )
    without_id = receipt.platform_msgid.in_(NO_ID)
    accepted = select(columns.id).where(
        own,
        columns.state == _ACCEPTED,
        without_id | (columns.platform_msgid == receipt.platform_msgid),
    )
    perhaps_shown = select(func.count()).select_from(messages).where(own, _may_be_shown())
    given_up = select(columns.id).where(own, columns.state == _UNKNOWN)
    return or_(
        accepted.correlate(pending_receipts).exists(),
        and_(without_id, left.correlate(pending_receipts).exists()),
        and_(
            perhaps_shown.correlate(pending_receipts).scalar_subquery() == 1,
            or_(without_id, given_up.correlate(pending_receipts).exists()),
        ),
    )


def _may_be_shown() -> ColumnElement[bool]:
    """In doubt, or being sent right now."""
    return or_(is_in_doubt(), messages.c.state == _SENDING)


def _first_try() -> ColumnElement[Any]:
    """When the platform may have shown a message for the first time."""
    return func.coalesce(messages.c.unknown_since, messages.c.claimed_at)


def _is_left_without_word() -> tuple[ColumnElement[bool], ...]:
    """The first channel of a message that has gone on, without a MsgID and a receipt."""
    steps = message_steps.c
    return (
        steps.step == 0,
        steps.channel == CHANNEL_TEMPLATE,
        steps.platform_msgid.in_(NO_ID),
        steps.begun_at.is_not(None),
    )


def _find_by_time(session: Session, receipt: AnyRow) -> FoundMessage | None:
    """The message that this receipt is for, or None while that is not sure."""
    columns = messages.c
    person, has_id = bytes(receipt.address_hash), receipt.platform_msgid not in NO_ID
    rows = session.execute(
        select(columns.id, columns.state, columns.platform_msgid, _first_try().label("first"))
        .where(
            columns.person_hash == person,
            columns.channel == CHANNEL_TEMPLATE,
            columns.account == receipt.account,
            _first_try().between(receipt.since, receipt.received_at),
            columns.receipt_at.is_(None),
            or_(columns.state == _ACCEPTED, _may_be_shown()),
        )
        .order_by(_first_try(), columns.id)
    ).all()
    accepted = [
        row
        for row in rows
        if row.state == _ACCEPTED and receipt.platform_msgid in (*NO_ID, row.platform_msgid)
    ]
    left = None if has_id else _oldest_left(session, receipt)
    if left is not None and not (accepted and accepted[0].first < left.begun_at):
        return FoundMessage(left.message_id, person, is_past=True)
    if accepted:
        return FoundMessage(accepted[0].id, person, is_past=False)
    in_doubt = [row for row in rows if row.state != _ACCEPTED]
    if len(in_doubt) != 1 or in_doubt[0].state == _SENDING:
        return None
    is_over = in_doubt[0].state == _UNKNOWN
    return FoundMessage(in_doubt[0].id, person, is_past=False) if is_over or not has_id else None


def _oldest_left(session: Session, receipt: AnyRow) -> AnyRow | None:
    steps = message_steps.c
    return session.execute(
        select(steps.message_id, steps.begun_at)
        .where(
            steps.address_hash == bytes(receipt.address_hash),
            *_is_left_without_word(),
            steps.begun_at.between(receipt.since, receipt.received_at),
        )
        .order_by(steps.begun_at, steps.message_id)
        .limit(1)
    ).first()


def word_may_come(policy: SendingPolicy, now: datetime) -> ColumnElement[bool]:
    """Whether a receipt without a MsgID lies here that may be for this message's person."""
    receipt = pending_receipts.c
    waiting = select(receipt.id).where(
        receipt.account == messages.c.account,
        receipt.address_hash == messages.c.person_hash,
        receipt.channel == CHANNEL_TEMPLATE,
        receipt.platform_msgid.in_(NO_ID),
        receipt.received_at > now - 2 * policy.receipt_grace,
    )
    return waiting.correlate(messages).exists()
