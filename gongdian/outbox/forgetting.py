"""Forgetting what a message said (消息内容清除): one-time codes once they are used or too old."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from gongdian.db import Session
from gongdian.outbox.holding import Selection, withdraw_messages
from gongdian.outbox.tables import messages

# What lists and timelines show; a secret field is masked in it from the beginning.
_SHOWN = ("title", "fields", "url")


def forget_content(session: Session, key: str, reason: str, now: datetime) -> None:
    """Withdraw a message that is not out yet, and erase its text and address for good.

    Its key, kind and timeline stay. A worker that is sending it right now does not come back.
    """
    withdraw_messages(session, Selection(key=key), reason, now)
    query = select(messages.c.id, messages.c.content).where(messages.c.key == key)
    for row in session.execute(query).all():
        kept = {name: row.content[name] for name in _SHOWN if name in row.content}
        session.execute(
            update(messages).where(messages.c.id == row.id).values(content=kept, address="")
        )
