"""A minimal mail server on a loopback port: keeps what it takes, refuses when told to."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class FakeSmtp:
    """``refuses`` names the command that gets 550 (``RCPT``, ``DATA``), or nothing.

    ``says`` maps a command, or ``CONTENT``, to the answer that it gets instead of the right one.
    """

    port: int = 0
    refuses: str = ""
    says: Mapping[str, str] = field(default_factory=dict)
    receivers: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def mails(self) -> list[EmailMessage]:
        """The mails that were taken."""
        found = [message_from_bytes(one, policy=policy.default) for one in self.raw]
        return [one for one in found if isinstance(one, EmailMessage)]


@contextmanager
def fake_smtp(  # noqa: C901 - a protocol is a list of cases
    refuses: str = "", says: Mapping[str, str] | None = None
) -> Iterator[FakeSmtp]:
    """Run one until the end of the block."""
    server = FakeSmtp(refuses=refuses, says=says or {})

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def handle(self) -> None:
            self.say("220 fake.invalid ready")
            while line := self.rfile.readline():
                command = line.split(b" ", 1)[0].strip().upper().decode()
                if command == server.refuses:
                    self.say("550 refused")
                elif command in server.says:
                    self.say(server.says[command])
                elif command in ("EHLO", "HELO"):
                    self.say("250 fake.invalid")
                elif command == "RCPT":
                    server.receivers.append(line.decode().partition(":")[2].strip())
                    self.say("250 ok")
                elif command == "DATA":
                    self.say("354 go on")
                    server.raw.append(self.read_mail())
                    self.say(server.says.get("CONTENT", "250 taken"))
                elif command == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def read_mail(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            return b"".join(lines)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        server.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
