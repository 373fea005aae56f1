"""The mini-program of the same company (小程序): its own account, login codes, phone codes, links.

Called by ``account_routes``; ``phone_actions`` asks for codes. A person has another openid here.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from devtools.wechat_sandbox.clock import DAY_S, SandboxClock
from devtools.wechat_sandbox.phones import PhoneDesk, PhoneState
from devtools.wechat_sandbox.quotas import QuotaDesk
from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.tokens import TokenDesk

CODE_LIFETIME_S = 300
LOGINS_PER_MINUTE = 100
LONGEST_LINK_S, SHORTEST_LINK_S = 30 * DAY_S, 60
QUERY_FORM = re.compile(r"[0-9A-Za-z!#$&'()*+,/:;=?@\-._~%]{0,1024}")


@dataclass(slots=True)
class Code:
    """A login or phone code: for whom, until when, and whether it was exchanged."""

    openid: str
    number: str
    ends_at: float
    used: bool = False


class MiniProgramDesk:
    """Everything of the mini-program but its messages."""

    def __init__(
        self,
        lock: threading.RLock,
        clock: SandboxClock,
        settings: Callable[[], SandboxSettings],
        phones: PhoneDesk,
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._settings = settings
        self._phones = phones
        self._codes: dict[str, Code] = {}
        self._links: dict[str, dict[str, Any]] = {}
        self.blocked: set[str] = set()
        self.quotas = QuotaDesk(lock, clock)
        self.tokens = TokenDesk(lock, clock, self.quotas, self._account)

    def openid_of(self, openid: str) -> str:
        """A person's openid in the mini-program."""
        return "oM" + _digest(f"mini {openid}")[:26]

    def find(self, openid: object) -> PhoneState | None:
        """The phone by its openid in the mini-program."""
        found = (one for one in self._phones.listed() if self.openid_of(one.openid) == openid)
        return next(found, None)

    def login_code(self, openid: str) -> str:
        """What wx.login gives the mini-program."""
        return self._new_code("0", openid, "")

    def phone_code(self, openid: str, number: str) -> str:
        """What the button 手机号 gives the mini-program; a foreign number: ``+852 91234567``."""
        return self._new_code("p", openid, number)

    def login(self, query: dict[str, str]) -> dict[str, Any]:
        """The answer to jscode2session. Raises RefusalError."""
        self.tokens.check_account("client_credential", query.get("appid"), query.get("secret"))
        if query.get("grant_type") != "authorization_code":
            raise RefusalError(40002)
        if not query.get("js_code"):
            raise RefusalError(41008)
        code = self._take("0", query["js_code"])
        if code.openid in self.blocked:
            raise RefusalError(40226)
        self.quotas.take(f"login:{code.openid}", 0, LOGINS_PER_MINUTE)
        return {
            "openid": self.openid_of(code.openid),
            "session_key": base64.b64encode(secrets.token_bytes(16)).decode("ascii"),
            "unionid": "oU" + _digest(f"union {code.openid}")[:26],
        }

    def phone_number(self, order: dict[str, Any]) -> dict[str, Any]:
        """The answer to getuserphonenumber. Raises RefusalError."""
        code = self._take("p", str(order.get("code") or ""))
        country, _, pure = code.number.removeprefix("+").rpartition(" ")
        shown = {
            "phoneNumber": f"+{country}{pure}" if country else pure,
            "purePhoneNumber": pure,
            "countryCode": country or "86",
            "watermark": {
                "timestamp": int(self._clock.now()),
                "appid": self._settings().miniprogram_appid,
            },
        }
        return {"errcode": 0, "errmsg": "ok", "phone_info": shown}

    def url_link(self, order: dict[str, Any]) -> dict[str, Any]:
        """The answer to generate_urllink. Raises RefusalError."""
        page, query = order.get("path", ""), order.get("query", "")
        pages = self._settings().miniprogram_pages
        if not isinstance(page, str) or "?" in page or (page and pages and page not in pages):
            raise RefusalError(40165)
        if not isinstance(query, str) or not QUERY_FORM.fullmatch(query):
            raise RefusalError(40212)
        ends_at = self._link_end(order)
        link = "https://wxaurl.cn/" + secrets.token_urlsafe(8)
        with self._lock:
            self._links[link] = {"path": page, "query": query, "ends_at": ends_at}
        return {"errcode": 0, "errmsg": "ok", "url_link": link}

    def links(self) -> dict[str, dict[str, Any]]:
        """The links that were made, and what each opens."""
        with self._lock:
            return dict(self._links)

    def clear(self) -> None:
        """Forget codes, links, blocks and counts; tokens stay."""
        with self._lock:
            self._codes.clear()
            self._links.clear()
            self.blocked.clear()
            self.quotas.clear()

    def _account(self) -> SandboxSettings:
        settings = self._settings()
        mine, secret = settings.miniprogram_appid, settings.miniprogram_secret
        return replace(settings, appid=mine, secret=secret)

    def _new_code(self, first: str, openid: str, number: str) -> str:
        value = first + secrets.token_urlsafe(23)
        with self._lock:
            self._codes[value] = Code(openid, number, self._clock.now() + CODE_LIFETIME_S)
        return value

    def _take(self, first: str, value: str) -> Code:
        with self._lock:
            code = self._codes.get(value)
            if code is None or not value.startswith(first) or self._clock.now() >= code.ends_at:
                raise RefusalError(40029)
            if code.used:
                raise RefusalError(40163 if first == "0" else 40029)
            code.used = True
            return code

    def _link_end(self, order: dict[str, Any]) -> float:
        now = self._clock.now()
        if order.get("expire_type", 0) == 1:
            days = order.get("expire_interval")
            if type(days) is not int or not 1 <= days <= LONGEST_LINK_S // DAY_S:
                raise RefusalError(85401)
            return now + days * DAY_S
        ends_at = order.get("expire_time")
        # A client's clock may be a little ahead.
        if type(ends_at) is not int or not SHORTEST_LINK_S <= ends_at - now <= LONGEST_LINK_S + 5:
            raise RefusalError(85401)
        return float(ends_at)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
