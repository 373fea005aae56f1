"""Superseding (取代): older messages of a topic give way; queueing and claiming call it.

A topic is one subject told to one person, such as when the power will be back.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from gongdian.db import AnyRow, Session
from gongdian.outbox.model import MessageState
from gongdian.outbox.tables import messages
from gongdian.outbox.timeline import note_event

_UNSENT = (MessageState.QUEUED.value, MessageState.HELD.value)
_SENDING = MessageState.SENDING.value


def supersede(session: Session, topic: str, key: str, now: datetime) -> None:
    """End every other message of the topic; what is out already goes to no further channel.

    One that is being sent right now is not tried again if this try fails.
    """
    columns = messages.c
    # Locked by number and in order: by topic two of them would wait for each other.
    ids = session.execute(select(columns.id).where(columns.topic == topic, columns.key != key))
    older = session.execute(
        select(columns.id, columns.state, columns.unknown_since)
        .where(columns.id.in_(ids.scalars().all()))
        .order_by(columns.id)
        .with_for_update()
    ).all()
    for row in older:
        if row.state in _UNSENT:
            end_superseded(session, row, now, key)
        elif row.state == _SENDING:
            request = {"withdraw_requested": True, "is_superseded": True, "next_step": None}
            session.execute(update(messages).where(columns.id == row.id).values(**request))
    session.execute(
        update(messages)
        .where(columns.topic == topic, columns.key != key, columns.next_step.is_not(None))
        .values(next_step=None)
    )


def end_superseded(session: Session, row: AnyRow, now: datetime, by: str = "") -> bool:
    """End one unsent message; False when it is not unsent any more. In doubt it ends unknown."""
    in_doubt = row.unknown_since is not None
    state = MessageState.UNKNOWN if in_doubt else MessageState.SUPERSEDED
    changed = session.execute(
        update(messages)
        .where(messages.c.id == row.id, messages.c.state.in_(_UNSENT))
        .values(state=state.value, reason="superseded", next_step=None, closed_at=now)
    )
    if changed.rowcount == 1:
        note_event(session, row.id, now, "superseded", by)
    return changed.rowcount == 1
