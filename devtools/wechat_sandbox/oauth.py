"""Web login (网页授权): the rules for the authorize address, codes and their exchange.

Called by ``platform_api`` for the two OAuth endpoints, and by ``browser`` for the fragment rule.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.settings import SandboxSettings

AUTHORIZE_PATH = "/connect/oauth2/authorize"
PARAMETER_ORDER = ["appid", "redirect_uri", "response_type", "scope", "state"]
SCOPES = ("snsapi_base", "snsapi_userinfo")
STATE_FORM = re.compile(r"[a-zA-Z0-9]{0,128}")
CODE_LIFETIME_S = 300


@dataclass(slots=True)
class Code:
    """One login code: for whom, until when, and whether it was exchanged."""

    openid: str
    scope: str
    ends_at: float
    used: bool = False


class OAuthDesk:
    """Gives out codes and exchanges them once."""

    def __init__(
        self, lock: threading.RLock, clock: SandboxClock, settings: Callable[[], SandboxSettings]
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._settings = settings
        self._codes: dict[str, Code] = {}

    def problem(self, query_string: str) -> str:
        """What is wrong with an authorize address, in the words of the page shown; "" = nothing."""
        pairs = parse_qsl(query_string, keep_blank_values=True)
        given = dict(pairs)
        names = [name for name, _ in pairs if name in PARAMETER_ORDER]
        if names not in (PARAMETER_ORDER, PARAMETER_ORDER[:-1]):
            return f"参数缺失或顺序不对，应为 {', '.join(PARAMETER_ORDER)}"
        if given["appid"] != self._settings().appid:
            return "AppID 参数错误"
        if given["response_type"] != "code":
            return "response_type 参数错误"
        if given["scope"] not in SCOPES:
            return "Scope 参数错误或没有 Scope 权限"
        if not STATE_FORM.fullmatch(given.get("state", "")):
            return "state 只能是 128 个以内的字母和数字"
        return self._redirect_problem(given["redirect_uri"])

    def new_code(self, openid: str, scope: str) -> str:
        """A code for one login, good for 5 minutes."""
        code = "0" + secrets.token_urlsafe(23)
        with self._lock:
            self._codes[code] = Code(openid, scope, self._clock.now() + CODE_LIFETIME_S)
        return code

    def exchange(self, query: dict[str, str]) -> dict[str, Any]:
        """The answer to sns/oauth2/access_token; raises the platform's refusals."""
        settings = self._settings()
        if not query.get("appid"):
            raise RefusalError(41002)
        if query["appid"] != settings.appid:
            raise RefusalError(40013)
        if not query.get("secret"):
            raise RefusalError(41004)
        if query["secret"] != settings.secret:
            raise RefusalError(40125)
        if query.get("grant_type") != "authorization_code":
            raise RefusalError(40002)
        if not query.get("code"):
            raise RefusalError(41008)
        code = self._take(query["code"])
        return {
            "access_token": "81_" + secrets.token_urlsafe(64),
            "expires_in": 7200,
            "refresh_token": "81_" + secrets.token_urlsafe(64),
            "openid": code.openid,
            "scope": code.scope,
        }

    def snapshot(self) -> dict[str, Any]:
        """The codes, for saving."""
        with self._lock:
            return {value: asdict(code) for value, code in self._codes.items()}

    def restore(self, saved: dict[str, Any]) -> None:
        """Take saved codes."""
        with self._lock:
            self._codes = {value: Code(**row) for value, row in saved.items()}

    def _take(self, value: str) -> Code:
        with self._lock:
            code = self._codes.get(value)
            if code is None:
                raise RefusalError(40029)
            if code.used:
                raise RefusalError(40163)
            if self._clock.now() >= code.ends_at:
                raise RefusalError(40029)
            code.used = True
            return code

    def _redirect_problem(self, redirect_uri: str) -> str:
        target = urlsplit(redirect_uri)
        if target.scheme not in ("http", "https") or not target.hostname:
            return "redirect_uri 参数错误"
        domains = self._settings().oauth_domains
        if domains and target.hostname not in domains:
            return "redirect_uri 域名与后台配置不一致，错误码：10003"
        return ""


def fragment_problem(url: str) -> str:
    """The rule that only the phone can check: the address must end in #wechat_redirect."""
    parts = urlsplit(url)
    if parts.path == AUTHORIZE_PATH and parts.fragment != "wechat_redirect":
        return "授权链接必须以 #wechat_redirect 结尾"
    return ""
