"""What the traffic inspector shows of one exchange: the inner document, a curl line, a replay.

Called by ``panel_api``.
"""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from devtools.wechat_sandbox.http_server import Ending, Request
from devtools.wechat_sandbox.outward_http import OutwardHttp
from devtools.wechat_sandbox.refusals import ActionError
from devtools.wechat_sandbox.replies import MalformedReplyError, parse
from devtools.wechat_sandbox.smtp_transcript import METHOD
from devtools.wechat_sandbox.traffic import BODY_BYTES, Exchange, plain_values
from gongdian.errors import CallbackError

if TYPE_CHECKING:
    from devtools.wechat_sandbox.sandbox import Sandbox


def describe(sandbox: Sandbox, number: int) -> dict[str, Any]:
    """One exchange with ``request_inner`` and ``response_inner`` (decrypted, "" = none), ``curl``.

    A mail has no ``curl`` and cannot be replayed. Raises ActionError when it is no longer kept.
    """
    entry = sandbox.traffic.find(number)
    is_mail = entry.method == METHOD
    return {
        **plain_values(entry),
        "request_inner": inner(sandbox, entry.request),
        "response_inner": inner(sandbox, entry.response),
        "curl": "" if is_mail else curl_line(sandbox, entry),
        "is_whole": len(entry.request) < BODY_BYTES and not is_mail,
    }


def inner(sandbox: Sandbox, body: bytes) -> str:
    """What an encrypted document holds, or ""."""
    cipher = sandbox.cipher
    if cipher is None or b"Encrypt" not in body:
        return ""
    try:
        fields = parse(body, "json")
        return cipher.decrypt(str(fields.get("Encrypt", ""))).decode("utf-8", "replace")
    except (MalformedReplyError, CallbackError) as error:
        return f"无法解密：{error}"


def curl_line(sandbox: Sandbox, entry: Exchange) -> str:
    """The same call for a terminal."""
    words = ["curl", "-i"]
    if entry.method != "GET":
        words += ["-X", entry.method]
    if entry.request:
        words += ["-H", f"Content-Type: {_content_type(entry.request)}"]
        words += ["--data-binary", entry.request.decode("utf-8", "replace")]
    return shlex.join([*words, _address(sandbox, entry)])


def replay(sandbox: Sandbox, number: int) -> dict[str, Any]:
    """Send the same bytes again (a callback with the same signature, as a replay is).

    Raises ActionError for a mail, a cut body or when nothing is kept, OSError when nobody answers.
    """
    entry = sandbox.traffic.find(number)
    if entry.method == METHOD:
        raise ActionError("a mail is not sent again from here")
    if len(entry.request) >= BODY_BYTES:
        raise ActionError("the body was cut when it was kept, it cannot be sent again")
    if entry.direction == "in":
        path, _, query = entry.url.partition("?")
        request = Request(entry.method, path, query, {}, entry.request)
        request.query = dict(parse_qsl(query, keep_blank_values=True))
        response = sandbox.answer_locally(request)
        return {"status": response.status if response.ending is Ending.ANSWER else 0}
    client, started, at = OutwardHttp(), time.perf_counter(), sandbox.clock.now()
    headers = {"Content-Type": _content_type(entry.request), "User-Agent": "Mozilla/4.0"}
    try:
        answer = client.send(
            entry.method, entry.url, entry.request, headers, sandbox.settings.callback_timeout_s
        )
    finally:
        client.close()
    took_ms = (time.perf_counter() - started) * 1000
    note = f"replay of {entry.number}"
    sandbox.traffic.add(
        at, "out", entry.method, entry.url, entry.request, answer.status, answer.body, took_ms, note
    )
    return {"status": answer.status}


def _address(sandbox: Sandbox, entry: Exchange) -> str:
    return sandbox.base_url + entry.url if entry.direction == "in" else entry.url


def _content_type(body: bytes) -> str:
    return "text/xml" if body.lstrip()[:1] == b"<" else "application/json"
