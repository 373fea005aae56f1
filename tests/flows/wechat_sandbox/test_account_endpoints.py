"""Menu, people, codes, uploads, quotas and the mini-program as a developer's client meets them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devtools.wechat_sandbox.account_desks import AccountDesks
from tests.flows.wechat_sandbox.client import Api

CLICK = {"type": "click", "name": "绑定", "key": "BIND"}
VIEW = {"type": "view", "name": "停电", "url": "https://h5.example/"}
SCENE = {"action_info": {"scene": {"scene_str": "hall"}}}


def _below(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"name": "服务", "sub_button": list(buttons)}


@pytest.mark.parametrize(
    ("buttons", "errcode"),
    [
        ([CLICK, VIEW, _below(CLICK, VIEW)], 0),
        ([], 40016),
        ([CLICK] * 4, 40016),
        (None, 40016),
        ([{**CLICK, "type": "dance"}], 40017),
        ([{**CLICK, "name": "六个汉字菜单"}], 40018),
        ([{**CLICK, "name": ""}], 40018),
        ([{**CLICK, "key": "K" * 129}], 40019),
        ([{**VIEW, "url": ""}], 40020),
        ([{**VIEW, "url": "h5.example"}], 40055),
        ([_below(*[CLICK] * 6)], 40023),
        ([_below({**CLICK, "type": "dance"})], 40024),
        ([_below({**CLICK, "name": "字" * 21})], 40025),
        ([_below({"type": "click", "name": "绑定"})], 40026),
        ([_below({**VIEW, "url": "https://" + "a" * 1024})], 40027),
        ([_below({**VIEW, "url": "ftp://h5"})], 40054),
    ],
)
def test_menus_keep_to_the_limits(api: Api, buttons: Any, errcode: int) -> None:
    answer = api.post("/cgi-bin/menu/create", {"button": buttons}, access_token=api.token)

    assert answer["errcode"] == errcode
    shown = api.get("/sandbox/menu")["buttons"]
    assert shown == ([] if errcode else buttons)


def test_a_wrapped_menu_is_refused_as_on_the_platform(api: Api) -> None:
    wrapped = {"menu": {"button": [CLICK]}}
    assert api.post("/cgi-bin/menu/create", wrapped, access_token=api.token)["errcode"] == 40016
    assert api.get("/cgi-bin/menu/get", access_token=api.token)["errcode"] == 46003


@pytest.mark.parametrize(
    ("order", "errcode"),
    [
        ({"action_name": "QR_STR_SCENE", "expire_seconds": 2_592_000, **SCENE}, 0),
        ({"action_name": "QR_LIMIT_STR_SCENE", **SCENE}, 0),
        ({"action_name": "QR_SCENE", "action_info": {"scene": {"scene_id": 7}}}, 0),
        ({"action_name": "QR_STR_SCENE", "expire_seconds": 2_592_001, **SCENE}, 40097),
        ({"action_name": "QR_STR_SCENE", "expire_seconds": "60", **SCENE}, 40097),
        ({"action_name": "QR_NONE", **SCENE}, 40052),
        ({"action_name": "QR_STR_SCENE"}, 40053),
        ({"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": ""}}}, 40053),
        ({"action_name": "QR_LIMIT_SCENE", "action_info": {"scene": {"scene_id": 0}}}, 40053),
    ],
)
def test_codes_keep_to_the_limits(api: Api, order: dict[str, Any], errcode: int) -> None:
    answer = api.post("/cgi-bin/qrcode/create", order, access_token=api.token)

    assert answer.get("errcode", 0) == errcode
    assert ("ticket" in answer) == (errcode == 0)


def test_a_code_without_a_life_lasts_half_a_minute(api: Api) -> None:
    order = {"action_name": "QR_STR_SCENE", **SCENE}
    answer = api.post("/cgi-bin/qrcode/create", order, access_token=api.token)
    assert answer["expire_seconds"] == 30


@pytest.mark.parametrize(
    ("kind", "filename", "size", "errcode"),
    [
        ("image", "a.png", 10 * 1024 * 1024, 0),
        ("thumb", "a.jpg", 64 * 1024, 0),
        ("sound", "a.amr", 1, 40004),
        ("image", "a.exe", 1, 40005),
        ("image", "a.png", 10 * 1024 * 1024 + 1, 40009),
        ("voice", "a.amr", 2 * 1024 * 1024 + 1, 40010),
        ("video", "a.mp4", 10 * 1024 * 1024 + 1, 40011),
        ("thumb", "a.jpg", 64 * 1024 + 1, 40012),
        ("image", "a.png", 0, 44001),
    ],
)
def test_uploads_keep_to_the_limits(
    api: Api, kind: str, filename: str, size: int, errcode: int
) -> None:
    content = b"\r\n--x" + b"\r" * size  # what may confuse a reader of forms
    content = content[:size]
    head = f'--B0\r\nContent-Disposition: form-data; name="media"; filename="{filename}"\r\n\r\n'
    form = head.encode() + content + b"\r\n--B0--\r\n"
    answer = api.client.send(
        "POST",
        f"{api.base_url}/cgi-bin/media/upload?access_token={api.token}&type={kind}",
        form,
        headers={"Content-Type": "multipart/form-data; boundary=B0"},
        timeout_s=10,
    )

    answered = json.loads(answer.body)
    assert answered.get("errcode", 0) == errcode
    if not errcode:
        media_id = answered.get("media_id") or answered["thumb_media_id"]
        assert api.sandbox.media.get(media_id).content == content


def test_an_upload_without_a_form_is_refused(api: Api) -> None:
    answer = api.post("/cgi-bin/media/upload", {}, access_token=api.token, type="image")
    assert answer["errcode"] == 41005


def test_each_account_needs_its_own_token(api: Api) -> None:
    link = api.post("/wxa/generate_urllink", {}, access_token=api.token)
    assert link["errcode"] == 40001
    settings = api.sandbox.settings
    order = {
        "grant_type": "client_credential",
        "appid": settings.miniprogram_appid,
        "secret": settings.miniprogram_secret,
    }
    mini = api.post("/cgi-bin/stable_token", order)["access_token"]
    assert api.get("/cgi-bin/menu/get", access_token=mini)["errcode"] == 40001
    wrong = api.post("/cgi-bin/stable_token", {**order, "secret": settings.secret})
    assert wrong["errcode"] == 40125


def test_a_session_is_saved_and_loaded_with_all_of_it(api: Api) -> None:
    phone = api.sandbox.add_phone(following=True)
    api.post("/cgi-bin/menu/create", {"button": [CLICK]}, access_token=api.token)
    code = {"action_name": "QR_LIMIT_STR_SCENE", **SCENE}
    ticket = api.post("/cgi-bin/qrcode/create", code, access_token=api.token)["ticket"]
    phone.answer_popup({"T1": "accept"})
    saved = api.get("/sandbox/save")

    api.post("/cgi-bin/menu/create", {"button": [VIEW]}, access_token=api.token)
    api.post("/sandbox/reset", {})
    api.post("/sandbox/load", saved)

    desks: AccountDesks = api.sandbox.desks
    assert desks.menus.buttons == [CLICK]
    assert desks.qr_codes.scene(ticket) == "hall"
    assert desks.subscriptions.left("service", phone.openid, "T1") == 1


def test_the_new_actions_are_reached_over_http(api: Api) -> None:
    openid = api.sandbox.add_phone(following=True).openid
    base = f"/sandbox/phones/{openid}"
    answered = api.post(f"{base}/answer_popup", {"choices": {"T1": "accept"}, "wait_s": 1})
    assert "state" in answered
    assert api.post(f"{base}/mini_login", {})["result"]
    assert api.post(f"{base}/answer_popup", {"choices": {"T1": "maybe"}})["error"]
    assert api.post(f"{base}/scan_ticket", {"ticket": "invented"})["error"]
