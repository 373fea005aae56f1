"""Reads returned mails (退信): delivery status notifications of RFC 3464 and what they are about.

Pure: bytes in, a BounceOfMail out. Whoever collects the mailbox of the sender calls it.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.errors import MessageError
from email.message import EmailMessage, Message

from gongdian.channels import BounceOfMail

LARGEST_BOUNCE = 1 << 20
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_MESSAGE_ID = re.compile(r"<[^<>\s]{3,250}>")
_MOST_PARTS = 50


def parse_bounces(raw: bytes) -> list[BounceOfMail]:
    """One value for each recipient that a notification reports on as failed or delayed.

    Empty for anything that is no notification. ``is_permanent`` needs both the action ``failed``
    and a status of class 5; ``message_id`` is empty when the mail it is about is not enclosed.
    """
    try:
        message = email.message_from_bytes(raw[:LARGEST_BOUNCE], policy=email.policy.default)
    except (MessageError, ValueError, LookupError):
        return []
    parts = list(_parts(message))
    reports = [part for part in parts if part.get_content_type() == "message/delivery-status"]
    if not reports:
        return []
    message_id = _original_id(parts)
    return [bounce for report in reports for bounce in _bounces(report, message_id)]


def _parts(message: Message) -> Iterator[Message]:
    for number, part in enumerate(message.walk()):
        if number >= _MOST_PARTS:
            return
        yield part


def _bounces(report: Message, message_id: str) -> Iterator[BounceOfMail]:
    blocks = report.get_payload()
    if not isinstance(blocks, list):
        return
    for block in blocks:
        action, status = _field(block, "Action").lower(), _field(block, "Status")
        found = _STATUS.match(status)
        if action not in ("failed", "delayed") or found is None:
            continue
        yield BounceOfMail(
            message_id=message_id,
            recipient=_address(block),
            status=found.group(0),
            is_permanent=action == "failed" and status.startswith("5"),
            detail=_after_semicolon(_field(block, "Diagnostic-Code"))[:300],
        )


def _original_id(parts: list[Message]) -> str:
    """The Message-ID of the enclosed mail, or of its enclosed headers."""
    for part in parts:
        kind = part.get_content_type()
        text = ""
        if kind == "message/rfc822":
            enclosed = part.get_payload()
            if isinstance(enclosed, list) and enclosed:
                text = _field(enclosed[0], "Message-ID")
        elif kind in ("text/rfc822-headers", "message/global-headers"):
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                headers = email.message_from_bytes(content, policy=email.policy.compat32)
                text = _field(headers, "Message-ID")
        found = _MESSAGE_ID.search(text)
        if found:
            return found.group(0)
    return ""


def _field(block: object, name: str) -> str:
    """A header's text; broken headers count as missing."""
    if not isinstance(block, Message | EmailMessage):
        return ""
    try:
        return " ".join(str(block.get(name, "")).split())
    except (MessageError, ValueError, LookupError, AttributeError, IndexError):
        return ""


def _address(block: object) -> str:
    recipient = _field(block, "Original-Recipient") or _field(block, "Final-Recipient")
    return _after_semicolon(recipient).strip("<>")


def _after_semicolon(text: str) -> str:
    """``rfc822; li@example.cn`` -> ``li@example.cn``."""
    head, mark, rest = text.partition(";")
    return (rest if mark else head).strip()
