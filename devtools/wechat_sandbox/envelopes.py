"""Writes a callback as the platform posts it: XML or JSON, plain, compatible or secure, signed.

Called by ``courier`` for every attempt; each attempt is signed afresh.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from devtools.wechat_sandbox.settings import SandboxSettings
from wechat_handlers.crypto import CallbackCipher, callback_signature

Fields = dict[str, Any]
# In JSON these events carry their list on the top level, in XML inside this element.
SUBSCRIBE_ELEMENTS = ("SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is posted: the query, the body and its type."""

    query: str
    body: bytes
    content_type: str


def make_envelope(
    fields: Fields,
    settings: SandboxSettings,
    cipher: CallbackCipher | None,
    at: int,
    *,
    bad_signature: bool = False,
) -> Envelope:
    """Write and sign one callback; ``at`` is the timestamp of the signature."""
    timestamp, nonce = str(at), str(secrets.randbelow(10**10))
    # A wrong token spoils both signatures, as a forger's would be.
    token = settings.token + ("-forged" if bad_signature else "")
    query = {
        "signature": callback_signature(token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": fields["FromUserName"],
    }
    outer = fields
    if settings.mode != "plain" and cipher is not None:
        encrypted = cipher.encrypt(write(fields, settings.format))
        outer = {"ToUserName": fields["ToUserName"], "Encrypt": encrypted}
        if settings.mode == "compatible":
            outer = {**fields, "Encrypt": encrypted}
        query["encrypt_type"] = "aes"
        query["msg_signature"] = callback_signature(token, timestamp, nonce, encrypted)
    content_type = "text/xml" if settings.format == "xml" else "application/json"
    return Envelope(urlencode(query), write(outer, settings.format), content_type)


def write(fields: Fields, form: str) -> bytes:
    """The fields as an XML or JSON document."""
    if form == "json":
        return json.dumps(_json_shape(fields), ensure_ascii=False).encode("utf-8", "replace")
    return ("<xml>" + _elements(fields) + "</xml>").encode("utf-8", "replace")


def _elements(fields: Fields) -> str:
    return "".join(
        f"<{name}>{_element(value)}</{name}>"
        for name, content in fields.items()
        for value in (content if isinstance(content, list) else [content])
    )


def _element(value: Any) -> str:
    if isinstance(value, dict):
        return _elements(value)
    if isinstance(value, int | float):
        return str(value)
    return "<![CDATA[" + str(value).replace("]]>", "]]]]><![CDATA[>") + "]]>"


def _json_shape(fields: Fields) -> Fields:
    shape: Fields = {}
    for name, value in fields.items():
        if name in SUBSCRIBE_ELEMENTS:
            shape["List"] = _one_or_many(value["List"])
        elif isinstance(value, dict):
            shape[name] = _json_shape(value)
        else:
            shape[name] = _one_or_many(value)
    return shape


def _one_or_many(value: Any) -> Any:
    """The platform's trap: one entry is an object, several are an array."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
