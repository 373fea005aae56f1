"""A small mail server that keeps what it gets (模拟邮件服务器): STARTTLS, AUTH, injected faults.

Made by ``sandbox`` when ``smtp_port`` is not -1; ``mail_desk`` puts accepted mails on phones. It
speaks what RFC 5321 asks of a server and the extensions STARTTLS, AUTH (PLAIN, LOGIN) and SIZE.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from devtools.wechat_sandbox.faults import Fault, FaultDesk
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.smtp_certificate import Certificate, make_certificate
from devtools.wechat_sandbox.smtp_transcript import Transcript

LARGEST_MAIL = 10 * 1024 * 1024
LONGEST_LINE = 4096
IDLE_S = 60.0
_FROM = re.compile(r"FROM:\s*<([^<>\s]*)>(?:\s.*)?", re.IGNORECASE)
_TO = re.compile(r"TO:\s*<([^<>\s]+@[^<>\s]+)>(?:\s.*)?", re.IGNORECASE)

KnowsAddress = Callable[[str], bool]
TakesMail = Callable[[str, list[str], bytes], str]
WritesDown = Callable[[str], Transcript]


class HangUpError(Exception):
    """The session ends without another word (an injected fault, or the client has gone)."""


class SmtpServer:
    """Accepts sessions on ``host:port`` (0 = any free port), one thread for each.

    ``knows`` says whether a mailbox exists; ``takes`` keeps a mail and returns its queue number;
    ``writes_down`` makes the transcript of a session.
    """

    def __init__(
        self,
        settings: Callable[[], SandboxSettings],
        faults: FaultDesk,
        knows: KnowsAddress,
        takes: TakesMail,
        writes_down: WritesDown,
        stopping: threading.Event,
    ) -> None:
        self.settings = settings
        self.faults = faults
        self.knows = knows
        self.takes = takes
        self._writes_down = writes_down
        self.stopping = stopping
        host = settings().host
        self.certificate: Certificate = make_certificate(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, settings().smtp_port), family=family)
        self._listener.settimeout(0.2)
        self.host, self.port = host, int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._sessions: dict[socket.socket, threading.Thread] = {}
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.start()

    def stop(self) -> None:
        """End all sessions; ``stopping`` must be set."""
        if self._acceptor.is_alive():
            self._acceptor.join(timeout=5)
        self._listener.close()
        with self._lock:
            open_now = list(self._sessions.items())
        for connection, thread in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._sessions[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        transcript = self._writes_down(f"smtp://{self.host}:{self.port}")
        session = Session(self, connection, transcript)
        with contextlib.suppress(OSError, HangUpError):
            connection.settimeout(IDLE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session.run()
        session.close()
        transcript.end()
        with self._lock:
            self._sessions.pop(connection, None)


@dataclass(slots=True)
class Session:
    """One conversation."""

    server: SmtpServer
    connection: socket.socket
    transcript: Transcript
    buffer: bytes = b""
    is_secure: bool = False
    is_known: bool = False
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Speak until QUIT."""
        if not self._fault("CONNECT"):
            self._say(220, "sandbox mail sink ESMTP")
        while True:
            verb, _, rest = self._line().partition(" ")
            verb = verb.upper()
            if verb == "QUIT":
                self._say(221, "2.0.0 bye")
                return
            handler = HANDLERS.get(verb)
            if handler is None:
                self._say(502, "5.5.1 command not implemented")
            elif not self._fault(verb):
                handler(self, rest.strip())

    def close(self) -> None:
        """Close the socket."""
        self.connection.close()

    def hello(self, name: str) -> None:
        """EHLO and HELO."""
        self._forget()
        settings = self.server.settings()
        lines = ["sandbox", f"SIZE {LARGEST_MAIL}", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if settings.smtp_starttls and not self.is_secure:
            lines.append("STARTTLS")
        elif settings.smtp_user:
            lines.append("AUTH PLAIN LOGIN")
        self._say(250, *lines)

    def secure(self, rest: str) -> None:
        """STARTTLS: what was said before is forgotten, as RFC 3207 asks."""
        if self.is_secure or not self.server.settings().smtp_starttls:
            self._say(503, "5.5.1 no STARTTLS now")
            return
        self._say(220, "2.0.0 ready")
        self.buffer = b""
        context = self.server.certificate.context
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.is_secure = True
        self._forget()

    def log_in(self, rest: str) -> None:
        """AUTH PLAIN and AUTH LOGIN."""
        settings = self.server.settings()
        if settings.smtp_starttls and not self.is_secure:
            self._say(538, "5.7.11 encryption is needed for login")
            return
        method, _, first = rest.partition(" ")
        try:
            if method.upper() == "PLAIN":
                _, user, password = self._asked(first, "").split("\0")
            elif method.upper() == "LOGIN":
                user = self._asked(first, "VXNlcm5hbWU6")
                password = self._asked("", "UGFzc3dvcmQ6")
            else:
                self._say(504, "5.5.4 no such method")
                return
        except (binascii.Error, ValueError):
            self._say(501, "5.5.2 not base64")
            return
        if (user, password) == (settings.smtp_user, settings.smtp_password):
            self.is_known = True
            self._say(235, "2.7.0 welcome")
        else:
            self._say(535, "5.7.8 credentials invalid")

    def take_sender(self, rest: str) -> None:
        """MAIL FROM."""
        found = _FROM.fullmatch(rest)
        if self.server.settings().smtp_user and not self.is_known:
            self._say(530, "5.7.0 authentication required")
        elif found is None:
            self._say(501, "5.1.7 bad sender address")
        elif self.sender is not None:
            self._say(503, "5.5.1 sender already given")
        else:
            self.sender = found[1]
            self._say(250, "2.1.0 sender ok")

    def take_recipient(self, rest: str) -> None:
        """RCPT TO: a mailbox that is on no phone does not exist."""
        found = _TO.fullmatch(rest)
        if self.sender is None:
            self._say(503, "5.5.1 MAIL first")
        elif found is None:
            self._say(501, "5.1.3 bad recipient address")
        elif not self.server.knows(found[1]):
            self._say(550, f"5.1.1 <{found[1]}>: no such mailbox")
        else:
            self.recipients.append(found[1])
            self._say(250, "2.1.5 recipient ok")

    def take_content(self, rest: str) -> None:
        """DATA: keeps the mail, unless a fault with the scope ``CONTENT`` says otherwise."""
        if self.sender is None or not self.recipients:
            self._say(503, "5.5.1 RCPT first")
            return
        self._say(354, "end with a line that holds only a dot")
        content = self._content()
        self.transcript.content(content)
        sender, recipients = self.sender, self.recipients
        self._forget()
        if len(content) > LARGEST_MAIL:
            self._say(552, "5.3.4 too big")
            return
        fault = self.server.faults.for_smtp("CONTENT")
        if fault is not None and fault.kind == "smtp_slow":
            self.server.stopping.wait(fault.seconds)
        number = ""
        if fault is None or fault.acts or fault.kind == "smtp_slow":
            number = self.server.takes(sender, recipients, content)
        if fault is None or not self._end_with(fault):
            self._say(250, f"2.0.0 kept as {number}")
        self.transcript.end()

    def reset(self, rest: str) -> None:
        """RSET."""
        self._forget()
        self._say(250, "2.0.0 forgotten")
        self.transcript.end()

    def idle(self, rest: str) -> None:
        """NOOP."""
        self._say(250, "2.0.0 ok")

    def _forget(self) -> None:
        self.sender, self.recipients = None, []

    def _fault(self, verb: str) -> bool:
        """Whether an injected fault has answered this command."""
        fault = self.server.faults.for_smtp(verb)
        if fault is None:
            return False
        if fault.kind == "smtp_slow":
            self.server.stopping.wait(fault.seconds)
        return self._end_with(fault)

    def _end_with(self, fault: Fault) -> bool:
        self.transcript.hit(fault.kind)
        if fault.kind == "smtp_drop":
            self.transcript.hang_up()
            raise HangUpError
        if fault.kind == "smtp_reply":
            self._say(fault.status, fault.errmsg or "injected fault")
            if fault.status == 421:
                raise HangUpError
            return True
        return False

    def _asked(self, given: str, prompt: str) -> str:
        if not given:
            self._say(334, prompt)
            given = self._line(is_secret=True)
        return base64.b64decode(given, validate=True).decode()

    def _say(self, code: int, *lines: str) -> None:
        self.transcript.said(code, lines[-1])
        told = [f"{code}-{line}" for line in lines[:-1]] + [f"{code} {lines[-1]}"]
        self.connection.sendall(("\r\n".join(told) + "\r\n").encode("utf-8", "replace"))

    def _receive(self) -> None:
        received = self.connection.recv(65536)
        if not received:
            raise HangUpError
        self.buffer += received

    def _line(self, *, is_secret: bool = False) -> str:
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > LONGEST_LINE:
                raise HangUpError
            self._receive()
        received, _, self.buffer = self.buffer.partition(b"\r\n")
        line = received.decode("utf-8", "replace")
        self.transcript.heard(line, is_secret=is_secret)
        return line

    def _content(self) -> bytes:
        lines: list[bytes] = []
        size = 0
        while True:
            while b"\r\n" not in self.buffer:
                self._receive()
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            if line == b".":
                return b"".join(lines)
            size += len(line) + 2
            if size <= LARGEST_MAIL + LONGEST_LINE:
                lines.append((line[1:] if line.startswith(b".") else line) + b"\r\n")


HANDLERS: dict[str, Callable[[Session, str], None]] = {
    "EHLO": Session.hello,
    "HELO": Session.hello,
    "STARTTLS": Session.secure,
    "AUTH": Session.log_in,
    "MAIL": Session.take_sender,
    "RCPT": Session.take_recipient,
    "DATA": Session.take_content,
    "RSET": Session.reset,
    "NOOP": Session.idle,
}
