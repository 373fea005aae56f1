"""Short ways to queue, claim, settle and look; a WeChat port that plays a script. Tests use it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import select

from gongdian.accounts.service import mark_refused
from gongdian.adapters.wechat_api.errcodes import refusal, rule_of
from gongdian.clock import Clock
from gongdian.db import AnyRow, Database
from gongdian.outbox.claiming import ClaimRequest, claim_messages
from gongdian.outbox.delivery import Delivery, DeliveryParts
from gongdian.outbox.model import (
    Attempt,
    ClaimedMessage,
    Outcome,
    OutcomeKind,
    QueueMessage,
    ReceiptArrived,
    SendingPolicy,
    SettleReport,
    Stop,
)
from gongdian.outbox.queueing import Outbox, queue_message
from gongdian.outbox.rates import DatabaseRate
from gongdian.outbox.receipts import apply_receipts
from gongdian.outbox.senders import TemplateSender
from gongdian.outbox.settling import settle_attempts
from gongdian.outbox.sweeping import sweep
from gongdian.outbox.tables import message_attempts, message_events, messages
from gongdian.ports import Acceptance, TemplateSend
from gongdian.render.registry import Registry

ACCOUNT = "wxdemo0000000001"
OPENID = "oDemo00000000000000000000001"


@cache
def registry() -> Registry:
    """The shipped kinds and the sandbox account."""
    return Registry.load()


def an_outbox(**policy: Any) -> Outbox:
    """An outbox of the sandbox account; keywords change its policy."""
    return Outbox(SendingPolicy(account=ACCOUNT, **policy), registry(), "https://example.invalid")


def openid(number: int) -> str:
    """A made-up openid of the usual length."""
    return f"oDemo{number:023d}"


def command(occasion: str = "one#1", kind: str = "arrears_bill", **changes: Any) -> QueueMessage:
    """A message of a kind with its sample values; keywords change the command."""
    given: dict[str, Any] = {
        "flow": "arrears",
        "subject": "9900001203457",
        "occasion": occasion,
        "recipient": "c1",
        "openid": OPENID,
        "kind": kind,
        "values": registry().kind(kind).samples(),
    }
    return QueueMessage(**{**given, **changes})


def queue(database: Database, now: datetime, *occasions: str, **changes: Any) -> str:
    """Queue a message for each occasion; returns the last one's key."""
    outbox = changes.pop("outbox", None) or an_outbox()
    key = ""
    for occasion in occasions or ("one#1",):
        asked = command(occasion, **changes)
        queued = database.run(lambda session: queue_message(session, outbox, asked, now))  # noqa: B023
        key = queued.key
    return key


def claim(
    database: Database,
    now: datetime,
    *,
    wanted: int = 50,
    worker: str = "worker-1",
    policy: SendingPolicy | None = None,
    stops: dict[str, Stop] | None = None,
) -> list[ClaimedMessage]:
    """Claim as one worker does."""
    request, rules = ClaimRequest(worker, wanted), policy or an_outbox().policy
    return database.run(lambda session: claim_messages(session, request, rules, stops or {}, now))


def settle(
    database: Database,
    now: datetime,
    *ended: tuple[ClaimedMessage, Outcome],
    policy: SendingPolicy | None = None,
) -> SettleReport:
    """Settle a batch of claimed messages with how they ended."""
    rules = policy or an_outbox().policy
    batch = [Attempt(message, outcome, now, now) for message, outcome in ended]
    return database.run(lambda session: settle_attempts(session, batch, rules, now))


def accepted(msgid: str = "1001") -> Outcome:
    """The platform took it."""
    return Outcome(OutcomeKind.ACCEPTED, platform_msgid=msgid, rid="aa-bb")


def refused(errcode: int) -> Outcome:
    """The platform answered with an errcode, as the API client reports it."""
    rule = rule_of(errcode)
    return Outcome(
        OutcomeKind.REFUSED,
        code=f"wechat_{errcode}",
        errcode=errcode,
        detail=rule.english,
        rid="aa-bb",
        action=rule.action,
        is_permanent=rule.permanent,
        may_retry_once=rule.retry_once,
        resume=rule.resume,
    )


UNKNOWN = Outcome(OutcomeKind.UNKNOWN, detail="timed out")
NOT_SENT = Outcome(OutcomeKind.NOT_SENT, detail="no connection")


def one_sweep(
    database: Database, now: datetime, policy: SendingPolicy | None = None
) -> dict[str, int]:
    """One round of the sweep."""
    rules = policy or an_outbox().policy
    return database.run(lambda session: sweep(session, rules, now))


def receipt(
    msgid: str, at: datetime, status: str = "success", *, person: str = OPENID, no: int = 0
) -> ReceiptArrived:
    """A report of the platform; ``no`` tells two equal ones apart."""
    dedupe = hashlib.sha256(f"{msgid}|{at}|{status}|{person}|{no}".encode()).digest()
    return ReceiptArrived(dedupe, person, msgid, status, at)


def report(database: Database, *receipts: ReceiptArrived) -> int:
    """Apply receipts in one transaction."""
    return database.run(lambda session: apply_receipts(session, ACCOUNT, receipts))


def row_of(database: Database, key: str) -> AnyRow:
    """The message's row."""
    with database.read() as session:
        return session.execute(select(messages).where(messages.c.key == key)).one()


def state_of(database: Database, key: str) -> str:
    """The message's state."""
    with database.read() as session:
        query = select(messages.c.state).where(messages.c.key == key)
        return str(session.execute(query).scalar_one())


def attempts_of(database: Database, key: str) -> list[str]:
    """The outcomes of the message's attempts, oldest first."""
    query = (
        select(message_attempts.c.outcome)
        .join(messages, messages.c.id == message_attempts.c.message_id)
        .where(messages.c.key == key)
        .order_by(message_attempts.c.id)
    )
    with database.read() as session:
        return list(session.execute(query).scalars())


def events_of(database: Database, key: str) -> list[str]:
    """What happened to the message besides attempts, oldest first."""
    query = (
        select(message_events.c.what)
        .join(messages, messages.c.id == message_events.c.message_id)
        .where(messages.c.key == key)
        .order_by(message_events.c.id)
    )
    with database.read() as session:
        return list(session.execute(query).scalars())


Script = Callable[[TemplateSend], Acceptance]


@dataclass
class ScriptedWechat:
    """A WeChat port for sending: accepts with running numbers unless ``script`` says otherwise."""

    script: list[Script | Exception] = field(default_factory=list)
    sent: list[TemplateSend] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send_template(self, message: TemplateSend) -> Acceptance:
        with self._lock:
            self.sent.append(message)
            number = len(self.sent)
            step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        return step(message) if step else Acceptance(str(5000 + number), "cc-dd")

    def send_text(self, openid: str, text: str) -> None:
        with self._lock:
            self.texts.append((openid, text))

    def shown(self) -> list[str]:
        """The client message ids that reached the platform."""
        return [message.client_msg_id for message in self.sent]


def errcode(code: int, errmsg: str = "no") -> Exception:
    """What the API client raises for an errcode."""
    return refusal(code, errmsg)


@contextmanager
def a_relay(
    database: Database,
    wechat: ScriptedWechat,
    clock: Clock,
    *,
    concurrency: int = 4,
    per_second: int = 1000,
    **policy: Any,
) -> Iterator[Delivery]:
    """A relay over the scripted port; closed at the end."""
    parts = DeliveryParts(
        database=database,
        sender=TemplateSender(wechat),  # type: ignore[arg-type]  # only sending is scripted
        rate=DatabaseRate(database),
        clock=clock,
        policy=an_outbox(**policy).policy,
        on_refused=mark_refused,
        on_attempt=lambda attempt: None,
        concurrency=concurrency,
        per_second=per_second,
    )
    relay = Delivery(parts, "relay-1")
    try:
        yield relay
    finally:
        relay.close()
