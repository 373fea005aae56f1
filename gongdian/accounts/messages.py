"""The messages of the accounts (绑定消息): what a contact is asked and told; handlers call it."""

from __future__ import annotations

from datetime import datetime, timedelta

from gongdian.accounts.binding_model import CODE_LIFE, CodeMessage, DecidedRequest
from gongdian.accounts.model import Contact
from gongdian.clock import CHINA
from gongdian.db import Session
from gongdian.errors import ConflictError
from gongdian.ids import business_key
from gongdian.outbox.model import CHANNEL_SMS, FallbackStep, QueueMessage
from gongdian.outbox.queries import next_occasion
from gongdian.outbox.queueing import Outbox, Queued, queue_message
from gongdian.render.shorten import shorten_end

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


def tell_decision(
    session: Session, outbox: Outbox, contact: Contact, request: DecidedRequest, now: datetime
) -> Queued:
    """Tell a contact what the office decided about their 户号, or that it is bound."""
    command = QueueMessage(
        flow=FLOW,
        subject=SUBJECT,
        occasion=f"decided#{request.request_id}",
        recipient=contact.number,
        openid=contact.openid,
        kind="binding_done",
        values={
            "subject": f"绑定户号{request.customer_no}"[:20],
            "result": "已绑定" if request.is_approved else "未通过",
            "answered_at": _spoken(now),
            "tip": shorten_end(request.tip),
        },
    )
    return queue_message(session, outbox, command, now)


def send_code(session: Session, outbox: Outbox, message: CodeMessage, now: datetime) -> Queued:
    """Send a code to the phone on file, by text message alone: who holds that phone proves it."""
    command = QueueMessage(
        flow=FLOW,
        subject=SUBJECT,
        occasion=f"code#{message.request_id}",
        recipient=f"c{message.contact_id}",
        openid="",
        kind="binding_code",
        values=_code_values(message),
        expires_at=message.expires_at,
        fallbacks=(FallbackStep(CHANNEL_SMS, message.phone),),
    )
    return queue_message(session, outbox, command, now)


def code_message_key(request_id: int, contact_id: int) -> str:
    """The business key of the message that carries a request's code."""
    return business_key(FLOW, SUBJECT, f"code#{request_id}", f"c{contact_id}")


def check_can_send_codes(outbox: Outbox) -> None:
    """ConflictError ``no_sms`` where this installation sends no text messages with codes."""
    composer = outbox.composers.get(CHANNEL_SMS)
    samples = outbox.registry.kind("binding_code").samples()
    if composer is None or composer("binding_code", samples, "", "") is None:
        raise ConflictError("no_sms", "this installation sends no codes by text message")


def _code_values(message: CodeMessage) -> dict[str, str]:
    number = message.customer_no
    return {
        "code": message.code,
        "customer_no": f"{number[:2]}{'*' * max(len(number) - 6, 1)}{number[-4:]}",
        "minutes": str(CODE_LIFE // timedelta(minutes=1)),
    }


def _spoken(at: datetime) -> str:
    """``2026年11月21日 10:20``, China time."""
    local = at.astimezone(CHINA)
    return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"
