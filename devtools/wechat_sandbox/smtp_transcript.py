"""Puts what was said about each mail into the traffic log (邮件会话记录), so that it can be read.

Used by the sessions of ``smtp_server``. Passwords are not kept.
"""

from __future__ import annotations

import time

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.traffic import BODY_BYTES, TrafficLog

METHOD = "SMTP"
LEAST_REFUSAL = 400


class Transcript:
    """One session's talk, cut where a mail ends; ``C:`` is the application, ``S:`` the server."""

    def __init__(self, traffic: TrafficLog, clock: SandboxClock, url: str) -> None:
        self._traffic = traffic
        self._clock = clock
        self._url = url
        self._lines: list[str] = []
        self._refusal = self._fault = ""
        self._status = 0
        self._has_mail = False
        self._begin()

    def heard(self, line: str, *, is_secret: bool = False) -> None:
        """The application said this."""
        verb, _, rest = line.partition(" ")
        if verb.upper() == "AUTH":
            line = f"{verb} {rest.partition(' ')[0]} ***"
        self._has_mail = self._has_mail or verb.upper() == "MAIL"
        self._lines.append("C: ***" if is_secret else f"C: {line}")

    def said(self, code: int, text: str) -> None:
        """The server answered this."""
        self._status = code
        if code >= LEAST_REFUSAL:
            self._refusal = self._refusal or f"{code} {text}"
        self._lines.append(f"S: {code} {text}")

    def content(self, content: bytes) -> None:
        """The mail itself."""
        self._lines.append(content[:BODY_BYTES].decode("utf-8", "replace").rstrip())

    def hit(self, kind: str) -> None:
        """An injected fault did this."""
        self._fault = f"fault {kind}"

    def hang_up(self) -> None:
        """There is no answer to what was said last."""
        self._status = 0

    def end(self) -> None:
        """A mail or the session is over: keep the talk when there is something to read."""
        if self._has_mail or self._refusal or self._fault:
            status = int(self._refusal[:3]) if self._refusal and self._status else self._status
            request, response = "\n".join(self._lines).encode(), self._refusal.encode()
            took_ms = (time.perf_counter() - self._began) * 1000
            self._traffic.add(
                self._at, "in", METHOD, self._url, request, status, response, took_ms, self._fault
            )
        self._begin()

    def _begin(self) -> None:
        self._lines = []
        self._at, self._began = self._clock.now(), time.perf_counter()
        self._status, self._refusal, self._fault, self._has_mail = 0, "", "", False
