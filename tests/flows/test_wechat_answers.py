"""Answers that are not what the platform documents: each call ends in our own error tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gongdian.adapters.credentials_memory import MemoryCredentialStore
from gongdian.adapters.wechat_api.calls import AccountCalls
from gongdian.adapters.wechat_api.client import WechatApi
from gongdian.adapters.wechat_api.miniprogram import MiniProgram
from gongdian.clock import MovableClock
from gongdian.errors import OutcomeUnknownError
from gongdian.ports import TemplateSend, WechatAccount
from gongdian.wechat_ports import MediaKind, WechatDesk
from tests.fake_platform import FakePlatform, fake_platform, says

PNG = b"\x89PNG\r\n\x1a\nrest"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
USER, MENU, QR = "/cgi-bin/user/info", "/cgi-bin/menu/get", "/cgi-bin/qrcode/create"
UPLOAD, QUOTA = "/cgi-bin/media/upload", "/cgi-bin/openapi/quota/get"
PHONE, LINK = "/wxa/business/getuserphonenumber", "/wxa/generate_urllink"
LOGIN, CODE = "/sns/jscode2session", "/sns/oauth2/access_token"
SEND = "/cgi-bin/message/template/send"


@pytest.fixture
def platform() -> Iterator[FakePlatform]:
    with fake_platform() as running:
        running.routes["/cgi-bin/stable_token"] = says({"access_token": "T", "expires_in": 7200})
        yield running


@pytest.fixture
def api(platform: FakePlatform) -> Iterator[WechatApi]:
    clock = MovableClock(NOW, running=False)
    store = MemoryCredentialStore(clock)
    client = WechatApi(WechatAccount("wx1", "s"), store, clock, api_url=platform.url)
    yield client
    client.close()


@pytest.fixture
def desk(api: WechatApi) -> WechatDesk:
    return api.desk()


@pytest.fixture
def mini(platform: FakePlatform) -> Iterator[MiniProgram]:
    clock = MovableClock(NOW, running=False)
    store = MemoryCredentialStore(clock)
    calls = AccountCalls(WechatAccount("wx2", "s"), store, clock, api_url=platform.url)
    yield MiniProgram(calls)
    calls.close()


def _phone(**changes: Any) -> dict[str, Any]:
    right = {"purePhoneNumber": "13800138000", "countryCode": "86"}
    return {"errcode": 0, "phone_info": {**right, **changes}}


Call = Callable[[WechatDesk, MiniProgram], object]
CALLS: dict[str, Call] = {
    USER: lambda desk, mini: desk.users.user("o1"),
    MENU: lambda desk, mini: desk.menus.current(),
    QR: lambda desk, mini: desk.qr_codes.temporary("hall", timedelta(hours=1)),
    UPLOAD: lambda desk, mini: desk.uploads.upload(MediaKind.IMAGE, "a.png", PNG),
    QUOTA: lambda desk, mini: desk.quotas.quota("/cgi-bin/menu/get"),
    PHONE: lambda desk, mini: mini.phone_number("code"),
    LINK: lambda desk, mini: mini.url_link("pages/bill", "", timedelta(days=1)),
    LOGIN: lambda desk, mini: mini.exchange_login("code"),
}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (PHONE, {"errcode": 0, "phone_info": None}),
        (PHONE, {"errcode": 0, "phone_info": ["13800138000"]}),
        (PHONE, _phone(purePhoneNumber=None)),
        (PHONE, _phone(purePhoneNumber="138 0013 8000")),
        (PHONE, _phone(countryCode=None)),
        (USER, {"subscribe": None}),
        (USER, {"subscribe": 1, "subscribe_time": "yesterday"}),
        (USER, {"subscribe": 1, "subscribe_time": 10**18}),
        (USER, {"subscribe": 1, "subscribe_time": [1]}),
        (USER, {"subscribe": 1, "subscribe_time": float("inf")}),
        (MENU, {"menu": None}),
        (MENU, {"menu": {"button": {"name": "a"}}}),
        (MENU, {"menu": {"button": ["a"]}}),
        (MENU, {"menu": {"button": [{"name": "a", "sub_button": 1}]}}),
        (QR, {"ticket": None}),
        (QR, {"ticket": "t", "expire_seconds": None}),
        (QR, {"ticket": "t", "expire_seconds": 10**15}),
        (QR, {"ticket": "t", "expire_seconds": "soon"}),
        (UPLOAD, {"media_id": "m", "created_at": "x"}),
        (UPLOAD, {"media_id": "m", "created_at": None}),
        (UPLOAD, {"media_id": None, "created_at": 1}),
        (QUOTA, {"errcode": 0, "quota": None}),
        (QUOTA, {"errcode": 0, "quota": {"daily_limit": float("inf"), "used": 1, "remain": 1}}),
        (LINK, {"errcode": 0, "url_link": None}),
        (LOGIN, {"openid": None, "session_key": "k"}),
        (LOGIN, {"openid": "o", "session_key": 1}),
    ],
)
def test_an_answer_of_the_wrong_shape_is_an_error_of_ours(
    platform: FakePlatform, desk: WechatDesk, mini: MiniProgram, path: str, answer: dict[str, Any]
) -> None:
    platform.routes[path] = says(answer)
    with pytest.raises(OutcomeUnknownError, match="wechat_answer_unreadable"):
        CALLS[path](desk, mini)


def test_what_may_be_missing_is_empty(
    platform: FakePlatform, api: WechatApi, desk: WechatDesk
) -> None:
    platform.routes[USER] = says({"subscribe": 1, "subscribe_time": None, "unionid": None})
    platform.routes[MENU] = says({"menu": {"button": [{"name": "a", "key": None}]}})
    platform.routes[CODE] = says({"openid": "o1", "scope": None, "unionid": None})
    user = desk.users.user("o1")
    assert (user.is_following, user.followed_at, user.unionid) == (True, None, "")
    (button,) = desk.menus.current()
    assert (button.name, button.key, button.children) == ("a", "", ())
    identity = api.exchange_code("code")
    assert (identity.openid, identity.scope, identity.unionid) == ("o1", "", "")


@pytest.mark.parametrize(
    ("told", "msgid"),
    [
        (200228332, "200228332"), ("3141592", "3141592"), (None, "0"), ([1], "0"),
        ("1" * 33, "0"), ("1 ", "0"), (True, "0"),
    ],
)  # fmt: skip
def test_a_message_id_that_cannot_be_one_counts_as_none(
    platform: FakePlatform, api: WechatApi, told: Any, msgid: str
) -> None:
    platform.routes[SEND] = says({"errcode": 0, "errmsg": "ok", "msgid": told})
    assert api.send_template(TemplateSend("o", "t", {}, client_msg_id="1")).msgid == msgid
