"""Example 3: one template message with its receipt, a spent quota, and the page behind the card."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode
from urllib.request import Request, urlopen
from wsgiref.simple_server import make_server

import pytest

from devtools.wechat_sandbox.examples.test_standard_library import Quiet
from devtools.wechat_sandbox.fixture import RunningSandbox

SEND = "/cgi-bin/message/template/send"


class Backend:
    """The least backend: keeps receipts, sends a card, greets whoever opens its page."""

    def __init__(self, wechat: RunningSandbox) -> None:
        self.wechat = wechat
        self.receipts: list[str] = []
        self.server = make_server("127.0.0.1", 0, self.answer, handler_class=Quiet)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        query = parse_qs(environ["QUERY_STRING"])
        if environ["PATH_INFO"] == "/callback":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
            self.receipts.append(body)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"success"]
        if "code" not in query:
            start_response("302 Found", [("Location", self.login_url())])
            return [b""]
        who = self.call(
            "/sns/oauth2/access_token", grant_type="authorization_code", code=query["code"][0]
        )
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [f"<title>账单</title>您好，{who['openid']}".encode()]

    def login_url(self) -> str:
        query = urlencode(
            {
                "appid": self.wechat.sandbox.settings.appid,
                "redirect_uri": f"{self.url}/bill",
                "response_type": "code",
                "scope": "snsapi_base",
                "state": "s1",
            }
        )
        return f"{self.wechat.base_url}/connect/oauth2/authorize?{query}#wechat_redirect"

    def call(self, path: str, body: Any = None, **query: str) -> Any:
        account = self.wechat.sandbox.settings
        login = {"appid": account.appid, "secret": account.secret}
        query = {**query, **({} if "access_token" in query else login)}
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.wechat.base_url}{path}?{urlencode(query)}", data)) as answer:  # noqa: S310
            return json.loads(answer.read())

    def send_card(self, openid: str) -> Any:
        token = self.call("/cgi-bin/token", grant_type="client_credential")["access_token"]
        order = {
            "touser": openid,
            "template_id": "BILL",
            "url": f"{self.url}/bill",
            "data": {"amount1": {"value": "88.60"}},
        }
        return self.call(SEND, order, access_token=token)


@pytest.fixture
def backend(wechat_sandbox: RunningSandbox) -> Iterator[Backend]:
    sandbox = wechat_sandbox.sandbox
    sandbox.register_template("BILL", "电费账单", {"amount1": "应交电费"})
    made = Backend(wechat_sandbox)
    sandbox.change(callback_url=f"{made.url}/callback", receipt_delay_s=0.02)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_card_arrives_with_its_receipt(backend: Backend) -> None:
    sandbox = backend.wechat.sandbox
    phone = sandbox.add_phone(following=True)
    answer = backend.send_card(phone.openid)
    assert answer["errcode"] == 0
    assert sandbox.drain(10)
    (receipt,) = backend.receipts
    assert "TEMPLATESENDJOBFINISH" in receipt
    assert str(answer["msgid"]) in receipt


def test_spent_quota_is_told_and_no_card_is_shown(backend: Backend) -> None:
    sandbox = backend.wechat.sandbox
    phone = sandbox.add_phone(following=True)
    sandbox.faults.add("errcode", scope=SEND, errcode=45009, next_n=1)
    assert backend.send_card(phone.openid)["errcode"] == 45009
    assert phone.cards() == []
    assert backend.send_card(phone.openid)["errcode"] == 0


def test_page_behind_the_card_knows_who_opens_it(backend: Backend) -> None:
    phone = backend.wechat.sandbox.add_phone(following=True)
    backend.send_card(phone.openid)
    page = phone.open(phone.cards()[0]["url"])
    assert page.status == 200
    assert f"您好，{phone.openid}" in page.body
    assert len(page.hops) == 3
