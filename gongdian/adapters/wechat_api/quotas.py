"""What an account may still call today (接口额度); wiring puts it on the desk."""

from __future__ import annotations

from gongdian.adapters.wechat_api.calls import AccountCalls
from gongdian.adapters.wechat_api.shapes import mapping_in, number_in
from gongdian.wechat_ports import ApiQuota

_GET = "/cgi-bin/openapi/quota/get"
_CLEAR = "/cgi-bin/clear_quota"
_CLEAR_WITH_SECRET = "/cgi-bin/clear_quota/v2"  # noqa: S105 - a path


class Quotas:
    """Fills ``gongdian.wechat_ports.QuotaPort``."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def quota(self, path: str) -> ApiQuota:
        """Of one interface; 76021 when there is none of this name."""
        reply = self._calls.post(_GET, {"cgi_path": path}, repeatable=True, answer="quota")
        told = mapping_in(reply, "quota", _GET)
        limit, used = number_in(told, "daily_limit", _GET), number_in(told, "used", _GET)
        return ApiQuota(limit, used, number_in(told, "remain", _GET))

    def clear(self, *, with_secret: bool = False) -> None:
        """Start all counters anew; each time counts, so it is never repeated by itself."""
        if with_secret:
            self._calls.post_with_secret(_CLEAR_WITH_SECRET)
        else:
            self._calls.post(_CLEAR, {"appid": self._calls.account.appid}, repeatable=False)
