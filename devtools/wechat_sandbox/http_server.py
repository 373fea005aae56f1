"""A lean threaded HTTP/1.1 server: keep-alive, TCP_NODELAY, one write per response.

The standard library's handler parses headers with the e-mail package and writes a response in
pieces, which costs more than all work of the sandbox; this one does neither. Made by ``sandbox``.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
JSON_TYPE = "application/json; encoding=utf-8"
ABORT_ON_CLOSE = struct.pack("ii", 1, 0)


class Ending(StrEnum):
    """How a response leaves; CLOSE and RESET are injected faults."""

    ANSWER = "answer"
    STREAM = "stream"
    CLOSE = "close"
    RESET = "reset"


@dataclass(slots=True)
class Request:
    """One request as it came; header names are lower case, ``target`` is path and query as sent."""

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes = b""
    query: dict[str, str] = field(default_factory=dict)
    target: str = ""


@dataclass(slots=True)
class Response:
    """One response; CLOSE and RESET send nothing, STREAM sends ``pieces`` until they end."""

    body: bytes = b""
    status: int = 200
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    ending: Ending = Ending.ANSWER
    pieces: Iterable[bytes] = ()


class BadRequestError(Exception):
    """The bytes are not a request that this server takes; the argument is the HTTP status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


def json_response(content: object, status: int = 200) -> Response:
    """A JSON answer; Chinese is not escaped, as on the real platform."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status)


class LeanServer:
    """Accepts connections on ``host:port`` (0 = any free port) and answers with ``handle``."""

    def __init__(self, host: str, port: int, handle: Callable[[Request], Response]) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=512)
        # Closing a socket does not wake accept() everywhere; the time-out bounds stop().
        self._listener.settimeout(0.5)
        self._handle = handle
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._stopping = False
        self._acceptor = threading.Thread(target=self._accept, name="sandbox-http", daemon=True)
        self.host = host
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.start()

    def stop(self) -> None:
        """Stop accepting, end open connections, wait for their threads."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if self._acceptor.is_alive():
            self._acceptor.join()
        self._listener.close()
        with self._lock:
            open_now = list(self._connections.items())
        for connection, _ in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in open_now:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._converse(connection)
        with self._lock:
            self._connections.pop(connection, None)

    def _converse(self, connection: socket.socket) -> None:
        buffer = b""
        while not self._stopping:
            try:
                request, buffer = read_request(connection, buffer)
            except BadRequestError as refusal:
                connection.sendall(encode_response(Response(status=refusal.status), close=True))
                return
            if request is None:
                return
            response = self._handle(request)
            if response.ending is Ending.STREAM:
                connection.sendall(encode_head(response))
                for piece in response.pieces:
                    connection.sendall(piece)
                return
            if response.ending is Ending.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT_ON_CLOSE)
            if response.ending is not Ending.ANSWER:
                return
            close = request.headers.get("connection", "").lower() == "close"
            connection.sendall(encode_response(response, close=close))
            if close:
                return


def read_request(connection: socket.socket, buffer: bytes) -> tuple[Request | None, bytes]:
    """Read one request; returns it and the bytes that follow, or None at the end."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if len(buffer) > MAX_HEAD_BYTES:
            raise BadRequestError(431)
        received = connection.recv(65536)
        if not received:
            return None, b""
        buffer += received
    request, length = parse_head(buffer[:end].decode("latin-1"))
    body = buffer[end + 4 :]
    if request.headers.get("expect", "").lower() == "100-continue" and len(body) < length:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    pieces, have = [body], len(body)
    while have < length:
        received = connection.recv(65536)
        if not received:
            return None, b""
        pieces.append(received)
        have += len(received)
    body = b"".join(pieces)
    request.body = body[:length]
    return request, body[length:]


def parse_head(head: str) -> tuple[Request, int]:
    """The request line and headers, and the length of the body that follows."""
    lines = head.split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError(400)
    headers = {}
    for line in lines[1:]:
        name, separator, value = line.partition(":")
        if not separator:
            raise BadRequestError(400)
        headers[name.lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise BadRequestError(411)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequestError(400)
    if int(length) > MAX_BODY_BYTES:
        raise BadRequestError(413)
    path, _, query_string = words[1].partition("?")
    query = dict(parse_qsl(query_string, keep_blank_values=True))
    path = unquote(path) if "%" in path else path
    return Request(words[0], path, query_string, headers, b"", query, words[1]), int(length)


def encode_response(response: Response, *, close: bool) -> bytes:
    """The bytes of a response, head and body in one piece."""
    return encode_head(response, len(response.body), close=close) + response.body


def encode_head(response: Response, length: int | None = None, *, close: bool = True) -> bytes:
    """Status line and headers; without a length the body lasts until the connection ends."""
    try:
        reason = HTTPStatus(response.status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [
        f"HTTP/1.1 {response.status} {reason}",
        f"Content-Type: {response.content_type}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
