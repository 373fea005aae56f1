"""A whole backend in one WSGI function: plain mode, standard library, no framework.

Started by ``test_standard_library``; ``python -m devtools.wechat_sandbox`` drives it just as well.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree
from xml.sax.saxutils import escape

REPLY = (
    "<xml><ToUserName>{to}</ToUserName><FromUserName>{me}</FromUserName>"
    "<CreateTime>{at}</CreateTime><MsgType>text</MsgType><Content>{text}</Content></xml>"
)


def create_app(token: str) -> Callable[..., Iterable[bytes]]:
    """An application that says back what it hears."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        if not is_signed(token, query):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"bad signature"]
        start_response("200 OK", [("Content-Type", "text/xml")])
        if environ["REQUEST_METHOD"] == "GET":
            return [query["echostr"].encode()]
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        return [answer(body).encode()]

    return app


def is_signed(token: str, query: dict[str, str]) -> bool:
    """Whether the platform's signature is right."""
    parts = sorted((token, query.get("timestamp", ""), query.get("nonce", "")))
    expected = hashlib.sha1("".join(parts).encode()).hexdigest()  # noqa: S324 - as documented
    return hmac.compare_digest(expected, query.get("signature", ""))


def answer(body: bytes) -> str:
    """The passive reply to one message."""
    # Do not parse strangers' XML like this in earnest: the signature was checked before.
    message = ElementTree.fromstring(body)  # noqa: S314
    if message.findtext("MsgType") != "text":
        return "success"
    return REPLY.format(
        to=escape(message.findtext("FromUserName", "")),
        me=escape(message.findtext("ToUserName", "")),
        at=int(time.time()),
        text=escape("您说：" + message.findtext("Content", "")),
    )
