"""What an account may call a day (接口额度): asking, and clearing at most 10 times a month.

Called by ``account_routes``, also for counting the calls that have no desk of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.quotas import QuotaDesk
from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.settings import SandboxSettings

CLEARS_PER_MONTH = 10
CHINA_S = 8 * 3600
# Interfaces whose limit is a setting, and under which name their desk counts them
NAMED = {
    "/cgi-bin/message/template/send": ("template", "template_daily_quota"),
    "/cgi-bin/message/custom/send": ("custom", "custom_daily_quota"),
    "/cgi-bin/token": ("token", "token_daily_quota"),
    "/cgi-bin/stable_token": ("stable_token", "stable_token_daily_quota"),
    "/cgi-bin/media/get": ("media_get", "media_daily_quota"),
}
# The platform's table for a new account; an entry of path_daily_quotas wins
DAILY = {
    "/cgi-bin/menu/create": 1_000,
    "/cgi-bin/menu/get": 10_000,
    "/cgi-bin/menu/delete": 1_000,
    "/cgi-bin/media/upload": 5_000,
    "/cgi-bin/qrcode/create": 100_000,
    "/cgi-bin/user/info": 5_000_000,
    "/cgi-bin/message/subscribe/bizsend": 100_000,
    "/cgi-bin/message/subscribe/send": 10_000_000,
    "/wxa/generate_urllink": 500_000,
    "/wxa/business/getuserphonenumber": 500_000,
}


class ApiQuotaDesk:
    """Answers for one account."""

    def __init__(
        self,
        lock: threading.RLock,
        clock: SandboxClock,
        settings: Callable[[], SandboxSettings],
        quotas: QuotaDesk,
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._settings = settings
        self._quotas = quotas
        self.cleared: dict[str, int] = {}

    def take(self, path: str) -> None:
        """Count one call; raises 45009 when the day's are used up."""
        self._quotas.take(path, self._limit(path))

    def get(self, order: dict[str, Any]) -> dict[str, Any]:
        """The answer to openapi/quota/get. Raises RefusalError."""
        path = order.get("cgi_path")
        if not isinstance(path, str) or not path.startswith("/"):
            raise RefusalError(76003)
        if path.startswith("/sns/"):
            raise RefusalError(76022)
        if path not in DAILY and path not in NAMED:
            raise RefusalError(76021)
        limit = self._limit(path)
        used = self._quotas.used_today().get(NAMED.get(path, (path, ""))[0], 0)
        quota = {"daily_limit": limit, "used": used, "remain": max(0, limit - used)}
        return {"errcode": 0, "errmsg": "ok", "quota": quota}

    def clear(self) -> dict[str, Any]:
        """Start the counters anew; raises 48006 the eleventh time in a month."""
        month = time.strftime("%Y-%m", time.gmtime(self._clock.now() + CHINA_S))
        with self._lock:
            if self.cleared.get(month, 0) >= CLEARS_PER_MONTH:
                raise RefusalError(48006)
            self.cleared = {month: self.cleared.get(month, 0) + 1}
            self._quotas.clear()
        return {"errcode": 0, "errmsg": "ok"}

    def _limit(self, path: str) -> int:
        settings = self._settings()
        if path in NAMED:
            limit: int = getattr(settings, NAMED[path][1])
            return limit
        return settings.path_daily_quotas.get(path, DAILY.get(path, 0))
