"""What a handler of a callback gets and gives (处理器); the receiving edge and the worker call it.

A handler runs inside one transaction, together with marking its callback as done, so it takes
effect once. It returns a passive reply or None; a reply that comes too late for a passive
answer goes out as a customer-service text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gongdian.db import Session
from gongdian.outbox.intents import add_intent
from gongdian.wiring import House
from wechat_handlers.replies import Reply, TextReply
from wechat_handlers.wire import Message

# The platform takes customer-service texts for 48 hours after a person's message.
_LATE_REPLY_LIFE = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Handling:
    """One callback being handled, in the caller's transaction."""

    house: House
    session: Session
    now: datetime
    dedupe: bytes
    message: Any

    @property
    def openid(self) -> str:
        """Who sent it."""
        return str(self.message.from_user)


@dataclass(frozen=True, slots=True)
class Handler:
    """``one`` handles a callback; ``many``, when given, handles a batch in one transaction."""

    one: Callable[[Handling], Reply | None]
    many: Callable[[House, Session, Sequence[tuple[bytes, Message]]], None] | None = None


def queue_late_reply(handling: Handling, reply: Reply | None) -> None:
    """Send as a customer-service text what came too late for a passive answer."""
    if isinstance(reply, TextReply):
        add_intent(
            handling.session,
            f"late_reply:{handling.dedupe.hex()}",
            "wechat_text",
            {"openid": handling.openid, "text": reply.content},
            handling.now,
            expires_at=handling.now + _LATE_REPLY_LIFE,
        )
