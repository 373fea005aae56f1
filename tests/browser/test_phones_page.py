"""The phones of the Phones page in a real browser, with the whole installation behind them."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from devtools.demo.props import hand_out_phones
from devtools.demo.stage import Stage
from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.outward_http import OutwardHttp
from devtools.wechat_sandbox.sandbox import Sandbox
from tests.browser.viewer import DESK, PHONE, Viewer, ready

pytestmark = pytest.mark.chromium

# Two grey points: the smallest picture that a browser shows.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAAAAADRSSBWAAAAC0lEQVR4nGNoaAAAAYMBARg1IhUAAAAASUVORK5CYII="
)
MENU = [
    {"type": "click", "name": "绑定微信", "key": "BIND"},
    {"name": "更多服务", "sub_button": [{"type": "scancode_push", "name": "扫电表", "key": "M"}]},
]


def call_platform(sandbox: Sandbox, openid: str) -> dict[str, Any]:
    """Send a card as any backend does: a token, then the send call, both over HTTP."""
    account, client = sandbox.settings, OutwardHttp()
    values = {"thing1": {"value": "解放路"}, "time2": {"value": "2026年11月23日 14:00"}}
    login = {"appid": account.appid, "secret": account.secret, "grant_type": "client_credential"}
    try:
        url = f"{sandbox.base_url}/cgi-bin/token?{urlencode(login)}"
        token = json.loads(client.send("GET", url).body)["access_token"]
        order = {"touser": openid, "template_id": "T1", "data": values}
        url = f"{sandbox.base_url}/cgi-bin/message/template/send?access_token={token}"
        body = json.dumps(order).encode()
        answer: dict[str, Any] = json.loads(client.send("POST", url, body).body)
    finally:
        client.close()
    return answer


def test_people_follow_bind_and_answer_inside_their_own_frames(
    stage: Stage, browser: Browser
) -> None:
    hand_out_phones(stage)
    viewer = Viewer(browser, DESK)
    viewer.open(stage.sandbox)
    first, second = viewer.phone("李女士"), viewer.phone("王先生")
    for phone in (first, second):
        phone.follow()
        expect(phone.root.locator(".notice")).to_have_text("已关注该公众号")
        phone.root.get_by_role("button", name="更多服务").click()
        phone.root.get_by_role("menuitem", name="绑定微信").click()
        expect(phone.cards).to_have_count(1)
    for phone in (first, second):
        phone.cards.get_by_role("button", name="查看详情").click()
    expect(first.web.get_by_role("heading", level=1)).to_contain_text("绑定微信")
    expect(second.web.get_by_role("heading", level=1)).to_contain_text("绑定微信")
    viewer.picture("phones-web")
    first.web.get_by_role("button", name="同意并绑定").click()
    second.web.get_by_role("button", name="暂不绑定").click()
    expect(first.web.get_by_role("heading", level=1)).to_have_text("绑定成功")
    expect(second.web.get_by_role("heading", level=1)).to_have_text("没有绑定")
    expect(first.root.locator(".navbar h2")).to_contain_text("已绑定")
    first.root.get_by_label("返回").click()
    expect(first.cards).to_have_count(2)
    second.root.press("Escape")
    expect(second.cards).to_have_count(1)
    expect(viewer.page.locator(".phone .statusbar .mock")).to_have_text(["模拟"] * 4)
    viewer.check()


def test_a_card_is_on_the_screen_within_a_second_of_the_call(
    stage: Stage, browser: Browser
) -> None:
    phone = ready(stage, "李女士")
    viewer = Viewer(browser, DESK)
    viewer.open(stage.sandbox)
    expect(viewer.phone("李女士").root.locator(".notice")).to_have_count(1)
    sandbox = stage.sandbox
    sandbox.register_template("T1", "停电通知", {"thing1": "地址", "time2": "停电时间"})
    called_ms = time.time() * 1000
    answer = call_platform(sandbox, phone.openid)
    expect(viewer.phone("李女士").cards).to_have_count(1)
    card = viewer.phone("李女士").cards
    expect(card.get_by_role("heading")).to_have_text("停电通知")
    expect(card.locator("dt")).to_have_text(["地址", "停电时间"])
    expect(card.locator("dd")).to_have_text(["解放路", "2026年11月23日 14:00"])
    expect(card.get_by_role("button")).to_have_count(0)
    assert answer["errcode"] == 0
    expect(viewer.phone("王先生").cards).to_have_count(0)
    (shown_ms,) = viewer.page.evaluate("Object.values(window.cardTimes)")
    assert shown_ms - called_ms < 1000
    viewer.check()


def test_a_person_sends_all_sorts_and_leaves(browser: Browser, tmp_path: Path) -> None:
    picture = tmp_path / "meter.png"
    picture.write_bytes(PICTURE)
    with running_sandbox() as running:
        sandbox = running.sandbox
        sandbox.desks.menus.create({"button": MENU})
        person = sandbox.add_phone(name="小赵", role="抢修员", following=True)
        viewer = Viewer(browser, DESK)
        viewer.open(sandbox)
        worker = viewer.phone("小赵")
        worker.root.get_by_role("button", name="更多服务").click()
        worker.root.get_by_role("menuitem", name="扫电表").click()
        worker.sheet.get_by_label("二维码内容").fill("METER-7")
        worker.send_sheet()
        worker.root.get_by_label("切换到输入").click()
        with viewer.page.expect_file_chooser() as chooser:
            worker.extra("图片")
        chooser.value.set_files(picture)
        expect(worker.root.locator("img.picture")).to_have_js_property("naturalWidth", 2)
        worker.extra("位置")
        worker.sheet.get_by_role("button", name="人民公园东门").click()
        worker.send_sheet()
        expect(worker.root.locator(".place")).to_contain_text("人民公园东门")
        worker.extra("语音")
        worker.send_sheet()
        expect(worker.root.locator(".voice")).to_have_text("5″")
        worker.extra("扫带参二维码")
        worker.send_sheet()
        worker.root.get_by_label("更多", exact=True).click()
        worker.sheet.get_by_role("button", name="取消关注").click()
        expect(worker.root.locator(".notice").last).to_have_text("已取消关注该公众号")
        expect(worker.root.get_by_role("button", name="关注公众号")).to_be_visible()
        assert sandbox.stats()["callbacks"]["created"] == 6
        kinds = [item["extra"].get("type") for item in person.inbox() if item["kind"] == "sent"]
        assert kinds == ["image", "location", "voice"]
        viewer.check()


def test_an_empty_page_gives_four_phones(browser: Browser) -> None:
    with running_sandbox() as running:
        viewer = Viewer(browser, DESK)
        viewer.open(running.sandbox)
        viewer.page.get_by_role("button", name="添加四部手机").click()
        expect(viewer.page.locator(".phone .statusbar .mock")).to_have_text(["模拟"] * 4)
        expect(viewer.phone("老周").root).to_contain_text("关注以后，应用会收到关注事件")
        viewer.panel("phones")
        viewer.page.get_by_label("姓名", exact=True).fill("张工")
        viewer.page.get_by_label("手机号").fill("13900000001")
        viewer.page.get_by_role("button", name="添加手机").click()
        expect(viewer.phone("张工").root).to_be_visible()
        numbers = [phone.phone_number for phone in running.sandbox.phones.listed()]
        assert numbers[-1] == "13900000001"
        assert all(numbers)
        viewer.check()


def test_page_works_on_a_narrow_screen_with_other_channels(stage: Stage, browser: Browser) -> None:
    phone, sandbox = ready(stage, "李女士"), stage.sandbox
    state = sandbox.phones.get(phone.openid)
    phone.say("绑定")
    stage.wait_for(phone.cards, "the card")
    viewer = Viewer(browser, PHONE)
    viewer.open(sandbox)
    first = viewer.phone("李女士")
    expect(first.cards).to_have_count(1)
    sandbox.phones.show(state, "sms", text="【云溪供电】今日停电已恢复。")
    sandbox.phones.show(state, "mail", title="十月电费账单", text="账单见附件。")
    expect(first.root.locator(".tabs .badge")).to_have_text(["1", "1"])
    viewer.picture("phones-narrow")
    first.root.get_by_role("tab", name="短信").click()
    expect(first.root.locator(".messages")).to_contain_text("今日停电已恢复")
    expect(first.root.locator(".tabs .badge")).to_have_text(["1"])
    first.root.get_by_label("返回").click()
    expect(first.root.locator(".chat-row")).to_have_count(3)
    first.root.locator(".chat-row", has_text="邮件").click()
    expect(first.root.locator(".mail h3")).to_have_text("十月电费账单")
    first.root.get_by_role("tab", name="公众号").click()
    first.cards.get_by_role("button", name="查看详情").click()
    expect(first.web.get_by_role("heading", level=1)).to_contain_text("绑定微信")
    viewer.page.locator("#phone-tabs button", has_text="王先生").click()
    expect(viewer.phone("王先生").root).to_be_visible()
    expect(first.root).to_be_hidden()
    viewer.panel("faults")
    expect(viewer.page.get_by_role("button", name="45009 额度用完")).to_be_visible()
    viewer.check()


def test_pages_of_a_card_open_in_every_phone_with_its_own_login(
    stage: Stage, browser: Browser
) -> None:
    phone = ready(stage, "李女士")
    stage.sandbox.wait(phone.say("绑定"))
    card = stage.wait_for(phone.cards, "the card")[-1]
    stranger = stage.sandbox.frames.address(stage.sandbox.add_phone().openid, card["url"])
    own = stage.sandbox.frames.address(phone.openid, card["url"])
    context = browser.new_context()
    page = context.new_page()
    assert page.goto(own).status == 200  # type: ignore[union-attr]
    assert page.goto(stranger).status == 404  # type: ignore[union-attr]
    assert page.goto(own).status == 200  # type: ignore[union-attr]
    # The browser itself was given no cookie: each phone keeps its own in the sandbox.
    assert context.cookies() == []
