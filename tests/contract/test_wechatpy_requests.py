"""wechatpy 1.8.18 as an oracle of requests: both clients ask the platform for the same thing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import wechatpy
from wechatpy.client.api import WeChatWxa

from devtools.wechat_sandbox.uploads import file_of
from gongdian.adapters.credentials_memory import MemoryCredentialStore
from gongdian.adapters.wechat_api.calls import AccountCalls
from gongdian.adapters.wechat_api.client import WechatApi
from gongdian.adapters.wechat_api.miniprogram import MiniProgram
from gongdian.clock import SystemClock
from gongdian.ports import WechatAccount
from gongdian.wechat_ports import MediaKind, MenuButton, SubscriptionSend
from tests.fake_platform import FakePlatform, Request, fake_platform, says

VALUES = {"thing1": "云溪路12号"}
WIRE_VALUES = {"thing1": {"value": "云溪路12号"}}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
OK: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}
ANSWERS: dict[str, dict[str, Any]] = {
    "/cgi-bin/stable_token": {"access_token": "TOKEN", "expires_in": 7200},
    "/cgi-bin/menu/create": OK,
    "/cgi-bin/menu/get": {"menu": {"button": []}},
    "/cgi-bin/menu/delete": OK,
    "/cgi-bin/qrcode/create": {"ticket": "gQ", "expire_seconds": 60, "url": "http://w/q"},
    "/cgi-bin/user/info": {"subscribe": 0, "openid": "oA"},
    "/cgi-bin/media/upload": {"type": "image", "media_id": "m", "created_at": 1},
    "/cgi-bin/message/subscribe/bizsend": OK,
    "/cgi-bin/message/subscribe/send": OK,
    "/sns/jscode2session": {"openid": "oM", "session_key": "k"},
}
OTHERS = {"lang", "miniprogram_state"}  # what only we say, with the platform's own default


class Both:
    """One platform, our clients and the peer's."""

    def __init__(self, platform: FakePlatform) -> None:
        self.platform, clock = platform, SystemClock()
        account, store = WechatAccount("wx1", "s3cret"), MemoryCredentialStore(clock)
        self.api = WechatApi(account, store, clock, api_url=platform.url)
        self.desk = self.api.desk()
        self.calls = AccountCalls(account, store, clock, api_url=platform.url)
        self.mini = MiniProgram(self.calls)
        base = f"{platform.url}/cgi-bin/"
        client = type("Client", (wechatpy.WeChatClient,), {"API_BASE_URL": base})
        self.peer = client("wx1", "s3cret", access_token="TOKEN")

    def asked(self, call: Callable[[], Any]) -> Request:
        """The request that a call makes."""
        call()
        return self.platform.requests[-1]

    def close(self) -> None:
        self.api.close()
        self.calls.close()
        self.peer._http.close()


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    with fake_platform() as platform:
        for path, answer in ANSWERS.items():
            platform.routes[path] = says(answer)
        monkeypatch.setattr(WeChatWxa, "API_BASE_URL", f"{platform.url}/")
        made = Both(platform)
        yield made
        made.close()


MENU = (MenuButton("服务", children=(MenuButton("绑定", "click", key="BIND"),)),)
WIRE_MENU = {
    "button": [{"name": "服务", "sub_button": [{"type": "click", "name": "绑定", "key": "BIND"}]}]
}
SCENE = {"scene": {"scene_str": "hall-3"}}
LASTING = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": SCENE}
NOTICE = SubscriptionSend("oA", "T1", VALUES, "pages/bill")

CALLS: dict[str, tuple[Callable[[Both], Any], Callable[[Both], Any]]] = {
    "menu create": (lambda b: b.desk.menus.create(MENU), lambda b: b.peer.menu.create(WIRE_MENU)),
    "menu get": (lambda b: b.desk.menus.current(), lambda b: b.peer.menu.get()),
    "menu delete": (lambda b: b.desk.menus.delete(), lambda b: b.peer.menu.delete()),
    "temporary code": (
        lambda b: b.desk.qr_codes.temporary("hall-3", timedelta(minutes=1)),
        lambda b: b.peer.qrcode.create(
            {"expire_seconds": 60, "action_name": "QR_STR_SCENE", "action_info": SCENE}
        ),
    ),
    "lasting code": (
        lambda b: b.desk.qr_codes.lasting("hall-3"),
        lambda b: b.peer.qrcode.create(LASTING),
    ),
    "person": (lambda b: b.desk.users.user("oA"), lambda b: b.peer.user.get("oA")),
    "notification": (
        lambda b: b.desk.subscriptions.send(NOTICE),
        lambda b: b.peer.message.send_subscribe_message("oA", "T1", WIRE_VALUES, page="pages/bill"),
    ),
    "mini-program message": (
        lambda b: b.mini.send_subscription(NOTICE),
        lambda b: b.peer.wxa.send_subscribe_message("oA", "T1", WIRE_VALUES, page="pages/bill"),
    ),
    "login": (
        lambda b: b.mini.exchange_login("CODE"),
        lambda b: b.peer.wxa.code_to_session("CODE"),
    ),
}


def _content(request: Request) -> Any:
    return json.loads(request.body) if request.body else None


def _without(document: Any, names: set[str]) -> Any:
    if not isinstance(document, dict):
        return document
    return {name: value for name, value in document.items() if name not in names}


@pytest.mark.parametrize("name", CALLS)
def test_both_clients_ask_for_the_same(both: Both, name: str) -> None:
    mine, its = CALLS[name]
    ours, peers = both.asked(lambda: mine(both)), both.asked(lambda: its(both))

    assert (ours.method, ours.path) == (peers.method, peers.path)
    # The peer adds its token where none is asked for (a login).
    ignored = {"access_token"} if ours.path.startswith("/sns/") else set()
    assert _without(ours.query, ignored) == _without(peers.query, ignored)
    assert _without(_content(ours), OTHERS) == _content(peers)


def test_both_clients_upload_the_same_form(both: Both) -> None:
    ours = both.asked(lambda: both.desk.uploads.upload(MediaKind.IMAGE, "a.png", PNG))
    file = io.BytesIO(PNG)
    file.name = "a.png"
    peers = both.asked(lambda: both.peer.media.upload("image", file))

    assert (ours.method, ours.path, ours.query) == (peers.method, peers.path, peers.query)
    assert _file(ours) == _file(peers) == ("a.png", PNG)


def _file(request: Request) -> tuple[str, bytes] | None:
    boundary = request.body[2 : request.body.index(b"\r\n")].decode()
    return file_of(f"multipart/form-data; boundary={boundary}", request.body)
