"""Messages with further channels, and the moves that contract tests make with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

from gongdian.db import Database
from gongdian.outbox.model import (
    CHANNEL_MAIL,
    CHANNEL_SMS,
    ClaimedMessage,
    FallbackStep,
    Priority,
    SendingPolicy,
)
from gongdian.outbox.queueing import Outbox
from gongdian.outbox.sweeping import sweep
from tests.factories import (
    ACCOUNT,
    accepted,
    an_outbox,
    claim,
    queue,
    row_of,
    settle,
    state_of,
)

PHONE, MAIL = "13800001111", "li@example.com"
SMS_STEP, MAIL_STEP = FallbackStep(CHANNEL_SMS, PHONE), FallbackStep(CHANNEL_MAIL, MAIL)
QUIET = (time(21, 30), time(8, 0))
WECHAT = SendingPolicy(account=ACCOUNT)
SMS = replace(WECHAT, channel=CHANNEL_SMS, unknown_window=timedelta(0))
MAILS = replace(SMS, channel=CHANNEL_MAIL)
LATE = timedelta(minutes=31)


def plain(kind: str, values: Mapping[str, str], url: str, token: str) -> dict[str, Any]:
    return {"text": kind, "fields": [["短信内容", kind]], "url": url}


def outbox(**policy: Any) -> Outbox:
    return replace(an_outbox(**policy), composers={CHANNEL_SMS: plain, CHANNEL_MAIL: plain})


def told(
    database: Database,
    now: datetime,
    *steps: FallbackStep,
    occasion: str = "one#1",
    priority: Priority = Priority.HIGH,
    **changes: Any,
) -> str:
    given = {"priority": priority, "fallbacks": steps or (SMS_STEP,), **changes}
    return queue(database, now, occasion, outbox=outbox(), **given)


def swept(
    database: Database, now: datetime, policy: SendingPolicy = WECHAT, sms: SendingPolicy = SMS
) -> None:
    others = {CHANNEL_SMS: sms, CHANNEL_MAIL: MAILS}
    database.run(lambda session: sweep(session, policy, now, others))


def claimed_sms(database: Database, now: datetime, **changes: Any) -> list[ClaimedMessage]:
    return claim(database, now, policy=replace(SMS, **changes))


def on_sms_after_silence(database: Database, now: datetime, *steps: FallbackStep) -> str:
    """A message that WeChat took and was silent about, now waiting to go as a text message."""
    key = told(database, now, *steps)
    [card] = claim(database, now)
    settle(database, now, (card, accepted("77")))
    swept(database, now + LATE)
    assert (row_of(database, key).channel, state_of(database, key)) == (CHANNEL_SMS, "queued")
    return key
