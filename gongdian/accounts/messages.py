"""The messages of the accounts (绑定消息): what a contact is asked and told; handlers call it."""

from __future__ import annotations

from datetime import datetime, timedelta

from gongdian.accounts.model import Contact
from gongdian.clock import CHINA
from gongdian.db import Session
from gongdian.outbox.model import QueueMessage
from gongdian.outbox.queries import next_occasion
from gongdian.outbox.queueing import Outbox, Queued, queue_message

FLOW = "accounts"
SUBJECT = "binding"
REQUEST_LIFE = timedelta(hours=24)
BINDING_PAGE = "/h5/binding"


def ask_for_binding(session: Session, outbox: Outbox, contact: Contact, now: datetime) -> Queued:
    """Send the card that opens the binding page; an older unsent one is superseded."""
    occasion = next_occasion(session, FLOW, SUBJECT, contact.number, "request")
    command = QueueMessage(
        flow=FLOW,
        subject=SUBJECT,
        occasion=occasion,
        recipient=contact.number,
        openid=contact.openid,
        kind="binding_request",
        values={
            "subject": "绑定微信，接收用电服务通知",
            "requested_at": _spoken(now),
            "tip": "非本人操作请忽略，24小时内有效",
        },
        link_path=BINDING_PAGE,
        topic="request",
    )
    return queue_message(session, outbox, command, now)


def confirm_binding(session: Session, outbox: Outbox, contact: Contact, now: datetime) -> Queued:
    """Tell a contact that notices will come from now on."""
    occasion = next_occasion(session, FLOW, SUBJECT, contact.number, "done")
    command = QueueMessage(
        flow=FLOW,
        subject=SUBJECT,
        occasion=occasion,
        recipient=contact.number,
        openid=contact.openid,
        kind="binding_done",
        values={
            "subject": "绑定微信，接收用电服务通知",
            "result": "已绑定",
            "answered_at": _spoken(now),
            "tip": "回复“解绑”可随时停止接收",
        },
    )
    return queue_message(session, outbox, command, now)


def _spoken(at: datetime) -> str:
    """``2026年11月21日 10:20``, China time."""
    local = at.astimezone(CHINA)
    return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"
