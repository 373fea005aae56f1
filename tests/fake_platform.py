"""A scripted HTTP peer on a real loopback socket; tests of the API client's wire behaviour use it.

It knows nothing of WeChat: a test says what each path answers, down to single bytes.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: bytes
    connection_no: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


# An answer writes on the socket; returning False closes the connection.
Answer = Callable[[Request, socket.socket], bool]


def says(
    body: bytes | dict[str, Any],
    *,
    status: int = 200,
    content_type: str = "application/json; encoding=utf-8",
    headers: str = "",
    keep: bool = True,
) -> Answer:
    """Answer with this body."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(_request: Request, sock: socket.socket) -> bool:
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(raw)}\r\nConnection: {'keep-alive' if keep else 'close'}\r\n"
            f"{headers}\r\n"
        )
        sock.sendall(head.encode() + raw)
        return keep

    return answer


def hangs_up(_request: Request, _sock: socket.socket) -> bool:
    """Close without a byte."""
    return False


class FakePlatform:
    """The peer. ``routes`` maps a path to an answer, or to a list of which the last one stays."""

    def __init__(self) -> None:
        self.routes: dict[str, Answer | list[Answer]] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def count(self, path: str) -> int:
        """How many requests came for a path."""
        with self._lock:
            return sum(request.path == path for request in self.requests)

    def stopped(self, seconds: float) -> bool:
        """Wait inside an answer; True when the test is over."""
        return self._stop.wait(seconds)

    def drop_connections(self) -> None:
        """Close every connection, as a peer does that restarts."""
        with self._lock:
            for sock in self._open:
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # a thread that waits in accept wakes up
        self._listener.close()
        with self._lock:
            for sock in self._open:
                sock.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            with sock, sock.makefile("rb") as stream:
                while request := _read(stream, number):
                    if not self._answer(request)(request, sock):
                        break
        except (OSError, ValueError):
            pass  # the client gave up, which is what some tests are about
        finally:
            with self._lock:
                self._open.discard(sock)

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            route = self.routes[request.path]
            if isinstance(route, list):
                return route.pop(0) if len(route) > 1 else route[0]
            return route


def _read(stream: Any, number: int) -> Request | None:
    line = stream.readline().decode()
    if not line:
        return None
    method, target, _version = line.split()
    length = 0
    while (header := stream.readline().decode().strip()) != "":
        name, _, value = header.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Request(method, parts.path, query, stream.read(length), number)


@contextmanager
def fake_platform() -> Iterator[FakePlatform]:
    platform = FakePlatform()
    try:
        yield platform
    finally:
        platform.close()
