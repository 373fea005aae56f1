"""The platform's endpoints for ``account_desks``: menu, people, QR codes, quotas, mini-program.

``platform_api`` adds them to its table and shares ``read_json``. Mini-program calls need its token.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from devtools.wechat_sandbox.http_server import Request, Response, json_response
from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.subscriptions import MINIPROGRAM, SERVICE
from devtools.wechat_sandbox.uploads import take_upload

if TYPE_CHECKING:
    from devtools.wechat_sandbox.sandbox import Sandbox

STABLE_TOKEN = "/cgi-bin/stable_token"
Handler = Callable[[Request], Response]
Answer = Callable[[Request], dict[str, Any]]
Routes = dict[str, tuple[str, Handler]]


class AccountRoutes:
    """Makes the table."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._desks = sandbox.desks

    def table(self, usual: Routes) -> Routes:
        """``usual`` and what is here; asking for a token goes to the account that asks."""
        official, mini = self._official, self._mini
        desks, sandbox = self._desks, self._sandbox
        return {
            **usual,
            STABLE_TOKEN: ("POST", self._token_of(usual[STABLE_TOKEN][1])),
            "/cgi-bin/menu/create": official("POST", lambda r: desks.menus.create(read_json(r))),
            "/cgi-bin/menu/get": official("GET", lambda r: desks.menus.current()),
            "/cgi-bin/menu/delete": official("GET", lambda r: desks.menus.delete()),
            "/cgi-bin/user/info": official("GET", lambda r: desks.people.info(r.query)),
            "/cgi-bin/media/upload": official(
                "POST", lambda r: take_upload(r, sandbox.media, sandbox.clock)
            ),
            "/cgi-bin/qrcode/create": official(
                "POST", lambda r: desks.qr_codes.create(read_json(r))
            ),
            "/cgi-bin/message/subscribe/bizsend": official("POST", self._bizsend),
            "/cgi-bin/message/subscribe/send": mini("POST", self._mini_send),
            "/wxa/business/getuserphonenumber": mini(
                "POST", lambda r: desks.miniprogram.phone_number(read_json(r))
            ),
            "/wxa/generate_urllink": mini(
                "POST", lambda r: desks.miniprogram.url_link(read_json(r))
            ),
            "/sns/jscode2session": (
                "GET",
                lambda r: json_response(desks.miniprogram.login(r.query)),
            ),
            "/cgi-bin/openapi/quota/get": ("POST", self._quota),
            "/cgi-bin/clear_quota": ("POST", self._clear),
            "/cgi-bin/clear_quota/v2": ("POST", self._clear_with_secret),
        }

    def _official(self, method: str, answer: Answer) -> tuple[str, Handler]:
        def handle(request: Request) -> Response:
            self._sandbox.tokens.check(request.query.get("access_token", ""))
            self._desks.quotas.take(request.path)
            return json_response(answer(request))

        return (method, handle)

    def _mini(self, method: str, answer: Answer) -> tuple[str, Handler]:
        def handle(request: Request) -> Response:
            self._desks.miniprogram.tokens.check(request.query.get("access_token", ""))
            self._desks.miniprogram_quotas.take(request.path)
            return json_response(answer(request))

        return (method, handle)

    def _token_of(self, usual: Handler) -> Handler:
        def handle(request: Request) -> Response:
            order = read_json(request)
            if order.get("appid") != self._sandbox.settings.miniprogram_appid:
                return usual(request)
            tokens = self._desks.miniprogram.tokens
            grant = str(order.get("grant_type", ""))
            tokens.check_account(grant, order.get("appid"), order.get("secret"))
            value, left = tokens.stable(force_refresh=order.get("force_refresh") is True)
            return json_response({"access_token": value, "expires_in": left})

        return handle

    def _bizsend(self, request: Request) -> dict[str, Any]:
        order = read_json(request)
        phone = self._sandbox.phones.find(order.get("touser"))
        return self._desks.subscriptions.send(SERVICE, phone, order)

    def _mini_send(self, request: Request) -> dict[str, Any]:
        order = read_json(request)
        phone = self._desks.miniprogram.find(order.get("touser"))
        return self._desks.subscriptions.send(MINIPROGRAM, phone, order)

    def _quota(self, request: Request) -> Response:
        desk = self._desks.miniprogram_quotas if self._is_mini(request) else self._desks.quotas
        return json_response(desk.get(read_json(request)))

    def _clear(self, request: Request) -> Response:
        is_mini, settings = self._is_mini(request), self._sandbox.settings
        appid = settings.miniprogram_appid if is_mini else settings.appid
        if read_json(request).get("appid") != appid:
            raise RefusalError(40013)
        desk = self._desks.miniprogram_quotas if is_mini else self._desks.quotas
        return json_response(desk.clear())

    def _clear_with_secret(self, request: Request) -> Response:
        given, settings = request.query, self._sandbox.settings
        is_mini = given.get("appid") == settings.miniprogram_appid
        tokens = self._desks.miniprogram.tokens if is_mini else self._sandbox.tokens
        tokens.check_account("client_credential", given.get("appid"), given.get("appsecret"))
        desk = self._desks.miniprogram_quotas if is_mini else self._desks.quotas
        return json_response(desk.clear())

    def _is_mini(self, request: Request) -> bool:
        """Whether the token is the mini-program's; raises when it is nobody's."""
        token = request.query.get("access_token", "")
        try:
            self._desks.miniprogram.tokens.check(token)
        except RefusalError:
            self._sandbox.tokens.check(token)
            return False
        return True


def read_json(request: Request) -> dict[str, Any]:
    """The JSON object that was posted; raises 44002 or 47001."""
    if not request.body:
        raise RefusalError(44002)
    try:
        content = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise RefusalError(47001) from error
    if not isinstance(content, dict):
        raise RefusalError(47001)
    return content
