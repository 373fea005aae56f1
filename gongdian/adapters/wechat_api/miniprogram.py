"""The mini-program's calls (小程序接口), with its own appid, secret and token; wiring makes it."""

from __future__ import annotations

import re
from datetime import timedelta

from gongdian.adapters.wechat_api.calls import AccountCalls, unreadable
from gongdian.adapters.wechat_api.shapes import mapping_in, optional_text, text_in
from gongdian.adapters.wechat_api.subscriptions import subscription_document
from gongdian.errors import InputError
from gongdian.wechat_ports import MiniProgramLogin, SubscriptionSend

_SEND = "/cgi-bin/message/subscribe/send"
_LOGIN = "/sns/jscode2session"
_PHONE = "/wxa/business/getuserphonenumber"
_LINK = "/wxa/generate_urllink"
LONGEST_LINK = timedelta(days=30)
SHORTEST_LINK = timedelta(minutes=1)
QUERY_CHARACTERS = 1024
CHINA_CODE = "86"
_DIGITS = re.compile(r"[0-9]{1,15}")


class MiniProgram:
    """Fills ``gongdian.wechat_ports.MiniProgramPort``. ``state``: which edition of the
    mini-program a tap opens, formal, trial or developer."""

    def __init__(self, calls: AccountCalls, *, state: str = "formal") -> None:
        self._calls = calls
        self._state = state

    def send_subscription(self, message: SubscriptionSend) -> None:
        """Send one subscription message; the answer has no message id."""
        document = {
            **subscription_document(message),
            "miniprogram_state": self._state,
            "lang": "zh_CN",
        }
        self._calls.post(_SEND, document, repeatable=False)

    def exchange_login(self, js_code: str) -> MiniProgramLogin:
        """Who logged in; a code works once."""
        more = {"js_code": js_code, "grant_type": "authorization_code"}
        reply = self._calls.get_with_secret(_LOGIN, more, answer="openid")
        openid, key = text_in(reply, "openid", _LOGIN), text_in(reply, "session_key", _LOGIN)
        return MiniProgramLogin(openid, key, optional_text(reply, "unionid"))

    def phone_number(self, code: str) -> str:
        """The number; a foreign one as ``+852…``, with its country code. A code works once."""
        reply = self._calls.post(_PHONE, {"code": code}, repeatable=False, answer="phone_info")
        told = mapping_in(reply, "phone_info", _PHONE)
        number, country = text_in(told, "purePhoneNumber", _PHONE), told.get("countryCode")
        if not _DIGITS.fullmatch(number) or not _DIGITS.fullmatch(str(country)):
            raise unreadable(_PHONE)
        return number if str(country) == CHINA_CODE else f"+{country}{number}"

    def url_link(self, page: str, query: str, life: timedelta) -> str:
        """A link that opens a page; many people may use one link."""
        if not SHORTEST_LINK <= life <= LONGEST_LINK:
            raise InputError("link_life", "a link lasts from a minute to 30 days", life=str(life))
        if "?" in page or len(query) > QUERY_CHARACTERS:
            raise InputError("link_query", "the query stands apart, at most 1024 characters")
        ends = self._calls.clock.now() + life
        document = {
            "path": page,
            "query": query,
            "expire_type": 0,
            "expire_time": int(ends.timestamp()),
        }
        reply = self._calls.post(_LINK, document, repeatable=True, answer="url_link")
        return text_in(reply, "url_link", _LINK)
