"""Server-sent events: tells the Phones page what has changed, not what it is.

Called by ``sandbox`` for /sandbox/events. Each stream looks at the desks many times a second,
which costs the busy path nothing and makes one event out of a burst; the page then asks for what
it shows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from devtools.wechat_sandbox.http_server import Ending, Request, Response

if TYPE_CHECKING:
    from devtools.wechat_sandbox.phones import PhoneState
    from devtools.wechat_sandbox.sandbox import Sandbox

PATH = "/sandbox/events"
LOOK_EVERY_S = 0.05
# Also how long a page that has gone keeps its thread.
ALIVE_EVERY_S = 5.0
RETRY_MS = 500
CLOCK_SLACK_S = 0.4
HEADERS = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))

# What a stream remembers of a phone to see that it has changed: everything that the list shows.
Mark = tuple[str, str, bool, int, str]


class EventsStream:
    """Makes one endless answer for each page that listens."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def owns(self, path: str) -> bool:
        """Whether this path is the stream's."""
        return path == PATH

    def handle(self, request: Request) -> Response:
        """An answer that lasts until the page or the sandbox goes away."""
        return Response(
            content_type="text/event-stream; charset=utf-8",
            headers=HEADERS,
            ending=Ending.STREAM,
            pieces=self.pieces(),
        )

    def pieces(self) -> Iterator[bytes]:
        """The events of one stream; it begins with everything, so a reconnect misses nothing."""
        yield f"retry: {RETRY_MS}\n\n".encode()
        watched = Watched(self._sandbox)
        said_at = time.monotonic()
        while not self._sandbox.stopping.is_set():
            changes = watched.changes()
            if changes:
                said_at = time.monotonic()
                yield b"".join(encode_event(name, data) for name, data in changes)
            elif time.monotonic() - said_at > ALIVE_EVERY_S:
                said_at = time.monotonic()
                yield b": alive\n\n"
            self._sandbox.stopping.wait(LOOK_EVERY_S)


class Watched:
    """What one page was told last."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._generation = -1
        self._phones: dict[str, Mark] = {}
        self._others: dict[str, Any] = {}
        self._ahead = 0.0

    def changes(self) -> list[tuple[str, Any]]:
        """Events since the last look, as names and JSON values."""
        found = self._phone_changes()
        sandbox = self._sandbox
        now: dict[str, dict[str, Any]] = {
            "traffic": {"last": sandbox.traffic.last_number()},
            "faults": {"listed": sandbox.faults.listed(), "hits": sandbox.faults.hits()},
            "scenario": sandbox.scenarios.progress(),
            "menu": {"buttons": sandbox.desks.menus.buttons},
        }
        for name, value in now.items():
            if self._others.get(name) != value:
                self._others[name] = value
                found.append((name, value))
        return found + self._clock_jump()

    def _clock_jump(self) -> list[tuple[str, Any]]:
        now = self._sandbox.clock.now()
        ahead = now - time.monotonic()
        # The page lets its clock run on by itself: it is told when that would be wrong.
        if abs(ahead - self._ahead) < CLOCK_SLACK_S:
            return []
        self._ahead = ahead
        return [("clock", {"now": now})]

    def _phone_changes(self) -> list[tuple[str, Any]]:
        phones = self._sandbox.phones.listed()
        generation = self._sandbox.generation
        is_new = generation != self._generation
        if is_new:
            self._generation, self._phones = generation, {}
        changed = []
        for phone in phones:
            mark = mark_of(phone)
            if self._phones.get(phone.openid) != mark:
                self._phones[phone.openid] = mark
                changed.append(summary(phone))
        if not changed and not is_new:
            return []
        return [("phones", {"all": is_new, "generation": generation, "phones": changed})]


def mark_of(phone: PhoneState) -> Mark:
    """Equal while the phone's summary is equal."""
    return phone.name, phone.role, phone.following, len(phone.inbox), phone.receipt_status


def summary(phone: PhoneState) -> dict[str, Any]:
    """A phone as the list shows it; ``last`` is the newest thing on its screen."""
    last = phone.inbox[-1] if phone.inbox else None
    return {
        "openid": phone.openid,
        "name": phone.name,
        "role": phone.role,
        "following": phone.following,
        "items": len(phone.inbox),
        "receipt_status": phone.receipt_status,
        "phone_number": phone.phone_number,
        "mail_address": phone.mail_address,
        "last": {
            "number": last.number,
            "at": last.at,
            "kind": last.kind,
            "text": last.title or last.text,
        }
        if last
        else None,
    }


def encode_event(name: str, data: Any) -> bytes:
    """One event as the wire has it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode("utf-8", "replace")
