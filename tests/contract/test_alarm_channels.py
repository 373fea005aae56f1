"""Alarm channels against a server of the test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gongdian.adapters.alarm_channels import WebhookAlarms
from gongdian.alarms import Alarm
from gongdian.errors import UpstreamError

AT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


@contextmanager
def _robot(status: int, answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A robot that always answers the same; its address and what it was sent."""
    sent: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *values: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", sent
        finally:
            server.shutdown()
            thread.join()


def _alarms(count: int) -> list[Alarm]:
    return [Alarm(f"key{number}", "消息积压，请检查", AT, AT, 3) for number in range(count)]


@pytest.mark.parametrize("answer", [b'{"errcode":0,"errmsg":"ok"}', b"ok", b"", b"[1]"])
def test_a_robot_is_told(answer: bytes) -> None:
    with _robot(200, answer) as (url, sent):
        WebhookAlarms(url).tell(_alarms(2))

    content = json.loads(sent[0])["text"]["content"]
    assert content.splitlines()[0] == "供电服务告警"
    assert content.count("消息积压") == 2
    assert "2026-11-23 10:00" in content


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, b'{"errcode":93000,"errmsg":"invalid webhook url"}'), (500, b""), (302, b"")],
)
def test_a_refusal_is_not_taken_for_a_success(status: int, answer: bytes) -> None:
    with _robot(status, answer) as (url, _), pytest.raises(UpstreamError, match="alarm_webhook"):
        WebhookAlarms(url).tell(_alarms(1))


def test_many_alarms_fit_into_one_robot_message() -> None:
    with _robot(200, b'{"errcode":0}') as (url, sent):
        WebhookAlarms(url).tell(_alarms(100))

    content = json.loads(sent[0])["text"]["content"]
    assert len(content.encode()) <= 2048
    assert content.endswith("…")
