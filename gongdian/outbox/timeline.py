"""Writing into a message's timeline (经过): what is no attempt; only the outbox calls it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert

from gongdian.db import Session
from gongdian.outbox.tables import message_events


def note_event(session: Session, message_id: int, at: datetime, what: str, detail: str) -> None:
    """Add an event to a message's timeline."""
    session.execute(
        insert(message_events).values(message_id=message_id, at=at, what=what, detail=detail[:200])
    )
