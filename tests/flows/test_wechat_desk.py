"""The rest of the API client against the sandbox: menus, people, uploads, codes, quotas, sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.refusals import ActionError
from devtools.wechat_sandbox.sandbox import Sandbox
from gongdian.adapters.credentials_memory import MemoryCredentialStore
from gongdian.adapters.wechat_api.calls import AccountCalls
from gongdian.adapters.wechat_api.client import WechatApi
from gongdian.adapters.wechat_api.miniprogram import MiniProgram
from gongdian.clock import SystemClock
from gongdian.errors import InputError, OutcomeUnknownError, PlatformRefusalError
from gongdian.ports import WechatAccount
from gongdian.wechat_ports import (
    ApiQuota,
    MediaKind,
    MenuButton,
    SubscriptionSend,
    WechatDesk,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
BIZSEND = "/cgi-bin/message/subscribe/bizsend"
MENU = (
    MenuButton(
        "用电服务",
        children=(
            MenuButton("绑定户号", "click", key="BIND"),
            MenuButton("停电查询", "view", url="https://h5.example/outage"),
        ),
    ),
    MenuButton("报修", "miniprogram", url="https://h5.example/", appid="wx1", page="pages/fault"),
)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(receipts=False) as running:
        running.sandbox.register_template("T1", "停电通知", {"thing1": "地址", "time2": "时间"})
        yield running.sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[WechatApi]:
    settings, clock = sandbox.settings, SystemClock()
    account = WechatAccount(settings.appid, settings.secret)
    client = WechatApi(account, MemoryCredentialStore(clock), clock, api_url=sandbox.base_url)
    yield client
    client.close()


@pytest.fixture
def desk(api: WechatApi) -> WechatDesk:
    return api.desk()


@pytest.fixture
def mini(sandbox: Sandbox) -> Iterator[MiniProgram]:
    settings, clock = sandbox.settings, SystemClock()
    account = WechatAccount(settings.miniprogram_appid, settings.miniprogram_secret)
    store = MemoryCredentialStore(clock)
    calls = AccountCalls(account, store, clock, api_url=sandbox.base_url)
    yield MiniProgram(calls)
    calls.close()


def notification(openid: str, **changes: Any) -> SubscriptionSend:
    values = {"thing1": "云溪路12号", "time2": "2026-01-05 14:30"}
    return replace(SubscriptionSend(openid, "T1", values, "https://h5.example/n"), **changes)


def refused(call: Any, *arguments: Any, **named: Any) -> int:
    with pytest.raises(PlatformRefusalError) as caught:
        call(*arguments, **named)
    return caught.value.errcode


def test_a_menu_is_created_read_and_deleted(sandbox: Sandbox, desk: WechatDesk) -> None:
    assert desk.menus.current() == ()

    desk.menus.create(MENU)
    assert desk.menus.current() == MENU
    assert [one["name"] for one in sandbox.desks.menus.buttons] == ["用电服务", "报修"]
    first = sandbox.menu_version
    desk.menus.create(MENU[:1])
    assert 0 < first < sandbox.menu_version

    desk.menus.delete()
    assert desk.menus.current() == ()
    assert sandbox.menu_version == 0


@pytest.mark.parametrize(
    ("buttons", "code"),
    [
        ((), "menu_buttons"),
        (MENU * 2, "menu_buttons"),
        ((MenuButton("五个汉字名", "click", key="A"),), "menu_name"),
        ((MenuButton(" ", "click", key="A"),), "menu_name"),
        ((MenuButton("甲", children=(MenuButton("九个汉字的子菜单名", "click"),)),), "menu_name"),
        ((MenuButton("甲", "click"),), "menu_key"),
        ((MenuButton("甲", "click", key="K" * 129),), "menu_key"),
        ((MenuButton("甲", "view", url="ftp://h5"),), "menu_url"),
        ((MenuButton("甲", "view", url="https://" + "a" * 1024),), "menu_url"),
        ((MenuButton("甲", "miniprogram", url="https://h5.example"),), "menu_miniprogram"),
        ((MenuButton("甲", "dance"),), "menu_kind"),
        ((MenuButton("甲", "click", key="A", children=MENU[0].children),), "menu_kind"),
        ((MenuButton("甲", children=MENU[0].children * 3),), "menu_buttons"),
        ((MenuButton("甲", children=(MENU[0],)),), "menu_depth"),
    ],
)  # fmt: skip
def test_a_menu_that_would_be_refused_or_cut_is_not_sent(
    sandbox: Sandbox, desk: WechatDesk, buttons: tuple[MenuButton, ...], code: str
) -> None:
    with pytest.raises(InputError) as caught:
        desk.menus.create(buttons)

    assert caught.value.code == code
    assert "/cgi-bin/menu/create" not in sandbox.stats()["calls"]


def test_phones_can_only_tap_what_the_menu_has(sandbox: Sandbox, desk: WechatDesk) -> None:
    phone = sandbox.add_phone(following=True)
    phone.click("ANYTHING")  # nobody made a menu yet
    desk.menus.create(MENU)
    phone.click("BIND")
    phone.view("https://h5.example/outage")
    with pytest.raises(ActionError):
        phone.click("ANYTHING")
    with pytest.raises(ActionError):
        phone.view("https://elsewhere.example/")


def test_people_are_looked_up(sandbox: Sandbox, desk: WechatDesk) -> None:
    phone, stranger = sandbox.add_phone(), sandbox.add_phone()
    phone.follow("desk-7")

    user = desk.users.user(phone.openid)

    assert (user.is_following, user.scene, user.came_through) == (
        True,
        "desk-7",
        "ADD_SCENE_QR_CODE",
    )
    assert user.followed_at is not None
    assert not desk.users.user(stranger.openid).is_following
    assert refused(desk.users.user, "oNobody") == 40003


def test_an_uploaded_picture_can_be_downloaded_again(api: WechatApi, desk: WechatDesk) -> None:
    media = desk.uploads.upload(MediaKind.IMAGE, "照片.png", PNG)

    assert b"".join(api.download_media(media.media_id).chunks) == PNG
    assert media.kind is MediaKind.IMAGE


@pytest.mark.parametrize(
    ("kind", "filename", "content", "code"),
    [
        (MediaKind.IMAGE, "a.png", PNG + bytes(2_000_000), "media_size"),
        (MediaKind.IMAGE, "a.png", b"", "media_size"),
        (MediaKind.IMAGE, "a.bmp", PNG, "media_format"),
        (MediaKind.IMAGE, "a.jpg", PNG, "media_format"),
        (MediaKind.VOICE, "a.wav", b"RIFF", "media_format"),
        (MediaKind.VIDEO, "a.mp4", b"nothing like it", "media_format"),
        (MediaKind.THUMB, "a.jpg", b"\xff\xd8\xff" + bytes(64_000), "media_size"),
    ],
)
def test_a_file_that_the_platform_would_refuse_is_not_sent(
    sandbox: Sandbox, desk: WechatDesk, kind: MediaKind, filename: str, content: bytes, code: str
) -> None:
    with pytest.raises(InputError) as caught:
        desk.uploads.upload(kind, filename, content)

    assert caught.value.code == code
    assert "/cgi-bin/media/upload" not in sandbox.stats()["calls"]


@pytest.mark.parametrize(
    ("kind", "filename", "content"),
    [
        (MediaKind.VOICE, "a.amr", b"#!AMR\nsound"),
        (MediaKind.VIDEO, "a.mp4", b"\x00\x00\x00\x18ftypmp42film"),
        (MediaKind.THUMB, "a.jpg", b"\xff\xd8\xffsmall"),
    ],
)
def test_every_kind_of_file_is_taken(
    desk: WechatDesk, kind: MediaKind, filename: str, content: bytes
) -> None:
    assert desk.uploads.upload(kind, filename, content).media_id


def test_a_code_with_a_scene_brings_it_along(sandbox: Sandbox, desk: WechatDesk) -> None:
    code = desk.qr_codes.temporary("hall-3", timedelta(days=30))
    phone = sandbox.add_phone()
    phone.scan_ticket(code.ticket)
    assert desk.users.user(phone.openid).scene == "hall-3"
    assert code.expires_at is not None
    assert code.image_url.endswith(code.ticket)

    lasting = desk.qr_codes.lasting("hall-4")
    assert lasting.expires_at is None
    sandbox.move_clock(31 * 86_400)
    phone.scan_ticket(lasting.ticket)
    with pytest.raises(ActionError):
        phone.scan_ticket(code.ticket)


def test_codes_keep_to_the_limits(desk: WechatDesk) -> None:
    with pytest.raises(InputError):
        desk.qr_codes.temporary("hall", timedelta(days=31))
    with pytest.raises(InputError):
        desk.qr_codes.lasting("x" * 65)


def test_a_notification_passes_once_for_each_yes(sandbox: Sandbox, desk: WechatDesk) -> None:
    phone = sandbox.add_phone()
    assert refused(desk.subscriptions.send, notification(phone.openid)) == 43101

    phone.answer_popup({"T1": "accept"})
    desk.subscriptions.send(notification(phone.openid))
    assert refused(desk.subscriptions.send, notification(phone.openid)) == 43101
    (card,) = phone.cards()
    assert (card["url"], card["extra"]["channel"]) == ("https://h5.example/n", "subscription")


def test_a_long_term_template_passes_until_it_is_refused_in_the_settings(
    sandbox: Sandbox, desk: WechatDesk
) -> None:
    sandbox.change(long_term_templates=("T1",))
    phone = sandbox.add_phone()
    phone.answer_popup({"T1": "accept"})
    desk.subscriptions.send(notification(phone.openid))
    desk.subscriptions.send(notification(phone.openid))
    phone.refuse_in_settings(["T1"])
    assert refused(desk.subscriptions.send, notification(phone.openid)) == 43101


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"openid": "oNobody"}, 40003),
        ({"template_id": "T9"}, 40037),
        ({"data": {"thing1": "字" * 21, "time2": "15:01"}}, 47003),
        ({"data": {"thing1": "", "time2": "15:01"}}, 47003),
    ],
)
def test_a_wrong_notification_is_refused_and_costs_no_credit(
    sandbox: Sandbox, desk: WechatDesk, change: dict[str, Any], errcode: int
) -> None:
    phone = sandbox.add_phone()
    phone.answer_popup({"T1": "accept"})
    assert (
        refused(desk.subscriptions.send, replace(notification(phone.openid), **change)) == errcode
    )
    desk.subscriptions.send(notification(phone.openid))


def test_the_quota_is_told_used_up_and_cleared(sandbox: Sandbox, desk: WechatDesk) -> None:
    sandbox.change(path_daily_quotas={BIZSEND: 2}, long_term_templates=("T1",))
    phone = sandbox.add_phone()
    phone.answer_popup({"T1": "accept"})
    desk.subscriptions.send(notification(phone.openid))
    assert desk.quotas.quota(BIZSEND) == ApiQuota(2, 1, 1)
    desk.subscriptions.send(notification(phone.openid))
    assert refused(desk.subscriptions.send, notification(phone.openid)) == 45009

    desk.quotas.clear()
    assert desk.quotas.quota(BIZSEND) == ApiQuota(2, 0, 2)
    assert refused(desk.quotas.quota, "/no/such/path") == 76021
    assert refused(desk.quotas.quota, "no-slash") == 76003
    assert refused(desk.quotas.quota, "/sns/jscode2session") == 76022


def test_both_ways_of_clearing_share_ten_a_month(sandbox: Sandbox, desk: WechatDesk) -> None:
    for number in range(10):
        desk.quotas.clear(with_secret=number % 2 == 0)
    assert refused(desk.quotas.clear) == 48006
    assert refused(desk.quotas.clear, with_secret=True) == 48006
    sandbox.move_clock(32 * 86_400)
    desk.quotas.clear()


def test_clearing_with_the_secret_works_without_a_token(sandbox: Sandbox, desk: WechatDesk) -> None:
    sandbox.faults.add("errcode", "/cgi-bin/stable_token", percent=100, errcode=45009)
    assert refused(desk.quotas.clear) == 45009
    desk.quotas.clear(with_secret=True)


def test_a_mini_program_login_works_once(sandbox: Sandbox, mini: MiniProgram) -> None:
    phone = sandbox.add_phone()
    code = phone.mini_login()

    login = mini.exchange_login(code)

    assert login.openid == sandbox.desks.miniprogram.openid_of(phone.openid) != phone.openid
    assert login.session_key
    assert login.session_key not in repr(login)
    assert refused(mini.exchange_login, code) == 40163
    assert refused(mini.exchange_login, "invented") == 40029
    late = phone.mini_login()
    sandbox.move_clock(301)
    assert refused(mini.exchange_login, late) == 40029


def test_a_risky_person_and_a_hasty_one_cannot_log_in(sandbox: Sandbox, mini: MiniProgram) -> None:
    risky, hasty = sandbox.add_phone(), sandbox.add_phone()
    risky.block_login()
    assert refused(mini.exchange_login, risky.mini_login()) == 40226
    for _ in range(100):
        mini.exchange_login(hasty.mini_login())
    assert refused(mini.exchange_login, hasty.mini_login()) == 45011


def test_a_phone_number_is_given_once(sandbox: Sandbox, mini: MiniProgram) -> None:
    phone = sandbox.add_phone()
    code = phone.mini_phone_code("13912345678")
    assert mini.phone_number(code) == "13912345678"
    assert refused(mini.phone_number, code) == 40029
    assert refused(mini.phone_number, phone.mini_login()) == 40029


def test_a_foreign_phone_number_keeps_its_country_code(sandbox: Sandbox, mini: MiniProgram) -> None:
    code = sandbox.add_phone().mini_phone_code("+852 91234567")
    assert mini.phone_number(code) == "+85291234567"


def test_a_mini_program_message_needs_a_credit_of_its_own(
    sandbox: Sandbox, mini: MiniProgram
) -> None:
    phone = sandbox.add_phone()
    openid = sandbox.desks.miniprogram.openid_of(phone.openid)
    message = notification(openid, page="pages/bill?id=1")
    phone.answer_popup({"T1": "accept"})
    assert refused(mini.send_subscription, message) == 43101

    phone.mini_answer_popup({"T1": "accept"})
    mini.send_subscription(message)
    assert phone.cards()[0]["extra"]["page"] == "pages/bill?id=1"
    assert refused(mini.send_subscription, replace(message, openid=phone.openid)) == 40003


def test_a_page_that_is_not_published_is_refused(sandbox: Sandbox, mini: MiniProgram) -> None:
    sandbox.change(miniprogram_pages=("pages/bill",))
    phone = sandbox.add_phone()
    openid = sandbox.desks.miniprogram.openid_of(phone.openid)
    phone.mini_answer_popup({"T1": "accept"})
    assert refused(mini.send_subscription, notification(openid, page="pages/none")) == 41030
    assert refused(mini.url_link, "pages/none", "", timedelta(days=1)) == 40165


def test_a_link_opens_a_page_for_up_to_thirty_days(sandbox: Sandbox, mini: MiniProgram) -> None:
    link = mini.url_link("pages/bill", "id=1", timedelta(days=30))
    assert sandbox.desks.miniprogram.links()[link]["query"] == "id=1"
    assert refused(mini.url_link, "pages/bill", "中文", timedelta(days=1)) == 40212
    for life in (timedelta(days=31), timedelta(seconds=10)):
        with pytest.raises(InputError):
            mini.url_link("pages/bill", "", life)
    with pytest.raises(InputError):
        mini.url_link("pages/bill?id=1", "", timedelta(days=1))


def test_the_mini_program_has_its_own_token_and_quota(
    sandbox: Sandbox, desk: WechatDesk, mini: MiniProgram
) -> None:
    mini.url_link("pages/bill", "", timedelta(days=1))
    sandbox.tokens.end_all()  # the official account's
    mini.url_link("pages/bill", "", timedelta(days=1))
    assert sandbox.stats()["calls"]["/cgi-bin/stable_token"] == 1
    assert desk.quotas.quota("/wxa/generate_urllink").used == 0
    sandbox.desks.miniprogram.tokens.end_all()
    mini.url_link("pages/bill", "", timedelta(days=1))


def test_an_upload_renews_an_ended_token_and_sends_the_file_again(
    sandbox: Sandbox, api: WechatApi, desk: WechatDesk
) -> None:
    desk.menus.current()
    sandbox.tokens.end_all()

    media = desk.uploads.upload(MediaKind.IMAGE, "a.png", PNG)

    assert b"".join(api.download_media(media.media_id).chunks) == PNG
    assert sandbox.stats()["calls"]["/cgi-bin/stable_token"] == 2


def test_a_notification_on_a_broken_connection_is_not_sent_again_by_itself(
    sandbox: Sandbox, desk: WechatDesk
) -> None:
    phone = sandbox.add_phone()
    phone.answer_popup({"T1": "accept"})
    phone.answer_popup({"T1": "accept"})
    desk.menus.current()  # leaves a connection open
    sandbox.faults.add("reset", BIZSEND, next_n=1, acts=True)

    with pytest.raises(OutcomeUnknownError):
        desk.subscriptions.send(notification(phone.openid))

    assert len(phone.cards()) == 1


def test_what_does_no_harm_twice_is_sent_again_on_a_broken_connection(
    sandbox: Sandbox, desk: WechatDesk
) -> None:
    desk.menus.create(MENU)
    for path in ("/cgi-bin/menu/create", "/cgi-bin/media/upload", "/cgi-bin/qrcode/create"):
        sandbox.faults.add("reset", path, next_n=1, acts=True)

    desk.menus.create(MENU)
    desk.uploads.upload(MediaKind.IMAGE, "a.png", PNG)
    desk.qr_codes.lasting("hall")

    assert desk.menus.current() == MENU


@pytest.mark.parametrize("status", [500, 502])
def test_a_failing_platform_leaves_the_outcome_of_a_clearing_open(
    sandbox: Sandbox, desk: WechatDesk, status: int
) -> None:
    sandbox.faults.add("http_error", "/cgi-bin/clear_quota/v2", next_n=1, status=status)
    with pytest.raises(OutcomeUnknownError):
        desk.quotas.clear(with_secret=True)
