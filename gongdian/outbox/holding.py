"""Holding and withdrawing (暂停与撤回) messages that are not sent yet; services call it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update

from gongdian.db import AnyRow, Session
from gongdian.errors import InputError
from gongdian.outbox.model import MessageState
from gongdian.outbox.tables import message_steps, messages
from gongdian.outbox.timeline import note_event

_QUEUED, _HELD = MessageState.QUEUED.value, MessageState.HELD.value
_SENDING = MessageState.SENDING.value
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
columns = messages.c


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages: by key, flow, subject, recipient or person; at least one is given."""

    key: str = ""
    flow: str = ""
    subject: str = ""
    person_hash: bytes = b""
    recipient: str = ""


def hold_messages(
    session: Session, chosen: Selection, reason: str, until: datetime | None, now: datetime
) -> int:
    """Hold messages until an instant or until released; returns how many.

    One that is being sent is held if it comes back; one that is out goes to no further channel.
    Of several holds of a message the latest end counts.
    """
    held = 0
    _lock(session, chosen)
    for row in _choose(session, chosen, (_QUEUED,)):
        held += _change(
            session, row.id, (_QUEUED,), {"state": _HELD, "held_until": until}, now, "held", reason
        )
    for row in _held_until(session, chosen, columns.state == _HELD):
        if row.held_until is not None and (until is None or until > row.held_until):
            held += _change(session, row.id, (_HELD,), {"held_until": until}, now, "held", reason)
    # What is on its way or out is not in a state of its own: NULL there means that it is not held.
    end = until or _FOR_EVER
    others = or_(columns.state == _SENDING, columns.next_step.is_not(None))
    for row in _held_until(session, chosen, others & columns.state.not_in((_QUEUED, _HELD))):
        if row.held_until is None or end > row.held_until:
            held += _change(session, row.id, (row.state,), {"held_until": end}, now, "held", reason)
    return held


def change_end(session: Session, chosen: Selection, until: datetime | None, now: datetime) -> int:
    """Of several holds one has ended: what is held waits for the others now; how many changed."""
    _lock(session, chosen)
    changed = 0
    out = or_(columns.state == _SENDING, columns.next_step.is_not(None))
    held = or_(columns.state == _HELD, out & columns.held_until.is_not(None))
    for row in _held_until(session, chosen, held):
        end = until if row.state == _HELD else until or _FOR_EVER
        if row.held_until != end:
            changed += _change(
                session, row.id, (row.state,), {"held_until": end}, now, "held", "end changed"
            )
    return changed


def release_messages(session: Session, chosen: Selection, now: datetime) -> int:
    """Queue held messages again, and let what is out go on; returns how many."""
    released = 0
    for row in _choose(session, chosen, (_HELD,)):
        values = {"state": _QUEUED, "held_until": None}
        released += _change(session, row.id, (_HELD,), values, now, "released", "")
    held = select(columns.id, columns.state).where(
        *_conditions(chosen), columns.held_until.is_not(None)
    )
    for row in session.execute(held).all():
        released += _change(
            session, row.id, (row.state,), {"held_until": None}, now, "released", ""
        )
    return released


def is_held(row: AnyRow, now: datetime) -> bool:
    """Whether a message that comes back from sending is held."""
    return row.held_until is not None and row.held_until > now


def withdraw_messages(session: Session, chosen: Selection, reason: str, now: datetime) -> int:
    """Withdraw what is not with the platform yet; returns how many ended at once.

    A message whose outcome is unknown ends as unknown; one being sent is withdrawn if its
    attempt fails.
    """
    ended = 0
    # All of them are locked at once: one that comes back from sending meanwhile must not escape.
    # The fallback first: what is with the platform must not go on to another channel meanwhile.
    end_fallback(session, chosen)
    rows = _choose(session, chosen, (_QUEUED, _HELD, _SENDING), is_locked=True)
    for row in rows:
        if row.state == _SENDING:
            request = {"withdraw_requested": True, "next_step": None}
            _change(session, row.id, (_SENDING,), request, now, "withdraw_requested", reason)
            continue
        doubtful = row.unknown_since is not None
        state = MessageState.UNKNOWN if doubtful else MessageState.WITHDRAWN
        values = {
            "state": state.value,
            "reason": reason[:64],
            "closed_at": now,
            "next_step": None,
        }
        ended += _change(session, row.id, (_QUEUED, _HELD), values, now, "withdrawn", reason)
    return ended


def end_fallback(session: Session, chosen: Selection) -> None:
    """No further channel for messages that are with the platform or have ended there."""
    session.execute(
        update(messages)
        .where(*_conditions(chosen), messages.c.next_step.is_not(None))
        .values(next_step=None)
    )


def erase_addresses(session: Session, person_hash: bytes) -> None:
    """Forget a person's addresses on every channel; call it after withdrawing their messages.

    The worker that is sending one right now has the address in memory and does not come back.
    """
    theirs = select(messages.c.id).where(messages.c.person_hash == person_hash)
    ids = session.execute(theirs).scalars().all()
    session.execute(
        update(message_steps).where(message_steps.c.message_id.in_(ids)).values(address="")
    )
    session.execute(
        update(messages).where(messages.c.person_hash == person_hash).values(address="")
    )


def _lock(session: Session, chosen: Selection) -> None:
    """Keep them from going on to another channel until the transaction ends."""
    ids = session.execute(select(messages.c.id).where(*_conditions(chosen))).scalars().all()
    in_order = select(messages.c.id).where(messages.c.id.in_(ids)).order_by(messages.c.id)
    session.execute(in_order.with_for_update()).all()


def drop_address(session: Session, person_hash: bytes, address_hash: bytes, now: datetime) -> None:
    """A person's address on a further channel is not theirs any more, or not wanted: nothing
    goes there, what waits there goes on to the next channel."""
    theirs = select(messages.c.id).where(messages.c.person_hash == person_hash)
    steps = message_steps.c
    session.execute(
        update(message_steps)
        .where(
            steps.message_id.in_(session.execute(theirs).scalars().all()),
            steps.address_hash == address_hash,
        )
        .values(address="")
    )
    waiting = select(columns.id).where(
        columns.person_hash == person_hash,
        columns.address_hash == address_hash,
        columns.step > 0,
        columns.state.in_((_QUEUED, _HELD)),
        columns.unknown_since.is_(None),
    )
    for message_id in session.execute(waiting).scalars().all():
        ended = {"state": MessageState.FAILED.value, "reason": "channel_off", "closed_at": now}
        _change(session, message_id, (_QUEUED, _HELD), ended, now, "channel_off", "")


def _held_until(
    session: Session, chosen: Selection, which: ColumnElement[bool]
) -> Sequence[AnyRow]:
    query = select(columns.id, columns.state, columns.held_until)
    return session.execute(query.where(*_conditions(chosen), which).order_by(columns.id)).all()


def _choose(
    session: Session, chosen: Selection, states: Sequence[str], *, is_locked: bool = False
) -> Sequence[AnyRow]:
    query = select(columns.id, columns.state, columns.unknown_since)
    query = query.where(*_conditions(chosen), columns.state.in_(states)).order_by(columns.id)
    return session.execute(query.with_for_update() if is_locked else query).all()


def _conditions(chosen: Selection) -> list[ColumnElement[bool]]:
    given = {
        messages.c.key: chosen.key,
        messages.c.flow: chosen.flow,
        messages.c.subject: chosen.subject,
        messages.c.person_hash: chosen.person_hash,
        messages.c.recipient: chosen.recipient,
    }
    conditions = [column == value for column, value in given.items() if value]
    if not conditions:
        raise InputError("empty_selection", "say which messages")
    return conditions


def _change(
    session: Session,
    message_id: int,
    states: Sequence[str],
    values: dict[str, Any],
    now: datetime,
    what: str,
    detail: str,
) -> int:
    changed = session.execute(
        update(messages)
        .where(messages.c.id == message_id, messages.c.state.in_(states))
        .values(**values)
    ).rowcount
    if changed:
        note_event(session, message_id, now, what, detail)
    return changed
