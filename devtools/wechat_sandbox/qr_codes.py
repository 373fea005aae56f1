"""QR codes with a scene (带参数二维码): tickets that phones can scan.

Called by ``account_routes``; ``phone_actions`` looks a scanned ticket up.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any

from devtools.wechat_sandbox.clock import DAY_S, SandboxClock
from devtools.wechat_sandbox.refusals import ActionError, RefusalError

LONGEST_S = 30 * DAY_S
USUAL_S = 30
LASTING_CODES = 100_000
TEXT_ACTIONS = {"QR_STR_SCENE": True, "QR_LIMIT_STR_SCENE": False}
NUMBER_ACTIONS = {"QR_SCENE": True, "QR_LIMIT_SCENE": False}


class QrDesk:
    """Makes tickets and knows their scenes; ``ends_at`` 0 = lasts."""

    def __init__(self, lock: threading.RLock, clock: SandboxClock) -> None:
        self._lock = lock
        self._clock = clock
        self._tickets: dict[str, tuple[str, float]] = {}

    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        """Make a ticket. Raises RefusalError."""
        action = order.get("action_name")
        if action not in TEXT_ACTIONS and action not in NUMBER_ACTIONS:
            raise RefusalError(40052)
        is_temporary = {**TEXT_ACTIONS, **NUMBER_ACTIONS}[action]
        value = scene_of(order, action in TEXT_ACTIONS, is_temporary)
        ticket = "gQ" + secrets.token_urlsafe(64)
        url = f"http://weixin.qq.com/q/02{secrets.token_urlsafe(16)}"
        answer: dict[str, Any] = {"ticket": ticket, "url": url}
        ends_at = 0.0
        if is_temporary:
            seconds = order.get("expire_seconds", USUAL_S)
            if type(seconds) is not int or not 1 <= seconds <= LONGEST_S:
                raise RefusalError(40097, "invalid args expire_seconds")
            ends_at = self._clock.now() + seconds
            answer["expire_seconds"] = seconds
        with self._lock:
            if not is_temporary and self._lasting() >= LASTING_CODES:
                raise RefusalError(45029)
            self._tickets[ticket] = (value, ends_at)
        return answer

    def scene(self, ticket: str) -> str:
        """The scene of a ticket; ActionError when there is none or its time is over."""
        with self._lock:
            value, ends_at = self._tickets.get(ticket, ("", -1.0))
        if ends_at and self._clock.now() >= ends_at:
            raise ActionError("no such code, or its time is over")
        return value

    def snapshot(self) -> dict[str, list[Any]]:
        """The tickets, for saving."""
        with self._lock:
            return {ticket: list(row) for ticket, row in self._tickets.items()}

    def restore(self, saved: dict[str, list[Any]]) -> None:
        """Take saved tickets."""
        with self._lock:
            self._tickets = {ticket: (row[0], row[1]) for ticket, row in saved.items()}

    def _lasting(self) -> int:
        return sum(1 for _, ends_at in self._tickets.values() if not ends_at)


def scene_of(order: dict[str, Any], is_text: bool, is_temporary: bool) -> str:
    """The scene that an order asks for. Raises RefusalError."""
    outer = order.get("action_info")
    scene = outer.get("scene") if isinstance(outer, dict) else None
    if not isinstance(scene, dict):
        raise RefusalError(40053)
    value = scene.get("scene_str" if is_text else "scene_id")
    if is_text and isinstance(value, str) and 1 <= len(value) <= 64:
        return value
    most = 2**32 - 1 if is_temporary else 100_000
    if not is_text and type(value) is int and 1 <= value <= most:
        return str(value)
    raise RefusalError(40053)
