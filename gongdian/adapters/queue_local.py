"""The local queue (本地队列): a table that behaves as a standard SQS queue does, plus keys.

At least once, in no promised order. A key makes a message unique for ever: what sends again
after a crash sends nothing new.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select, update

from gongdian.adapters.queue_tables import queue_messages
from gongdian.clock import Clock
from gongdian.db import Database, Session, insert_once
from gongdian.errors import InputError
from gongdian.ports import QueuedMessage

_of = queue_messages.c
LARGEST_BODY = 262_144


class LocalQueue:
    """All queues of one installation."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def send(self, queue: str, body: str, *, key: str, attributes: Mapping[str, str]) -> str:
        """Put a message on a queue once for each key; its id. InputError when it is too large."""
        if not body or len(body.encode("utf-8", "surrogatepass")) > LARGEST_BODY:
            raise InputError("bad_message", f"a message has 1 to {LARGEST_BODY} bytes")
        return self._database.run(lambda session: self._send(session, queue, body, key, attributes))

    def _send(
        self, session: Session, queue: str, body: str, key: str, attributes: Mapping[str, str]
    ) -> str:
        now = self._clock.now()
        name = _name(queue)
        values = {
            "queue": name,
            "key": key,
            "body": body,
            "attributes": dict(attributes),
            "sent_at": now,
            "visible_at": now,
            "receives": 0,
        }
        insert_once(session, queue_messages, values)
        same = select(_of.id).where(_of.queue == name, _of.key == key)
        return str(session.execute(same).scalar_one())

    def receive(self, queue: str, *, most: int, hidden_for: timedelta) -> list[QueuedMessage]:
        """Take up to ``most`` messages; each is hidden from others for a while."""
        return self._database.run(
            lambda session: self._receive(session, _name(queue), most, hidden_for)
        )

    def _receive(
        self, session: Session, name: str, most: int, hidden_for: timedelta
    ) -> list[QueuedMessage]:
        now = self._clock.now()
        rows = session.execute(
            select(queue_messages)
            .where(_of.queue == name, _of.visible_at <= now)
            .order_by(_of.visible_at, _of.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        ).all()
        if rows:
            session.execute(
                update(queue_messages)
                .where(_of.id.in_([row.id for row in rows]))
                .values(visible_at=now + hidden_for, receives=_of.receives + 1)
            )
        return [
            QueuedMessage(str(row.id), row.body, row.attributes, f"{row.id}:{row.receives + 1}")
            for row in rows
        ]

    def delete(self, queue: str, receipt: str) -> None:
        """Forget a message's content; its key stays. An older receipt deletes nothing."""
        number, _, receives = receipt.partition(":")
        if not (number.isdigit() and receives.isdigit()):
            raise InputError("bad_receipt", "no receipt of this queue")
        done = (
            update(queue_messages)
            .where(_of.queue == _name(queue), _of.id == int(number), _of.receives == int(receives))
            .values(visible_at=None, body=None, attributes=None)
        )
        self._database.run(lambda session: session.execute(done))

    def prune(self, before: datetime, *, most: int = 500) -> int:
        """Forget the content of messages that nobody took since an instant; their keys stay."""

        def work(session: Session) -> int:
            old = select(_of.id).where(_of.body.is_not(None), _of.sent_at < before).limit(most)
            ids = session.execute(old).scalars().all()
            gone = update(queue_messages).where(_of.id.in_(ids))
            session.execute(gone.values(visible_at=None, body=None, attributes=None))
            return len(ids)

        return self._database.run(work)


def _name(queue: str) -> str:
    """A queue's name from its name, its ARN or its address."""
    return queue.rstrip("/").rpartition("/")[2].rpartition(":")[2]
