"""Calling the platform in the name of one account: token, errcodes, one log line for a failure.

The official account's client and the mini-program's each have one; their subjects (menus, users,
quotas ...) share it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from gongdian.adapters.wechat_api.credentials import Credentials, Held, Patience
from gongdian.adapters.wechat_api.errcodes import TOKEN_ERRCODES, credential_refusal, refusal
from gongdian.adapters.wechat_api.transport import HttpLimits, HttpTransport
from gongdian.clock import Clock
from gongdian.errors import GongdianError, OutcomeUnknownError, PlatformRefusalError
from gongdian.ports import CredentialStore, WechatAccount

_log = logging.getLogger("gongdian.wechat_api")

_STABLE_TOKEN = "/cgi-bin/stable_token"  # noqa: S105 - a path
_TICKET = "/cgi-bin/ticket/getticket"


class AccountCalls:
    """Sends calls with the account's access_token; threads share one object.

    A call that meets a token errcode renews the token once and is sent once more, never again.
    """

    def __init__(
        self,
        account: WechatAccount,
        store: CredentialStore,
        clock: Clock,
        *,
        api_url: str,
        limits: HttpLimits | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.account = account
        self.clock = clock
        self._http = HttpTransport(api_url, limits)
        self._credentials = Credentials(store, clock, patience)
        self._token_name = f"{account.appid}:access_token"
        self._ticket_name = f"{account.appid}:jsapi_ticket"

    def post(
        self, path: str, document: Mapping[str, Any], *, repeatable: bool, answer: str = "errcode"
    ) -> dict[str, Any]:
        """POST a document; the accepted reply, which has the field ``answer``."""

        def send(query: str) -> dict[str, Any]:
            reply = self._http.post(path, query, document, repeatable=repeatable)
            return _with_field(reply, answer, path)

        return self.call(path, send)

    def get(
        self, path: str, more: Mapping[str, str] | None = None, *, answer: str
    ) -> dict[str, Any]:
        """GET with the parameters ``more``; the accepted reply, which has the field ``answer``."""

        def send(query: str) -> dict[str, Any]:
            reply = self._http.get(path, "&".join((query, *_pairs(more or {}))))
            return _with_field(reply, answer, path)

        return self.call(path, send)

    def upload(
        self, path: str, more: Mapping[str, str], body: bytes, content_type: str, *, answer: str
    ) -> dict[str, Any]:
        """POST a form with a file; the accepted reply, which has the field ``answer``."""

        def send(query: str) -> dict[str, Any]:
            query = "&".join((query, *_pairs(more)))
            reply = self._http.post_form(path, query, body, content_type)
            return _with_field(reply, answer, path)

        return self.call(path, send)

    def get_with_secret(self, path: str, more: Mapping[str, str], *, answer: str) -> dict[str, Any]:
        """GET with appid and secret instead of a token (logins); the accepted reply."""
        mine = {"appid": self.account.appid, "secret": self.account.secret}
        with Logged(path):
            reply = self._http.get(path, "&".join(_pairs({**mine, **more})))
            accepted(_with_field(reply, answer, path), path, credential_refusal)
            return reply

    def post_with_secret(self, path: str) -> dict[str, Any]:
        """POST with appid and appsecret in the address, for when no token can be had."""
        mine = {"appid": self.account.appid, "appsecret": self.account.secret}
        with Logged(path):
            reply = self._http.post(path, "&".join(_pairs(mine)), {}, repeatable=False)
            return accepted(_with_field(reply, "errcode", path), path, credential_refusal)

    def call(self, path: str, send: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """Call with the access_token, with a renewed one once more when it is refused.

        ``send`` takes the query that carries the token and returns the platform's reply.
        """
        with Logged(path):
            token = self._credentials.get(self._token_name, self._fetch_token)
            reply = send(_token_query(token))
            errcode = _errcode(reply, path)
            if errcode in TOKEN_ERRCODES:
                _log.info("wechat_token_renewal", extra={"api": path, "errcode": errcode})
                token = self._credentials.renew(self._token_name, token, self._fetch_token)
                reply = send(_token_query(token))
            return accepted(reply, path, refusal)

    def ticket(self) -> str:
        """The account's jsapi_ticket."""
        return self._credentials.get(self._ticket_name, self._fetch_ticket).value

    def close(self) -> None:
        """Close the idle connections."""
        self._http.close()

    def _fetch_token(self) -> tuple[str, int]:
        # Without force_refresh the platform keeps giving the same token, so that another
        # system of the company that asks too is not thrown out.
        document = {
            "grant_type": "client_credential",
            "appid": self.account.appid,
            "secret": self.account.secret,
        }
        with Logged(_STABLE_TOKEN):
            reply = self._http.post(_STABLE_TOKEN, "", document, repeatable=True)
            accepted(reply, _STABLE_TOKEN, credential_refusal)
            return _credential(reply, "access_token", _STABLE_TOKEN)

    def _fetch_ticket(self) -> tuple[str, int]:
        reply = self.call(_TICKET, lambda query: self._http.get(_TICKET, f"{query}&type=jsapi"))
        return _credential(reply, "ticket", _TICKET)


class Logged:
    """Writes one line for a failed call; no openid, no token, no errmsg (it may quote either)."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, PlatformRefusalError):
            _log.warning(
                "wechat_call_refused",
                extra={"api": self._path, "errcode": error.errcode, "rid": error.rid},
            )
        elif isinstance(error, GongdianError):
            cause = error.context.get("cause") or error.context.get("status") or ""
            _log.warning(
                "wechat_call_failed",
                extra={"api": self._path, "error_code": error.code, "cause": str(cause)},
            )


def accepted(
    reply: dict[str, Any], path: str, refuse: Callable[[int, str], PlatformRefusalError]
) -> dict[str, Any]:
    """The reply when it has no errcode, or 0; else the refusal is raised."""
    errcode = _errcode(reply, path)
    if errcode == 0:
        return reply
    raise refuse(errcode, str(reply.get("errmsg", "")))


def unreadable(path: str) -> OutcomeUnknownError:
    """The error for an answer that is not what the platform documents."""
    return OutcomeUnknownError("wechat_answer_unreadable", path=path)


def _with_field(reply: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    # Some other program's JSON says nothing about the call.
    if name not in reply and not _errcode(reply, path):
        raise unreadable(path)
    return reply


def _errcode(reply: dict[str, Any], path: str) -> int:
    try:
        return int(reply.get("errcode", 0))
    except (TypeError, ValueError, OverflowError) as error:
        raise unreadable(path) from error


def _token_query(token: Held) -> str:
    return "access_token=" + quote(token.value, safe="")


def _pairs(parameters: Mapping[str, str]) -> list[str]:
    return [f"{name}={quote(value, safe='')}" for name, value in parameters.items()]


def _credential(reply: dict[str, Any], field: str, path: str) -> tuple[str, int]:
    value, expires_in = reply.get(field), reply.get("expires_in")
    if not isinstance(value, str) or not value or not isinstance(expires_in, int):
        raise unreadable(path)
    return value, expires_in
