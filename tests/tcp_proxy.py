"""A TCP proxy on loopback that can refuse, hang, cut and hide answers; stands before a database.

Used by the tests of what happens while a service is gone.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MODES = ("pass", "refuse", "hang", "cut", "hide_commits")
_STEP_S = 0.02
_CUT_AFTER_S = 0.05


class TcpProxy:
    """Forwards to one address. ``mode`` may be changed at any time.

    refuse: existing connections are reset, new ones too. hang: nothing moves in either direction,
    new connections are accepted and not answered; later what was held goes on. cut: every
    connection is reset after 50 ms. hide_commits: a COMMIT reaches the server, its answer is lost
    and the connection falls silent; afterwards it is reset.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_STEP_S)
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.mode = "pass"

    @contextmanager
    def running(self) -> Iterator[TcpProxy]:
        """Forward until the end of the block."""
        acceptor = threading.Thread(target=self._accept)
        acceptor.start()
        try:
            yield self
        finally:
            self._stopping.set()
            acceptor.join()
            for thread in self._threads:
                thread.join()
            self._listener.close()

    @contextmanager
    def trouble(self, mode: str) -> Iterator[None]:
        """One kind of trouble for the length of the block."""
        assert mode in MODES
        self.mode = mode
        try:
            yield
        finally:
            self.mode = "pass"

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self.mode == "refuse":
                _reset(client)
                continue
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        self._wait_while_hanging()
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            _reset(client)
            return
        began, mute = time.monotonic(), False
        try:
            while not self._stopping.is_set():
                self._wait_while_hanging()
                is_old = time.monotonic() - began > _CUT_AFTER_S
                if self.mode == "refuse" or (self.mode == "cut" and is_old):
                    break
                if mute and self.mode != "hide_commits":
                    break
                ready, _, _ = select.select([client, server], [], [], _STEP_S)
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is client:
                        mute = mute or (self.mode == "hide_commits" and b"COMMIT" in data)
                        server.sendall(data)
                    elif not mute:
                        client.sendall(data)
        except OSError:
            return
        finally:
            _reset(client)
            server.close()

    def _wait_while_hanging(self) -> None:
        while self.mode == "hang" and not self._stopping.is_set():
            time.sleep(_STEP_S)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield listener.getsockname()[1]


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections: bound for the length of the block, but nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
