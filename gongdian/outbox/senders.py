"""Senders (渠道发送): one claimed message through one channel; the relay calls them in threads.

A sender raises what its port raises; ``ended_by`` turns that into the end of an attempt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gongdian.channels import MailPort, MailSend, SmsPort, SmsSend, message_id_for, refusal_action
from gongdian.errors import (
    DeliveryError,
    OutcomeUnknownError,
    PlatformRefusalError,
    UpstreamError,
)
from gongdian.outbox.model import ClaimedMessage, Outcome, OutcomeKind
from gongdian.ports import TemplateSend, WechatPort


class Sender(Protocol):
    """Sends one message through its channel."""

    def send(self, message: ClaimedMessage) -> Outcome:
        """The accepted outcome; raises DeliveryError or UpstreamError for any other end."""


class TemplateSender:
    """WeChat template messages."""

    def __init__(self, port: WechatPort) -> None:
        self._port = port

    def send(self, message: ClaimedMessage) -> Outcome:
        """Send; the platform recognises a repetition by its client_msg_id for 10 minutes."""
        content = message.content
        acceptance = self._port.send_template(
            TemplateSend(
                openid=message.address,
                template_id=str(content["template_id"]),
                data=_texts(content["data"]),
                client_msg_id=message.client_msg_id,
                url=str(content.get("url", "")),
            )
        )
        return Outcome(OutcomeKind.ACCEPTED, platform_msgid=acceptance.msgid, rid=acceptance.rid)


@dataclass(frozen=True, slots=True)
class SmsSender:
    """Text messages; ``fen_per_segment`` is what one piece costs."""

    port: SmsPort
    sign_name: str
    fen_per_segment: int

    def send(self, message: ClaimedMessage) -> Outcome:
        """Send; the provider does not recognise repetitions."""
        content = message.content
        acceptance = self.port.send(
            SmsSend(
                phone=message.address,
                template_code=str(content["template_code"]),
                params=_texts(content["params"]),
                sign_name=self.sign_name,
                out_id=message.client_msg_id,
                text=str(content["text"]),
            )
        )
        return Outcome(
            OutcomeKind.ACCEPTED,
            platform_msgid=acceptance.biz_id,
            rid=acceptance.request_id,
            cost_fen=acceptance.segments * self.fen_per_segment,
        )


@dataclass(frozen=True, slots=True)
class MailSender:
    """Mails; a repeated one has the same Message-ID."""

    port: MailPort
    domain: str

    def send(self, message: ClaimedMessage) -> Outcome:
        """Send; accepted means that the next mail server has it."""
        content = message.content
        message_id = message_id_for(message.key, self.domain)
        acceptance = self.port.send(
            MailSend(
                to=message.address,
                subject=str(content["subject"]),
                text=str(content["text"]),
                html=str(content["html"]),
                message_id=message_id,
            )
        )
        digest = mail_digest(message_id)
        return Outcome(OutcomeKind.ACCEPTED, platform_msgid=digest, detail=acceptance.reply)


def mail_digest(message_id: str) -> str:
    """The part of our Message-IDs by which a returned mail finds its message; else empty."""
    found = re.fullmatch(r"<gd\.([0-9a-f]{32})@[^<>\s]+>", message_id)
    return found[1] if found else ""


def _texts(value: object) -> Mapping[str, str]:
    return value if isinstance(value, dict) else {}


def ended_by(error: DeliveryError | UpstreamError) -> Outcome:
    """The end of an attempt whose sender raised."""
    if isinstance(error, OutcomeUnknownError):
        return Outcome(OutcomeKind.UNKNOWN, detail=str(error))
    if isinstance(error, UpstreamError):
        return Outcome(OutcomeKind.NOT_SENT, detail=str(error))
    context: Mapping[str, Any] = error.context
    return Outcome(
        OutcomeKind.REFUSED,
        code=error.code,
        errcode=error.errcode if isinstance(error, PlatformRefusalError) else None,
        detail=_explained(error),
        rid=str(context.get("rid", "")),
        action=refusal_action(error),
        is_permanent=error.permanent,
        may_retry_once=bool(context.get("retry_once")),
        resume=str(context.get("resume", "")),
        is_recipient_limit=bool(context.get("only_recipient")),
        is_alarming=bool(context.get("alarm")),
    )


def _explained(error: DeliveryError) -> str:
    """What staff read first: the Chinese explanation, the field it is about, then the text."""
    field = f"（{error.context['field']}）" if "field" in error.context else ""
    return f"{error.context.get('explanation', '')}{field} {error.text}".strip()
