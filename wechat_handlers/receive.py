"""The receiving edge (回调接收): from an HTTP request to a stored, answered callback.

An authentic message is stored within a second, or spooled to disk; only when both fail is the
answer 503, so that the platform tries again. Then an inline handler answers within 3 s.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from gongdian.errors import UpstreamError
from gongdian.inbox.service import (
    Arrived,
    StoredAnswer,
    finish_inline,
    is_stored,
    store_callback,
    stored_answer,
)
from gongdian.wiring import House
from wechat_handlers.gate import Gate, Received
from wechat_handlers.handling import Handler, Handling, queue_late_reply
from wechat_handlers.kept_replies import keep_reply, kept_reply
from wechat_handlers.replies import Reply
from wechat_handlers.router import Router
from wechat_handlers.spool import Spool
from wechat_handlers.wire import Event, Message

log = logging.getLogger("gongdian.callbacks")

STORE_LIMIT_S = 1.0
ANSWER_LIMIT_S = 3.0
_COMMIT_LIMIT_S = 1.0
_DATABASE_PAUSE_S = 1.0
_RETRY_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What the platform gets; ``outcome`` is counted (stored, again, spooled, refused)."""

    body: bytes
    content_type: str
    outcome: str


class _Slot:
    """Who may decide over a passive reply: the waiting request until it leaves, else nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False

    def close(self) -> bool:
        """True for the first caller only."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
            return not was_over


class Receiver:
    """Receives the callbacks of one account; request threads share it."""

    def __init__(self, house: House, gate: Gate, router: Router[Handler], spool: Spool) -> None:
        self._house = house
        self._gate = gate
        self._router = router
        self._spool = spool
        self._pool = ThreadPoolExecutor(
            2 * house.settings.web_threads + 8, thread_name_prefix="callback"
        )
        self._database_back_at = 0.0

    def close(self) -> None:
        """Let running handlers finish."""
        self._pool.shutdown(wait=True)

    def receive(self, received: Received) -> Answer:
        """Store, handle and answer one authentic callback; UpstreamError means: try again."""
        began = time.monotonic()
        message = received.message
        dedupe = message.dedupe_key(self._house.account)
        cached = self._house.answers.get(dedupe)
        if cached is not None:
            return self._sealed(received, kept_reply(cached), "again")
        rule = self._router.match(message)
        is_inline = rule is not None and rule.mode == "inline"
        arrived = Arrived(
            dedupe=dedupe,
            account=self._house.account,
            kind=kind_of(message),
            raw=received.raw,
            is_json=received.is_json,
            received_at=self._house.clock.now(),
            is_inline=is_inline,
        )
        is_new = self._store(arrived)
        if is_new is None and self._is_known(dedupe):
            is_new = False
        if is_new is None:
            self._spool.write(arrived)
            return self._sealed(received, None, "spooled")
        if not is_new:
            reply = self._wait_for_answer(dedupe, began) if is_inline else None
            return self._sealed(received, reply, "again")
        if not is_inline or rule is None:
            self._house.answers.put(dedupe, {})
            return self._sealed(received, None, "stored")
        reply = self._handle(rule.handler, dedupe, message, began)
        return self._sealed(received, reply, "stored")

    def _sealed(self, received: Received, reply: Reply | None, outcome: str) -> Answer:
        body, content_type = self._gate.seal(received, reply, self._house.clock.now())
        return Answer(body, content_type, outcome)

    def _store(self, arrived: Arrived) -> bool | None:
        """Whether it is new; None when the database did not take it within the limit."""
        if time.monotonic() < self._database_back_at:
            return None
        future = self._pool.submit(self._store_now, arrived)
        try:
            return future.result(timeout=STORE_LIMIT_S)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callback must not be lost
            # For a moment everybody goes to the spool: waiting in line would cost each a second.
            self._database_back_at = time.monotonic() + _DATABASE_PAUSE_S
            log.warning("callback_not_stored", extra={"detail": type(error).__name__})
            return None

    def _is_known(self, dedupe: bytes) -> bool:
        """SQLite can be read while somebody, say this callback's handler, keeps it from writing."""
        database = self._house.callback_database
        if not database.is_sqlite:
            return False
        try:
            with database.read() as session:
                return is_stored(session, dedupe)
        except UpstreamError:
            return False

    def _store_now(self, arrived: Arrived) -> bool:
        with self._house.callback_database.begin() as session:
            return store_callback(session, arrived)

    def _handle(
        self, handler: Handler, dedupe: bytes, message: Message, began: float
    ) -> Reply | None:
        slot = _Slot()
        future = self._pool.submit(self._handle_now, handler, dedupe, message, slot)
        wait([future], max(0.0, ANSWER_LIMIT_S - (time.monotonic() - began)))
        if not future.done() and slot.close():
            return None
        try:
            # One that won the race against the deadline is only committing.
            reply = future.result(timeout=_COMMIT_LIMIT_S)
        except Exception:
            log.exception("inline_failed")
            return None
        self._house.answers.put(dedupe, keep_reply(reply))
        return reply

    def _handle_now(
        self, handler: Handler, dedupe: bytes, message: Message, slot: _Slot
    ) -> Reply | None:
        """Handle in one transaction; a reply that nobody waits for any more goes out late."""
        now = self._house.clock.now()
        with self._house.database.begin() as session:
            handling = Handling(self._house, session, now, dedupe, message)
            reply = handler.one(handling)
            is_awaited = slot.close()
            if not is_awaited:
                queue_late_reply(handling, reply)
            finish_inline(session, dedupe, keep_reply(reply if is_awaited else None), now)
        return reply if is_awaited else None

    def _wait_for_answer(self, dedupe: bytes, began: float) -> Reply | None:
        """A retry of the platform: the same reply as the first request got, once it is there."""
        while time.monotonic() - began < ANSWER_LIMIT_S:
            try:
                with self._house.callback_database.read() as session:
                    answer: StoredAnswer = stored_answer(session, dedupe)
            except UpstreamError:
                return None
            if answer.is_done:
                return kept_reply(answer.reply)
            time.sleep(_RETRY_LOOK_S)
        return None


def kind_of(message: Message) -> str:
    """``text``, or ``event:subscribe``: what the inbox and the metrics file it under."""
    return f"event:{message.event}"[:80] if isinstance(message, Event) else message.msg_type[:80]
