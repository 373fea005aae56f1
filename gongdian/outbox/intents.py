"""Intents (意图): other effects outside, written in the caller's transaction; the relay performs.

A message row is itself the intent to send it; this table holds the rest, such as a
customer-service text that came too late for a passive reply.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from gongdian.alarms import raise_alarm
from gongdian.channels import refusal_action
from gongdian.db import Database, Session, insert_once
from gongdian.errors import DeliveryError, GongdianError, OutcomeUnknownError, UpstreamError
from gongdian.outbox.model import ALL_SENDING
from gongdian.outbox.switches import standing_stops
from gongdian.outbox.tables import intents
from gongdian.ports import RefusalAction

log = logging.getLogger("gongdian.intents")

PENDING, CLAIMED, DONE, FAILED = "pending", "claimed", "done", "failed"
EXPIRED, UNKNOWN = "expired", "unknown"
_LEASE = timedelta(seconds=60)
_MAX_ATTEMPTS = 6
_LONGEST_WAIT = timedelta(minutes=10)
# Refusals that every intent would meet alike: the quota, the address list, the secret.
_CHANNEL_REFUSALS = (RefusalAction.STOP_CHANNEL, RefusalAction.REFRESH_TOKEN)
_CHANNEL_WAIT = timedelta(minutes=5)
# The kinds that reach a person: the switch that stops all sending stops them too.
_SENDS = ("wechat_text",)
# The kinds whose second performance changes nothing: after a doubtful end they are tried again,
# and as long as they live: nobody else keeps the token of a waiting workflow.
IDEMPOTENT = frozenset({"workflow_start", "workflow_token"})

Performer = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent that this worker may perform now."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    fence: int
    attempts: int


def add_intent(
    session: Session,
    key: str,
    kind: str,
    payload: Mapping[str, Any],
    now: datetime,
    *,
    expires_at: datetime,
) -> bool:
    """Write an intent; False when its key was there before."""
    row = {
        "key": key,
        "kind": kind,
        "payload": dict(payload),
        "state": PENDING,
        "detail": "",
        "created_at": now,
        "not_before": now,
        "expires_at": expires_at,
    }
    return insert_once(session, intents, row)


def perform_intents(database: Database, performers: Mapping[str, Performer], now: datetime) -> int:
    """Claim one intent, perform it outside any transaction, settle it; returns how many (0 or 1).

    One at a time: what a killed worker had claimed can never be performed again, but for the
    kinds in ``IDEMPOTENT``. A performer's retryable error brings the intent back later;
    OutcomeUnknownError ends it as unknown, since what it does is not idempotent (where it is, it
    comes back too). A refusal that concerns the whole channel is no fault of the intent: it
    waits, and operators hear of it.
    """
    intent = database.run(lambda session: _claim(session, now))
    if intent is None:
        return 0
    end = _perform(intent, performers)
    try:
        database.run(lambda session: _settle(session, intent, end, now))
    except UpstreamError as error:  # its lease runs out
        log.warning("intent_not_settled", extra={"intent": intent.id, "detail": str(error)})
    return 1


def _claim(session: Session, now: datetime) -> Intent | None:
    columns = intents.c
    session.execute(
        update(intents)
        .where(columns.state == PENDING, columns.expires_at <= now)
        .values(state=EXPIRED, closed_at=now)
    )
    _end_leases(session, now)
    due = (columns.state == PENDING) & (columns.not_before <= now)
    if ALL_SENDING in standing_stops(session, now):
        due &= columns.kind.not_in(_SENDS)
    row = session.execute(
        select(intents)
        .where(due)
        .order_by(columns.not_before, columns.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    session.execute(
        update(intents)
        .where(columns.id == row.id, columns.state == PENDING)
        .values(state=CLAIMED, fence=columns.fence + 1, lease_until=now + _LEASE)
    )
    return Intent(row.id, row.kind, row.payload, row.fence + 1, row.attempts)


def _end_leases(session: Session, now: datetime) -> None:
    """Claims whose lease ran out: they may have been performed.

    What is idempotent comes back, though not for ever: it may be what kills its workers. Every
    claim counts the fence up, every end that was told the attempts: between them lie lost leases.
    """
    columns = intents.c
    lost = (columns.state == CLAIMED, columns.lease_until < now)
    session.execute(
        update(intents)
        .where(
            *lost,
            columns.kind.in_(IDEMPOTENT),
            columns.fence - columns.attempts < _MAX_ATTEMPTS,
        )
        .values(state=PENDING, lease_until=None)
    )
    session.execute(
        update(intents)
        .where(*lost)
        .values(state=UNKNOWN, detail="the worker's lease ran out", closed_at=now)
    )


@dataclass(frozen=True, slots=True)
class _End:
    """How a try ended; ``refusal`` names one that concerns the whole channel."""

    state: str
    detail: str = ""
    refusal: str = ""


def _perform(intent: Intent, performers: Mapping[str, Performer]) -> _End:
    performer = performers.get(intent.kind)
    if performer is None:
        return _End(FAILED, "nothing performs this kind")
    in_doubt = PENDING if intent.kind in IDEMPOTENT else UNKNOWN
    try:
        performer(intent.payload)
    except OutcomeUnknownError as error:
        return _End(in_doubt, str(error))
    except DeliveryError as error:
        if refusal_action(error) in _CHANNEL_REFUSALS:
            return _End(PENDING, str(error), error.code)
        return _End(PENDING if error.retryable else FAILED, str(error))
    except GongdianError as error:
        return _End(PENDING if error.retryable else FAILED, str(error))
    except Exception as error:
        log.exception("intent_crashed", extra={"intent": intent.id, "kind": intent.kind})
        return _End(in_doubt, type(error).__name__)
    return _End(DONE)


def _settle(session: Session, intent: Intent, end: _End, now: datetime) -> None:
    attempts = intent.attempts if end.refusal else intent.attempts + 1
    is_kept = intent.kind in IDEMPOTENT
    again = end.state == PENDING and (is_kept or attempts < _MAX_ATTEMPTS)
    wait = _CHANNEL_WAIT if end.refusal else _backoff(intent.attempts)
    if end.refusal:
        raise_alarm(session, end.refusal, f"微信接口返回错误 {end.refusal}，客服消息等待处理", now)
    elif end.state == PENDING and attempts >= _MAX_ATTEMPTS:
        what_now = "继续重试" if again else "已放弃"
        text = f"{intent.kind} 多次重试仍未成功，{what_now}：{end.detail}"
        raise_alarm(session, f"intent_failed_{intent.kind}", text, now)
    session.execute(
        update(intents)
        .where(
            intents.c.id == intent.id,
            intents.c.fence == intent.fence,
            or_(intents.c.state == CLAIMED, intents.c.state == UNKNOWN),
        )
        .values(
            state=end.state if end.state != PENDING or again else FAILED,
            detail=end.detail[:200],
            attempts=attempts,
            not_before=now + wait,
            closed_at=None if again else now,
        )
    )


def _backoff(attempts: int) -> timedelta:
    return min(timedelta(seconds=5 * 2 ** min(attempts, 10)), _LONGEST_WAIT)
