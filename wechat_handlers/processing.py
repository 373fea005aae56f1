"""Handling stored callbacks (回调处理): queued ones, and inline ones that nobody answered in time.

The worker calls ``handle_stored`` in a loop.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from gongdian.alarms import raise_alarm
from gongdian.db import Session
from gongdian.errors import CallbackError, ConflictError, GongdianError, UpstreamError
from gongdian.inbox.service import (
    Claimed,
    claim_callbacks,
    finish_claimed,
    postpone_claimed,
)
from gongdian.wiring import House
from wechat_handlers.handling import Handler, Handling, queue_late_reply
from wechat_handlers.messages import parse_message
from wechat_handlers.router import Router
from wechat_handlers.wire import Message

log = logging.getLogger("gongdian.callbacks")

_BATCH = 500

Pair = tuple[Claimed, Message]


def handle_stored(house: House, router: Router[Handler], *, limit: int = _BATCH) -> int:
    """Claim and handle due callbacks; returns how many were claimed.

    Handlers that can take many get theirs in one transaction; when that fails, one by one.
    """
    now = house.clock.now()
    claimed = house.database.run(lambda session: claim_callbacks(session, now, limit))
    batches: dict[int, tuple[Handler, list[Pair]]] = {}
    for one in claimed:
        message = _parsed(house, one)
        if message is None:
            continue
        rule = router.match(message)
        if rule is not None and rule.handler.many is not None:
            batches.setdefault(id(rule.handler), (rule.handler, []))[1].append((one, message))
        else:
            _handle_one(house, rule.handler if rule else None, one, message)
    for handler, pairs in batches.values():
        _handle_many(house, handler, pairs)
    return len(claimed)


def _parsed(house: House, one: Claimed) -> Message | None:
    try:
        return parse_message(one.raw, one.is_json)
    except CallbackError as error:
        _postpone(house, one, error)
        return None


def _handle_many(house: House, handler: Handler, pairs: Sequence[Pair]) -> None:
    now = house.clock.now()

    def work(session: Session) -> None:
        if handler.many is not None:
            handler.many(house, session, [(one.dedupe, message) for one, message in pairs])
        finish_claimed(session, [one for one, _ in pairs], now)

    try:
        house.database.run(work)
    except Exception as error:  # noqa: BLE001 - an edge: one bad callback must not stop the rest
        log.warning("batch_failed", extra={"detail": str(error), "count": len(pairs)})
        for one, message in pairs:
            _handle_one(house, handler, one, message)


def _handle_one(house: House, handler: Handler | None, one: Claimed, message: Message) -> None:
    now = house.clock.now()

    def work(session: Session) -> None:
        if handler is not None:
            handling = Handling(house, session, now, one.dedupe, message)
            queue_late_reply(handling, handler.one(handling))
        finish_claimed(session, [one], now)

    try:
        house.database.run(work)
    except ConflictError as error:
        log.info("callback_taken", extra={"detail": str(error)})
    except UpstreamError as error:
        log.warning("handler_failed", extra={"kind": one.kind, "detail": str(error)})
        _postpone(house, one, error)
    except Exception as error:
        log.exception("handler_failed", extra={"kind": one.kind})
        _postpone(house, one, error)


def _postpone(house: House, one: Claimed, error: Exception) -> None:
    now = house.clock.now()
    code = error.code if isinstance(error, GongdianError) else type(error).__name__
    house.database.run(partial(_postpone_in, one=one, code=code, now=now))


def _postpone_in(session: Session, one: Claimed, code: str, now: datetime) -> None:
    if postpone_claimed(session, one, code, now):
        text = f"一条微信回调（{one.kind}）多次处理失败，已停止重试：{code}"
        raise_alarm(session, f"callback_failed:{one.kind}", text, now)
