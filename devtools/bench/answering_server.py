"""The least HTTP server that keeps connections and answers every request ``errcode 0``.

``send`` starts it as a process of its own, so that its CPU time is not the client's.
"""

from __future__ import annotations

import socket
import threading

_BODY = b'{"errcode":0,"errmsg":"ok","msgid":200228332,"access_token":"T","expires_in":7200}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nDate: Mon, 05 Jan 2026 06:30:00 GMT\r\n"
    b"Content-Type: application/json; encoding=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


def serve_connection(sock: socket.socket) -> None:
    """Answer the requests of one connection until the client leaves."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    with sock:
        while True:
            head, found, rest = received.partition(b"\r\n\r\n")
            length = _content_length(head) if found else 0
            if found and len(rest) >= length:
                received = rest[length:]
                sock.sendall(_ANSWER)
                continue
            piece = sock.recv(65536)
            if not piece:
                return
            received += piece


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


def main() -> None:
    """Print the port, then serve until the process is stopped."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve_connection, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
