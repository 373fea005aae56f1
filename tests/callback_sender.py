"""Posts signed callbacks to a running stage, whole or broken, as the platform or a stranger would.

Used by the flow tests of the receiving edge.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, select

from devtools.demo.stage import ORIGINAL_ID, Stage
from devtools.wechat_sandbox import events
from devtools.wechat_sandbox.envelopes import Envelope, Fields, make_envelope
from devtools.wechat_sandbox.replies import Reply, read_reply
from devtools.wechat_sandbox.sandbox import make_cipher
from gongdian.errors import UpstreamError
from gongdian.inbox.tables import callbacks
from wechat_handlers.callbacks import CALLBACK_PATH

OPENID = "oSender000000000000000000001"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how long it took."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    took_s: float


class Sender:
    """Sends callbacks of one account; ``changes`` are fields of SandboxSettings (mode, keys)."""

    def __init__(self, stage: Stage, **changes: Any) -> None:
        self._address = urlsplit(stage.web_url)
        self._clock = stage.clock
        self.settings = replace(stage.sandbox.settings, **changes)
        self._cipher = make_cipher(self.settings)

    def text(self, content: str, openid: str = OPENID) -> Fields:
        """The fields of a new text message."""
        at = self._clock.now().timestamp()
        return events.message(openid, ORIGINAL_ID, at, "text", Content=content)

    def event(self, name: str, openid: str = OPENID, **fields: Any) -> Fields:
        """The fields of a new event."""
        return events.event(openid, ORIGINAL_ID, self._clock.now().timestamp(), name, **fields)

    def envelope(self, fields: Fields, *, late_s: float = 0, forged: bool = False) -> Envelope:
        """The query and body of one attempt to deliver."""
        at = int(self._clock.now().timestamp() - late_s)
        return make_envelope(fields, self.settings, self._cipher, at, bad_signature=forged)

    def post(self, fields: Fields) -> Answer:
        """Deliver one callback."""
        envelope = self.envelope(fields)
        return self.request("POST", envelope.query, envelope.body)

    def post_all(self, many: Iterable[Fields], at_once: int = 20) -> list[Answer]:
        """Deliver many at once, in order of the answers' requests."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.post, many))

    def request(
        self,
        method: str,
        query: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        path: str = CALLBACK_PATH,
    ) -> Answer:
        """One raw request on a connection of its own; an iterable body goes out in chunks."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=20
        )
        try:
            target = f"{path}?{query}" if query else path
            connection.request(method, target, body, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        return Answer(response.status, content, dict(response.headers), time.perf_counter() - began)

    def reply(self, answer: Answer, openid: str = OPENID) -> Reply | None:
        """The passive reply in an answer, None for ``success``."""
        return read_reply(answer.body, openid, self.settings, self._cipher)


def stored(stage: Stage) -> list[Row[Any]]:
    """Every stored callback."""
    query = select(callbacks).order_by(callbacks.c.id)
    try:
        with stage.house.database.read() as session:
            return list(session.execute(query))
    except UpstreamError:  # a connection from before an outage; the next one is fresh
        with stage.house.database.read() as session:
            return list(session.execute(query))


def states(stage: Stage) -> list[str]:
    """The states of all stored callbacks."""
    return [row.state for row in stored(stage)]
