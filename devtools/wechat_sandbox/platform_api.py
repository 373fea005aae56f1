"""The platform's own endpoints: official paths, methods, refusals; injected faults around them.

Called by ``sandbox`` for every request that is not for the control API.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from devtools.wechat_sandbox.account_routes import AccountRoutes, read_json
from devtools.wechat_sandbox.faults import Fault
from devtools.wechat_sandbox.http_server import Ending, Request, Response, json_response
from devtools.wechat_sandbox.oauth import AUTHORIZE_PATH
from devtools.wechat_sandbox.refusals import ActionError, RefusalError
from devtools.wechat_sandbox.sms_platform import SMS_PATH

if TYPE_CHECKING:
    from devtools.wechat_sandbox.sandbox import Sandbox

SHOWN_PHONES = 50
HTML_TYPE = "text/html; charset=utf-8"
Handler = Callable[[Request], Response]


class PlatformApi:
    """The route table and its handlers."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        usual: dict[str, tuple[str, Handler]] = {
            "/cgi-bin/token": ("GET", self._token),
            "/cgi-bin/stable_token": ("POST", self._stable_token),
            "/cgi-bin/message/template/send": ("POST", self._send_template),
            "/cgi-bin/message/custom/send": ("POST", self._send_custom),
            "/cgi-bin/ticket/getticket": ("GET", self._ticket),
            "/cgi-bin/media/get": ("GET", self._media),
            "/cgi-bin/media/get/jssdk": ("GET", self._hd_voice),
            "/sns/oauth2/access_token": ("GET", self._exchange_code),
            AUTHORIZE_PATH: ("GET", self._authorize),
        }
        self._routes = AccountRoutes(sandbox).table(usual)

    def handle(self, request: Request) -> Response:
        """Answer one call, with the fault that hits it, and log it."""
        started = time.perf_counter()
        sandbox = self._sandbox
        sandbox.count_call(request.path)
        fault = sandbox.faults.for_call(request.path)
        response = self._answer(request) if fault is None else self._faulty(request, fault)
        took_ms = (time.perf_counter() - started) * 1000
        answered = response.ending is Ending.ANSWER
        sandbox.traffic.add(
            sandbox.clock.now(),
            "in",
            request.method,
            f"{request.path}?{request.query_string}" if request.query_string else request.path,
            request.body,
            response.status if answered else 0,
            response.body if answered else b"",
            took_ms,
            f"fault {fault.kind}" if fault else "",
        )
        return response

    def _answer(self, request: Request) -> Response:
        if request.path == SMS_PATH:
            return self._sandbox.channels.sms.handle(request)
        method, handler = self._routes.get(request.path, ("", None))
        try:
            if handler is None:
                return json_response(RefusalError(40066).answer(), 404)
            if request.method != method:
                raise RefusalError(43001 if method == "GET" else 43002)
            return handler(request)
        except RefusalError as refusal:
            self._sandbox.count_refusal(refusal.errcode)
            return json_response(refusal.answer())

    def _faulty(self, request: Request, fault: Fault) -> Response:
        if fault.kind == "slow":
            self._sandbox.stopping.wait(fault.seconds)
            return self._answer(request)
        if fault.acts:
            self._answer(request)
        if fault.kind == "errcode" and request.path == SMS_PATH:
            return self._sandbox.channels.sms.refused(fault.errmsg or "isp.SYSTEM_ERROR")
        if fault.kind == "errcode":
            return json_response(RefusalError(fault.errcode, fault.errmsg).answer())
        if fault.kind == "http_error":
            return Response(b"<html>error</html>", fault.status, HTML_TYPE)
        if fault.kind == "timeout":
            self._sandbox.stopping.wait(fault.seconds)
            return Response(ending=Ending.CLOSE)
        return Response(ending=Ending.RESET)

    def _token(self, request: Request) -> Response:
        query = request.query
        self._sandbox.tokens.check_account(
            query.get("grant_type", ""), query.get("appid"), query.get("secret")
        )
        value, expires_in = self._sandbox.tokens.plain()
        return json_response({"access_token": value, "expires_in": expires_in})

    def _stable_token(self, request: Request) -> Response:
        order = read_json(request)
        self._sandbox.tokens.check_account(
            str(order.get("grant_type", "")), order.get("appid"), order.get("secret")
        )
        force = order.get("force_refresh") is True
        value, expires_in = self._sandbox.tokens.stable(force_refresh=force)
        return json_response({"access_token": value, "expires_in": expires_in})

    def _send_template(self, request: Request) -> Response:
        self._check_token(request)
        return json_response(self._sandbox.sending.template(read_json(request)))

    def _send_custom(self, request: Request) -> Response:
        self._check_token(request)
        return json_response(self._sandbox.sending.custom(read_json(request)))

    def _ticket(self, request: Request) -> Response:
        self._check_token(request)
        if request.query.get("type") != "jsapi":
            raise RefusalError(40097)
        ticket, expires_in = self._sandbox.tokens.ticket()
        return json_response(
            {"errcode": 0, "errmsg": "ok", "ticket": ticket, "expires_in": expires_in}
        )

    def _media(self, request: Request) -> Response:
        media = self._take_media(request)
        if media.kind == "video":
            return json_response(
                {"video_url": f"{self._sandbox.base_url}/sandbox/media/{media.media_id}"}
            )
        disposition = f'attachment; filename="{media.filename}"'
        headers = (("Content-disposition", disposition),)
        return Response(media.content, content_type=media.content_type, headers=headers)

    def _hd_voice(self, request: Request) -> Response:
        media = self._take_media(request)
        if media.kind != "voice":
            raise RefusalError(40007)
        name = media.filename.rpartition(".")[0] + ".speex"
        headers = (("Content-disposition", f'attachment; filename="{name}"'),)
        return Response(media.content, content_type="voice/speex", headers=headers)

    def _take_media(self, request: Request) -> Any:
        self._check_token(request)
        media_id = request.query.get("media_id")
        if not media_id:
            raise RefusalError(41006)
        self._sandbox.quotas.take("media_get", self._sandbox.settings.media_daily_quota)
        return self._sandbox.media.get(media_id)

    def _exchange_code(self, request: Request) -> Response:
        response = json_response(self._sandbox.oauth.exchange(request.query))
        # The real endpoint labels its JSON as text.
        response.content_type = "text/plain"
        return response

    def _authorize(self, request: Request) -> Response:
        problem = self._sandbox.oauth.problem(request.query_string)
        if problem:
            return page("无法打开页面", html.escape(problem), 400)
        openid = request.query.get("sandbox_openid") or cookie(request, "sandbox_phone")
        if not openid:
            return self._choose_phone(request)
        try:
            self._sandbox.phones.get(openid)
        except ActionError:
            return page("无法打开页面", "没有这部手机", 400)
        code = self._sandbox.oauth.new_code(openid, request.query["scope"])
        location = with_query(
            request.query["redirect_uri"], {"code": code, "state": request.query.get("state", "")}
        )
        headers = [("Location", location)]
        if "sandbox_openid" in request.query:
            # An ordinary browser stays the phone that was chosen.
            headers.append(("Set-Cookie", f"sandbox_phone={openid}; Path=/; SameSite=Lax"))
        return Response(status=302, content_type=HTML_TYPE, headers=tuple(headers))

    def _choose_phone(self, request: Request) -> Response:
        """A page for an ordinary browser, which is nobody's phone: choose who you are."""
        links = [
            f'<li><a href="?{html.escape(request.query_string)}&amp;'
            f'{urlencode({"sandbox_openid": phone.openid})}">'
            f"{html.escape(phone.name or phone.openid)}</a></li>"
            for phone in self._sandbox.phones.listed()[:SHOWN_PHONES]
        ]
        return page("用哪部手机打开？", f"<ul>{''.join(links)}</ul>" if links else "还没有手机")

    def _check_token(self, request: Request) -> None:
        self._sandbox.tokens.check(request.query.get("access_token", ""))


def cookie(request: Request, name: str) -> str:
    """The value of a cookie, or ""."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[name].value if name in jar else ""


def with_query(url: str, added: dict[str, str]) -> str:
    """An address with parameters added to those that it has."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *added.items()])
    return urlunsplit(parts._replace(query=query))


def page(title: str, body: str, status: int = 200) -> Response:
    """A page of the simulated platform; every page says so."""
    text = (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>模拟 - {title}</title><p>模拟</p><h1>{title}</h1><div>{body}</div></html>"
    )
    return Response(text.encode(), status, HTML_TYPE)
