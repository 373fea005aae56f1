"""What the recipient did with a message (打开与答复): opened, answered; H5 pages call it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update

from gongdian.db import Session
from gongdian.outbox.model import MessageState
from gongdian.outbox.tables import messages
from gongdian.outbox.timeline import note_event


def mark_opened(session: Session, message_id: int, now: datetime) -> bool:
    """The card's page was opened by its recipient; True the first time."""
    changed = session.execute(
        update(messages)
        .where(messages.c.id == message_id, messages.c.opened_at.is_(None))
        .values(opened_at=now, next_step=None)
    )
    if changed.rowcount == 1:
        note_event(session, message_id, now, "opened", "")
        _end_what_waits(session, message_id, now)
    return changed.rowcount == 1


def mark_answered(session: Session, message_id: int, answer: str, now: datetime) -> bool:
    """The recipient answered on the page; the first answer stays (True when this was it)."""
    changed = session.execute(
        update(messages)
        .where(messages.c.id == message_id, messages.c.answered_at.is_(None))
        .values(answered_at=now, answer=answer, next_step=None)
    )
    if changed.rowcount == 1:
        note_event(session, message_id, now, "answered", answer)
    return changed.rowcount == 1


def _end_what_waits(session: Session, message_id: int, now: datetime) -> None:
    """They have read it: the further channel on which it waits is not used any more."""
    columns = messages.c
    waits = (MessageState.QUEUED.value, MessageState.HELD.value)
    session.execute(
        update(messages)
        .where(columns.id == message_id, columns.step > 0, columns.state.in_(waits))
        .values(
            state=MessageState.DELIVERED.value,
            reason="",
            closed_at=now,
            held_until=None,
            fence=columns.fence + 1,
        )
    )
