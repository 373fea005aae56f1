"""A developer's server as the sandbox sees it, with answers that a test chooses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from devtools.wechat_sandbox.http_server import Ending, LeanServer, Request, Response
from devtools.wechat_sandbox.replies import parse

Answer = Callable[[dict[str, Any], int], tuple[int, bytes, float]]


@dataclass
class Receiver:
    """What came in; ``answer(fields, number)`` gives status, body and delay of each POST."""

    url: str = ""
    form: str = "xml"
    answer: Answer = lambda fields, number: (200, b"success", 0.0)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, request: Request) -> Response:
        if request.method == "GET":
            return Response(request.query["echostr"].encode())
        with self.lock:
            self.requests.append(request)
            number = len(self.requests)
        status, body, delay_s = self.answer(parse(request.body, self.form), number)
        time.sleep(delay_s)
        return Response(body, status, "text/xml", ending=Ending.ANSWER if status else Ending.CLOSE)

    def messages(self) -> list[dict[str, Any]]:
        """The fields of everything that came in, in order."""
        with self.lock:
            return [parse(request.body, self.form) for request in self.requests]


@contextmanager
def running_receiver(form: str = "xml") -> Iterator[Receiver]:
    """Listen on a free port of loopback."""
    receiver = Receiver(form=form)
    server = LeanServer("127.0.0.1", 0, receiver.handle)
    receiver.url = f"http://127.0.0.1:{server.port}/wechat"
    server.start()
    try:
        yield receiver
    finally:
        server.stop()


def text_reply(fields: dict[str, Any], text: str) -> bytes:
    """A passive text reply to a callback."""
    return (
        f"<xml><ToUserName>{fields['FromUserName']}</ToUserName>"
        f"<FromUserName>{fields['ToUserName']}</FromUserName><CreateTime>1</CreateTime>"
        f"<MsgType>text</MsgType><Content><![CDATA[{text}]]></Content></xml>"
    ).encode()
