"""Access tokens of both kinds and jsapi tickets, with the platform's overlaps and limits.

Called by ``platform_api``. The two kinds of token are isolated from each other.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.quotas import QuotaDesk
from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.settings import SandboxSettings

LIFETIME_S = 7200
OVERLAP_S = 300
FORCED_PER_DAY = 20
FORCED_APART_S = 30


@dataclass(slots=True)
class Token:
    """One token; ``withdrawn`` tells 40001 (replaced) from 42001 (ran out)."""

    value: str
    kind: str
    ends_at: float
    withdrawn: bool = False


class TokenDesk:
    """Issues and checks tokens."""

    def __init__(
        self,
        lock: threading.RLock,
        clock: SandboxClock,
        quotas: QuotaDesk,
        settings: Callable[[], SandboxSettings],
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._quotas = quotas
        self._settings = settings
        self._tokens: dict[str, Token] = {}
        self._current: dict[str, str] = {}
        self._forced_at = 0.0
        self._ticket = ""
        self._ticket_ends_at = 0.0
        self.issued = {"token": 0, "stable_token": 0, "ticket": 0}

    def check_account(self, grant_type: str, appid: object, secret: object) -> None:
        """Refuse a request whose grant type, appid or secret is not the account's."""
        settings = self._settings()
        if grant_type != "client_credential":
            raise RefusalError(40002)
        if not appid:
            raise RefusalError(41002)
        if appid != settings.appid:
            raise RefusalError(40013)
        if not secret:
            raise RefusalError(41004)
        if secret != settings.secret:
            raise RefusalError(40125)

    def plain(self) -> tuple[str, int]:
        """GET token: always a new one; the one before works for 5 more minutes."""
        self._quotas.take("token", self._settings().token_daily_quota)
        with self._lock:
            before = self._tokens.get(self._current.get("token", ""))
            if before is not None:
                before.ends_at = min(before.ends_at, self._clock.now() + OVERLAP_S)
                before.withdrawn = True
            return self._issue("token").value, LIFETIME_S

    def stable(self, *, force_refresh: bool) -> tuple[str, int]:
        """POST stable_token: the same token until 5 minutes before its end, or a forced one."""
        settings = self._settings()
        self._quotas.take(
            "stable_token", settings.stable_token_daily_quota, settings.stable_token_minute_quota
        )
        with self._lock:
            now = self._clock.now()
            current = self._tokens.get(self._current.get("stable_token", ""))
            # "At least 30 s apart, otherwise it does not refresh": no error, the same token.
            if force_refresh and now - self._forced_at >= FORCED_APART_S:
                self._quotas.take("stable_token:forced", FORCED_PER_DAY)
                self._forced_at = now
                if current is not None:
                    current.ends_at, current.withdrawn = now, True
                current = None
            if current is None or current.ends_at - now <= OVERLAP_S:
                current = self._issue("stable_token")
            return current.value, int(current.ends_at - now)

    def check(self, value: str) -> None:
        """Refuse a call whose access_token is missing (41001), unknown or replaced (40001), or
        has run out (42001)."""
        if not value:
            raise RefusalError(41001)
        with self._lock:
            token = self._tokens.get(value)
            if token is None:
                raise RefusalError(40001)
            if self._clock.now() >= token.ends_at:
                raise RefusalError(40001 if token.withdrawn else 42001)

    def ticket(self) -> tuple[str, int]:
        """The jsapi ticket, the same one while it lasts."""
        with self._lock:
            now = self._clock.now()
            if now >= self._ticket_ends_at - OVERLAP_S:
                self._ticket = "sM4A" + secrets.token_urlsafe(62)
                self._ticket_ends_at = now + LIFETIME_S
                self.issued["ticket"] += 1
            return self._ticket, int(self._ticket_ends_at - now)

    def end_all(self, *, withdrawn: bool = False) -> None:
        """Make every token fail from now on: as run out (42001), or as replaced (40001)."""
        with self._lock:
            for token in self._tokens.values():
                token.ends_at = min(token.ends_at, self._clock.now())
                token.withdrawn = token.withdrawn or withdrawn
            self._current.clear()

    def snapshot(self) -> dict[str, Any]:
        """The tokens, for saving."""
        with self._lock:
            return {
                "tokens": [asdict(token) for token in self._tokens.values()],
                "current": dict(self._current),
                "forced_at": self._forced_at,
                "ticket": [self._ticket, self._ticket_ends_at],
            }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take saved tokens."""
        with self._lock:
            self._tokens = {row["value"]: Token(**row) for row in saved["tokens"]}
            self._current = dict(saved["current"])
            self._forced_at = saved["forced_at"]
            self._ticket, self._ticket_ends_at = saved["ticket"]

    def _issue(self, kind: str) -> Token:
        now = self._clock.now()
        # Forget what ended a day ago: a client that still uses it is told 40001, as in reality.
        gone = [value for value, token in self._tokens.items() if token.ends_at < now - 86_400]
        for value in gone:
            del self._tokens[value]
        token = Token("80_" + secrets.token_urlsafe(96), kind, now + LIFETIME_S)
        self._tokens[token.value] = token
        self._current[kind] = token.value
        self.issued[kind] += 1
        return token
