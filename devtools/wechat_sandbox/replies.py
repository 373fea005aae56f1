"""Reads what the developer's server answered to a callback: nothing, or a passive reply.

Called by ``courier``. Anything that is not a proper reply is malformed, which the platform shows
the user as a fault of the account.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from devtools.wechat_sandbox.settings import SandboxSettings
from gongdian.errors import CallbackError
from wechat_handlers.crypto import CallbackCipher, callback_signature

# type -> the element that must be there
REPLY_ELEMENTS = {
    "text": "Content",
    "image": "Image",
    "voice": "Voice",
    "video": "Video",
    "music": "Music",
    "news": "Articles",
    "transfer_customer_service": "",
}


class MalformedReplyError(Exception):
    """The answer is no reply that the platform would take; the argument says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A passive reply as the phone shows it."""

    kind: str
    text: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def read_reply(
    body: bytes, openid: str, settings: SandboxSettings, cipher: CallbackCipher | None
) -> Reply | None:
    """The reply in an HTTP 200 answer, None for ``success`` or an empty body.

    Raises MalformedReplyError.
    """
    if body.strip() in (b"", b"success"):
        return None
    fields = parse(body, settings.format)
    if "Encrypt" in fields:
        fields = parse(_decrypted(fields, settings, cipher), settings.format)
    elif settings.mode == "secure" and not settings.accept_plain_reply_in_secure:
        raise MalformedReplyError("a plain reply in secure mode")
    if fields.get("ToUserName") != openid or fields.get("FromUserName") != settings.original_id:
        raise MalformedReplyError("the reply is not from this account to this user")
    if not str(fields.get("CreateTime", "")).isdigit():
        raise MalformedReplyError("CreateTime is missing")
    kind = str(fields.get("MsgType", ""))
    element = REPLY_ELEMENTS.get(kind)
    if element is None or (element and not fields.get(element)):
        raise MalformedReplyError(f"not a reply of type {kind!r}")
    if kind == "text":
        return Reply(kind, str(fields["Content"]))
    return Reply(kind, extra={element: fields[element]} if element else {})


def parse(body: bytes, form: str) -> dict[str, Any]:
    """The fields of an XML document, or in JSON format of a JSON document too."""
    if form == "json" and body.lstrip()[:1] == b"{":
        try:
            content = json.loads(body)
        except ValueError as error:
            raise MalformedReplyError("not JSON") from error
        return content if isinstance(content, dict) else {}
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise MalformedReplyError("a document type is not taken")
    try:
        # Entities are refused above, which is what S314 is about.
        root = ElementTree.fromstring(body)  # noqa: S314
    except (ElementTree.ParseError, ValueError) as error:
        raise MalformedReplyError("not XML") from error
    content = _content(root)
    if root.tag != "xml" or not isinstance(content, dict):
        raise MalformedReplyError("the root is not <xml> with elements")
    return content


def _content(element: ElementTree.Element) -> Any:
    """Text of a leaf; a dict of the children otherwise, repeated children as a list."""
    if len(element) == 0:
        return element.text or ""
    fields: dict[str, Any] = {}
    for child in element:
        value = _content(child)
        if child.tag not in fields:
            fields[child.tag] = value
        elif isinstance(fields[child.tag], list):
            fields[child.tag].append(value)
        else:
            raise_unless_item(child.tag)
            fields[child.tag] = [fields[child.tag], value]
    return fields


def raise_unless_item(tag: str) -> None:
    """Only ``item`` may come twice; anything else twice is an injected element."""
    if tag != "item":
        raise MalformedReplyError(f"{tag} comes twice")


def _decrypted(
    fields: dict[str, Any], settings: SandboxSettings, cipher: CallbackCipher | None
) -> bytes:
    if settings.mode == "plain" or cipher is None:
        raise MalformedReplyError("an encrypted reply in plain mode")
    encrypted = str(fields["Encrypt"])
    expected = callback_signature(
        settings.token, str(fields.get("TimeStamp")), str(fields.get("Nonce")), encrypted
    )
    if fields.get("MsgSignature") != expected:
        raise MalformedReplyError("MsgSignature is wrong")
    try:
        return cipher.decrypt(encrypted)
    except CallbackError as error:
        raise MalformedReplyError("the reply cannot be decrypted") from error
