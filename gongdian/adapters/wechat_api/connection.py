"""HTTP connections with one deadline for a whole answer; the transport's pools are made of them.

urllib3's read time-out runs anew with every byte received, so a peer that drips bytes would hold
a thread for ever. Here each read gets what is left of the request's own time.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse


class NotConnectedError(HTTPError):
    """No connection came about, TLS included: the request was surely not seen."""


class StaleConnectionError(HTTPError):
    """A kept connection was closed by the peer before the first byte of this answer.

    Almost always the peer closed it while idle and never read the request; it is not certain.
    """


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes; a read ends when its own or the request's time is over."""

    def __init__(self, sock: socket.socket, read_s: float, deadline: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._read_s = read_s
        self._deadline = deadline
        self.received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request's time is over")
        self._sock.settimeout(min(left, self._read_s))
        count: int | None = self._raw.readinto(buffer)
        self.received += count or 0
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client's response asks of its socket."""
        return io.BufferedReader(self)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineMixin(HTTPConnection):
    """What both kinds of connection do alike. ``total_s`` bounds connect, request and answer."""

    def __init__(self, *args: Any, total_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._total_s = total_s
        self._deadline = 0.0
        self._answered = 0
        self._head = b""
        self._holds_head = False
        self._reader: _DeadlineReader | None = None
        self.response_class = self._read_with_deadline  # type: ignore[assignment]

    def connect(self) -> None:
        self._deadline = time.monotonic() + self._total_s
        self._answered = 0
        try:
            super().connect()
        except (OSError, HTTPError) as error:
            raise NotConnectedError(type(error).__name__) from error

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self._answered:
            self._deadline = time.monotonic() + self._total_s
        self._head = b""
        self._holds_head = bool(kwargs.get("body"))
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        # Head and body leave in one piece: one system call and one packet fewer.
        if self._holds_head:
            self._head, self._holds_head = data, False
            return
        if self._head:
            data, self._head = self._head + data, b""
        super().send(data)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does
        self._reader = None
        try:
            response = super().getresponse()
        except ConnectionError as error:  # RemoteDisconnected is one too
            if self._answered and (self._reader is None or not self._reader.received):
                raise StaleConnectionError(type(error).__name__) from error
            raise
        self._answered += 1
        return response

    def _read_with_deadline(
        self, sock: socket.socket, *args: Any, **kwargs: Any
    ) -> http.client.HTTPResponse:
        read_s = self.timeout if isinstance(self.timeout, int | float) else self._total_s
        self._reader = _DeadlineReader(sock, read_s, self._deadline)
        return http.client.HTTPResponse(self._reader, *args, **kwargs)  # type: ignore[arg-type]


class DeadlineConnection(_DeadlineMixin):
    """Plain HTTP: the sandbox, or a proxy inside the company."""


class SecureDeadlineConnection(_DeadlineMixin, HTTPSConnection):
    """HTTPS."""


class DeadlinePool(HTTPConnectionPool):
    """A pool of plain connections."""

    ConnectionCls = DeadlineConnection


class SecureDeadlinePool(HTTPSConnectionPool):
    """A pool of HTTPS connections."""

    ConnectionCls = SecureDeadlineConnection
