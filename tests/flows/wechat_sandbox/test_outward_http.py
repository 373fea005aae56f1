"""The sandbox's HTTP client against servers that answer in every way, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from devtools.wechat_sandbox.outward_http import HttpAnswerError, OutwardHttp

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextlib.contextmanager
def scripted_server(*answers: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """Answers each connection's requests with the scripted bytes, then closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            for answer in answers:
                connection.recv(65536)
                for byte in (
                    (answer[i : i + 1] for i in range(len(answer))) if pause_s else [answer]
                ):
                    time.sleep(pause_s)
                    connection.sendall(byte)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    listener.close()
    thread.join(timeout=5)


@pytest.fixture
def client() -> Iterator[OutwardHttp]:
    made = OutwardHttp()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (
            b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2;x=1\r\nok\r\n0\r\nT: 1\r\n\r\n",
            b"ok",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_answers_of_every_shape_are_read(client: OutwardHttp, answer: bytes, body: bytes) -> None:
    with scripted_server(answer) as url:
        assert client.send("GET", url).body == body


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        CHUNKED + b"zz\r\n",
    ],
)
def test_broken_answers_are_told(client: OutwardHttp, answer: bytes) -> None:
    with scripted_server(answer) as url, pytest.raises(HttpAnswerError):
        client.send("GET", url)


def test_time_limit_is_for_the_whole_answer_not_for_each_byte(client: OutwardHttp) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with scripted_server(answer, pause_s=0.03) as url, pytest.raises(TimeoutError):
        client.send("GET", url, timeout_s=0.2)


def test_connection_is_used_again_and_a_dropped_one_is_not(client: OutwardHttp) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
    with scripted_server(answer + b"a", answer + b"b") as url:
        assert client.send("GET", url).body == b"a"
        assert client.send("GET", url).body == b"b"
        time.sleep(0.1)
        with pytest.raises(OSError, match=r"refused|timed out|too late"):
            client.send("GET", url, timeout_s=0.3)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "nonsense", "http://127.0.0.1:1/a b"])
def test_addresses_that_cannot_be_opened_are_told(client: OutwardHttp, url: str) -> None:
    with pytest.raises(OSError, match=r"."):
        client.send("GET", url, timeout_s=1)
