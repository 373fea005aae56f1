"""Tapping links: the web login, cookies, forms."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from devtools.wechat_sandbox.fixture import RunningSandbox
from devtools.wechat_sandbox.http_server import LeanServer, Request, Response
from tests.flows.wechat_sandbox.client import Api


class House:
    """A page behind the web login, as an account's own site has it."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.server = LeanServer("127.0.0.1", 0, self.handle)
        self.url = f"http://127.0.0.1:{self.server.port}"
        self.answers: list[str] = []

    def authorize_url(self, ending: str = "#wechat_redirect") -> str:
        query = {
            "appid": self.api.sandbox.settings.appid,
            "redirect_uri": f"{self.url}/back?from=menu",
            "response_type": "code",
            "scope": "snsapi_base",
            "state": "s1",
        }
        return f"{self.api.base_url}/connect/oauth2/authorize?{urlencode(query)}{ending}"

    def handle(self, request: Request) -> Response:
        if request.path == "/start":
            return Response(status=302, headers=(("Location", self.authorize_url()),))
        if request.path == "/back":
            assert (request.query["state"], request.query["from"]) == ("s1", "menu")
            settings = self.api.sandbox.settings
            identity = Api(RunningSandbox(self.api.base_url, self.api.sandbox))
            found = identity.get(
                "/sns/oauth2/access_token",
                appid=settings.appid,
                secret=settings.secret,
                code=request.query["code"],
                grant_type="authorization_code",
            )
            identity.client.close()
            cookie = ("Set-Cookie", f"who={found['openid']}; Path=/; HttpOnly")
            return Response(status=303, headers=(("Location", "/page"), cookie))
        who = request.headers.get("cookie", "")
        if request.method == "POST":
            self.answers.append(f"{who} {request.body.decode()}")
        form = f'<form><input type="hidden" name="csrf" value="t1">{who}</form>'
        return Response(form.encode(), content_type="text/html")


@pytest.fixture
def house(api: Api) -> Iterator[House]:
    made = House(api)
    made.server.start()
    yield made
    made.server.stop()


def test_tapping_a_link_goes_through_the_login_and_a_form_can_be_answered(
    api: Api, house: House
) -> None:
    phone = api.sandbox.add_phone(following=True)
    page = phone.open(f"{house.url}/start")
    assert (page.status, page.url) == (200, f"{house.url}/page")
    assert f"who={phone.openid}" in page.body
    assert page.hidden_fields == {"csrf": "t1"}
    assert len(page.hops) == 4
    phone.submit(page.url, {**page.hidden_fields, "answer": "ack"})
    assert house.answers == [f"who={phone.openid} csrf=t1&answer=ack"]


def test_login_address_without_its_fragment_does_not_open(api: Api, house: House) -> None:
    phone = api.sandbox.add_phone(following=True)
    assert phone.open(house.authorize_url(ending="")).status == 400
    api.sandbox.change(require_wechat_redirect=False)
    assert phone.open(house.authorize_url(ending="")).status == 200


def test_ordinary_browser_is_asked_whose_phone_it_is(api: Api, house: House) -> None:
    phone = api.sandbox.add_phone(name="王工", following=True)
    url = house.authorize_url(ending="")
    page = api.client.send("GET", url)
    assert (page.status, "王工" in page.body.decode()) == (200, True)
    chosen = api.client.send("GET", f"{url}&sandbox_openid={phone.openid}")
    assert chosen.status == 302
    assert chosen.cookies[0].startswith(f"sandbox_phone={phone.openid};")
    assert api.client.send("GET", f"{url}&sandbox_openid=nobody").status == 400
    assert api.client.send("GET", url.replace("state=s1", "state=a-b")).status == 400
