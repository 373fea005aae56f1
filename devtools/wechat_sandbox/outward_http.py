"""Small HTTP/1.1 client: kept-alive connections and one time limit for the whole exchange.

Used by ``courier`` (one client per worker thread) and ``browser`` (one per visit); not shared
between threads. The standard library's client parses answers with the e-mail package, which
cost more than all else in delivering a callback, and its time limit is per read.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024


class HttpAnswerError(OSError):
    """The other side said something that is no HTTP answer, or ended in the middle."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; header names are lower case, cookies keep each line."""

    status: int
    headers: dict[str, str]
    cookies: tuple[str, ...]
    body: bytes


class OutwardHttp:
    """Keeps one connection per origin."""

    def __init__(self) -> None:
        self._connections: dict[tuple[str, str], socket.socket] = {}

    def send(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 5.0,
    ) -> Answer:
        """Send and wait; raises OSError, as TimeoutError when ``timeout_s`` is over."""
        parts = urlsplit(url)
        origin = (parts.scheme, parts.netloc)
        deadline = time.monotonic() + timeout_s
        connection = self._connections.pop(origin, None)
        if connection is not None and is_dropped(connection):
            connection.close()
            connection = None
        if connection is None:
            connection = _connect(parts, timeout_s)
        try:
            connection.settimeout(_left(deadline))
            connection.sendall(_request_bytes(method, parts, body, headers or {}))
            answer, reusable = _Reader(connection, deadline).answer()
        except BaseException:
            connection.close()
            raise
        if reusable:
            self._connections[origin] = connection
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close the kept connections."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()


def is_dropped(connection: socket.socket) -> bool:
    """Whether the other side has closed an idle connection (or says something unasked).

    Looked at before sending: resending after a failure could make the other side act twice.
    """
    # One cannot peek through TLS; such a connection is used once.
    if isinstance(connection, ssl.SSLSocket):
        return True
    connection.settimeout(0)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class _Reader:
    """Reads one answer from a connection until a deadline."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = b""

    def answer(self) -> tuple[Answer, bool]:
        """The answer, and whether the connection can be used again."""
        version, status, headers, cookies = self._head()
        while 100 <= status < 200:
            version, status, headers, cookies = self._head()
        reusable = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        if status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        elif "content-length" in headers:
            body = self._exactly(_number(headers["content-length"], 10))
        else:
            body, reusable = self._rest(), False
        return Answer(status, headers, cookies, body), reusable and not self._buffer

    def _head(self) -> tuple[str, int, dict[str, str], tuple[str, ...]]:
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdigit():
            raise HttpAnswerError("not an HTTP answer")
        headers, cookies = {}, []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
            if name.lower() == "set-cookie":
                cookies.append(value.strip())
        return version, int(rest[:3]), headers, tuple(cookies)

    def _chunks(self) -> bytes:
        pieces: list[bytes] = []
        while size := _number(self._until(b"\r\n").split(b";")[0].decode("latin-1"), 16):
            pieces.append(self._exactly(size))
            self._until(b"\r\n")
        while self._until(b"\r\n"):
            pass  # trailers
        return b"".join(pieces)

    def _until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES or not self._receive():
                raise HttpAnswerError("the connection ended before the answer")
        found, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._receive():
                raise HttpAnswerError("the connection ended within the answer")
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _rest(self) -> bytes:
        while len(self._buffer) < MAX_BODY_BYTES and self._receive():
            pass
        found, self._buffer = self._buffer, b""
        return found

    def _receive(self) -> bool:
        self._connection.settimeout(_left(self._deadline))
        received = self._connection.recv(65536)
        self._buffer += received
        return bool(received)


def _connect(parts: SplitResult, timeout_s: float) -> socket.socket:
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HttpAnswerError(f"not an http address: {parts.scheme}://{parts.netloc}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = socket.create_connection((parts.hostname, port), timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if parts.scheme == "http":
        return connection
    context = ssl.create_default_context()
    return context.wrap_socket(connection, server_hostname=parts.hostname)


def _request_bytes(
    method: str, parts: SplitResult, body: bytes | None, headers: dict[str, str]
) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    # A line break inside would be a second header (an address that a test made up).
    if len(head.splitlines()) != len(lines) or " " in target:
        raise HttpAnswerError("the address or a header has spaces or line breaks")
    return head.encode("utf-8") + b"\r\n\r\n" + (body or b"")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer came too late")
    return left


def _number(text: str, base: int) -> int:
    try:
        number = int(text.strip(), base)
    except ValueError as error:
        raise HttpAnswerError("a length is not a number") from error
    if not 0 <= number <= MAX_BODY_BYTES:
        raise HttpAnswerError("a length is out of bounds")
    return number
