"""Receipts (回执): the platform's reports, matched to messages by MsgID, else by person and time.

Accounts with ``client_msg_id`` were seen to get MsgID 0, and a receipt may come before the
answer to the send call is stored: what cannot be matched yet waits in ``pending_receipts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from gongdian.db import Session, insert_once
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import (
    CHANNEL_MAIL,
    MessageState,
    ReceiptArrived,
    SendingPolicy,
)
from gongdian.outbox.tables import message_steps, messages, pending_receipts
from gongdian.outbox.timeline import note_event

_ACCEPTED, _UNKNOWN = MessageState.ACCEPTED.value, MessageState.UNKNOWN.value
_QUEUED, _HELD = MessageState.QUEUED.value, MessageState.HELD.value
_SENDING = MessageState.SENDING.value
_OPEN = (_ACCEPTED, _UNKNOWN, _QUEUED, _HELD)
_ENDED_ELSEWHERE = (MessageState.FAILED.value, MessageState.EXPIRED.value)
NO_ID = ("", "0")
# For so long after a message was sent its receipt may come.
WINDOW = timedelta(hours=48)


def apply_receipts(session: Session, account: str, receipts: Sequence[ReceiptArrived]) -> int:
    """Apply receipts of one account (up to 500); returns how many found their message at once.

    Running it again with the same receipts changes nothing.
    """
    by_id = _by_platform_msgid(session, account, [one.platform_msgid for one in receipts])
    matched = 0
    for one in receipts:
        person = address_hash(one.address)
        found = _pick(by_id, one.channel, one.platform_msgid, person)
        if found is None and one.client_msg_id:
            found = find_by_client_id(session, account, one.channel, one.client_msg_id, person)
        if found is not None:
            close_message(session, found, one.status, one.received_at)
            matched += 1
        else:
            _keep(session, account, person, one)
    return matched


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message that a receipt is for; ``is_past``: it has left the receipt's channel."""

    id: int
    address_hash: bytes
    is_past: bool


_Found = dict[tuple[str, str], list[FoundMessage]]


def _pick(by_id: _Found, channel: str, msgid: str, person: bytes) -> FoundMessage | None:
    """By channel and id, and by address; a mail's id is a secret of ours and enough."""
    for found in by_id.get((channel, msgid), []):
        if found.address_hash == person or channel == CHANNEL_MAIL:
            return found
    return None


def _by_platform_msgid(session: Session, account: str, msgids: Sequence[str]) -> _Found:
    wanted = sorted({msgid for msgid in msgids if msgid not in NO_ID})
    found: _Found = {}
    if not wanted:
        return found
    columns, steps = messages.c, message_steps.c
    here = select(columns.id, columns.channel, columns.platform_msgid, columns.address_hash).where(
        columns.account == account, columns.platform_msgid.in_(wanted)
    )
    left = select(
        steps.message_id.label("id"), steps.channel, steps.platform_msgid, steps.address_hash
    ).where(steps.platform_msgid.in_(wanted))
    for query, is_past in ((here, False), (left, True)):
        rows = session.execute(query).all()
        ours = _of_account(session, account, [row.id for row in rows]) if is_past else None
        for row in rows:
            if ours is None or row.id in ours:
                one = FoundMessage(row.id, bytes(row.address_hash), is_past)
                found.setdefault((row.channel, row.platform_msgid), []).append(one)
    return found


def _of_account(session: Session, account: str, ids: Sequence[int]) -> set[int]:
    columns = messages.c
    query = select(columns.id).where(columns.id.in_(ids), columns.account == account)
    return set(session.execute(query).scalars()) if ids else set()


def find_by_client_id(
    session: Session, account: str, channel: str, client_msg_id: str, person: bytes
) -> FoundMessage | None:
    """A message that waits for word of this channel, or has gone on to another one since."""
    columns, steps = messages.c, message_steps.c
    row = session.execute(
        select(columns.id, columns.channel, columns.address_hash, columns.state)
        .where(columns.client_msg_id == client_msg_id, columns.account == account)
        .where(or_(columns.channel != channel, waits_for_word()))
    ).first()
    if row is None:
        return None
    if row.channel == channel:
        known = bytes(row.address_hash)
    else:
        used = select(steps.address_hash).where(
            steps.message_id == row.id, steps.channel == channel, steps.step < messages.c.step
        )
        known = bytes(session.execute(used.where(columns.id == row.id)).scalar() or b"")
    return FoundMessage(row.id, known, row.channel != channel) if known == person else None


def _keep(session: Session, account: str, person: bytes, one: ReceiptArrived) -> None:
    insert_once(
        session,
        pending_receipts,
        {
            "dedupe": one.dedupe,
            "account": account,
            "address_hash": person,
            "platform_msgid": one.platform_msgid[:32],
            "channel": one.channel,
            "client_msg_id": one.client_msg_id[:32],
            "status": one.status[:64],
            "received_at": one.received_at,
            "since": one.received_at - WINDOW,
        },
    )


def close_message(session: Session, found: FoundMessage, status: str, at: datetime) -> bool:
    """Write a receipt into its message; the first receipt counts, others are noted.

    A channel that the message has left can still say that it arrived, also while the next one
    is at it; that it failed there is no news.
    """
    delivered = status == "success"
    if found.is_past and not delivered:
        note_event(session, found.id, at, "receipt_past", status)
        return False
    columns = messages.c
    is_open = (
        columns.state.in_((*_OPEN, _SENDING, *_ENDED_ELSEWHERE))
        if found.is_past
        else and_(columns.state.in_(_OPEN), columns.receipt_at.is_(None))
    )
    values = {
        "state": (MessageState.DELIVERED if delivered else MessageState.FAILED).value,
        "reason": "" if delivered else "receipt_" + status.removeprefix("failed:")[:50],
        "receipt_status": status[:64],
        "receipt_at": at,
        "closed_at": at,
        "claimed_by": None,
        "lease_until": None,
        "fence": columns.fence + 1,
    }
    if delivered:
        values["next_step"] = None
    changed = session.execute(
        update(messages).where(columns.id == found.id, is_open).values(**values)
    )
    if changed.rowcount != 1:
        note_event(session, found.id, at, "receipt_again", status)
    elif found.is_past:
        note_event(session, found.id, at, "receipt_past", status)
    return changed.rowcount == 1


def match_pending(
    session: Session, policy: SendingPolicy, msgids: Sequence[str], now: datetime
) -> None:
    """Receipts that came before the answer to their send call (just accepted ``msgids``)."""
    wanted = [msgid for msgid in msgids if msgid not in NO_ID]
    if not wanted:
        return
    columns = pending_receipts.c
    waiting = session.execute(
        select(pending_receipts).where(
            columns.account == policy.account, columns.platform_msgid.in_(wanted)
        )
    ).all()
    by_id = _by_platform_msgid(session, policy.account, [row.platform_msgid for row in waiting])
    for receipt in waiting:
        person = bytes(receipt.address_hash)
        found = _pick(by_id, receipt.channel, receipt.platform_msgid, person)
        if found is not None:
            close_message(session, found, receipt.status, receipt.received_at)
            session.execute(delete(pending_receipts).where(columns.id == receipt.id))


def is_in_doubt() -> ColumnElement[bool]:
    """The platform may or may not have shown it, and nobody is trying right now."""
    columns = messages.c
    return and_(
        columns.unknown_since.is_not(None),
        columns.state.in_((_QUEUED, _HELD, _UNKNOWN)),
        columns.reason != "no_receipt",  # accepted after all, and silent for two days
    )


def waits_for_word() -> ColumnElement[bool]:
    """In doubt, or taken by the channel, whose report is not in yet.

    A report and the answer to its send call may be stored at the same moment, neither
    transaction seeing the other: then nothing but our own id brings them together.
    """
    taken = (messages.c.state == _ACCEPTED) & messages.c.receipt_at.is_(None)
    return or_(is_in_doubt(), taken)
