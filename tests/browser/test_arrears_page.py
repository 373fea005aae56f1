"""The page behind an arrears card in a real browser: the bill, the answers, what is forwarded.

With GONGDIAN_TEST_SCREENSHOTS=1 the pictures of docs/images are taken anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from playwright.sync_api import Browser, expect

from devtools.demo.stage import Stage
from tests.account_factories import FIRM, a_firm
from tests.arrears_scene import FIRM_LINES, HOME, SECOND, Customer, Scene
from tests.browser.customer_window import CustomerWindow
from tests.browser.test_binding_page import SIZES

pytestmark = pytest.mark.chromium

PARTY = f"P{FIRM[-6:]}"


@pytest.fixture
def scene(start_stage: Callable[..., Stage]) -> Scene:
    """A foundry that owes October's bill and has paid September's."""
    scene = Scene(start_stage(with_worker=False, arrears_pay_url="https://pay.example.cn/power"))
    scene.firm()
    early = {"readings": FIRM_LINES["readings"], "fees": {"energy": 820_000}}
    scene.bill(FIRM, 820_000, early, period="202609", due_on=date(2026, 10, 15), kwh=12_000.0)
    scene.pay(FIRM, 820_000, bill_no=f"Y202609{FIRM[-4:]}")
    return scene


@pytest.fixture
def who(scene: Scene) -> Customer:
    return scene.person(FIRM)


@pytest.mark.parametrize("size", SIZES)
def test_the_bill_is_read_and_answered(
    scene: Scene, who: Customer, browser: Browser, size: str
) -> None:
    window = CustomerWindow(browser, scene.stage, size, who.phone.openid)
    window.open(who.card())
    assert window.title() == "电费已逾期，请尽快交费"
    expect(window.page.get_by_text("应收电费")).to_be_visible()
    window.check()
    window.picture("arrears")

    window.page.locator("summary", has_text="最早合法停电日").click()
    expect(window.page.get_by_text("系统不会自动停电")).to_be_visible()
    window.check()
    window.picture("arrears-cut")

    window.page.get_by_label("疑问说明").fill("十月的尖段电量比九月多一倍，请核实")
    window.press("有疑问")
    assert window.title() == "谢谢，已收到您的回复"
    window.check()
    window.picture("arrears-answered")
    window.press("返回账单")
    assert "您的疑问正在核实，提醒已暂停" in window.words()
    window.check()
    assert [answer for _, answer, _ in scene.answered()] == ["dispute"]


@pytest.mark.parametrize("size", SIZES)
def test_several_supply_points_are_on_one_page(scene: Scene, browser: Browser, size: str) -> None:
    scene.customers(a_firm(SECOND, party_no=PARTY, name="云溪恒源铸造有限公司二分厂"))
    scene.bill(SECOND, 1_234_567, FIRM_LINES, due_on=date(2026, 11, 20), kwh=12_120.0)
    scene.pay(SECOND, 234_567, state="in_flight", method="transfer", expected_on=date(2026, 11, 24))
    both = scene.person(FIRM, SECOND, name="王会计")
    window = CustomerWindow(browser, scene.stage, size, both.phone.openid)

    window.open(both.card())
    assert window.page.get_by_role("checkbox").count() == 2
    window.check()
    window.picture("arrears-several")
    window.page.get_by_role("checkbox").nth(1).uncheck()
    window.press("已缴费")

    assert window.title() == "谢谢，已收到您的回复"
    assert scene.answered() == [(FIRM, "paid", "")]


@pytest.mark.parametrize("size", SIZES)
def test_what_a_colleague_gets_is_masked(
    scene: Scene, who: Customer, browser: Browser, size: str
) -> None:
    window = CustomerWindow(browser, scene.stage, size, who.phone.openid)
    window.open(who.card())
    window.press("转给同事")
    window.check()
    if size == "phone":
        # A new key signs each link: the picture would never be the same.
        window.page.evaluate(
            "document.querySelector('.gd-link-text').textContent ="
            " 'https://dl.example.cn/h5/arrears/shared?m=AAAAAAAAAAEAAAAA6Jc0k1q0Wl0m3Yx6v9Zt2QxR8s'"
        )
        window.picture("arrears-share")
    address = window.page.get_by_role("link", name="打开转发页").get_attribute("href")

    colleague = CustomerWindow(browser, scene.stage, size)
    colleague.open(str(address))
    assert colleague.title() == "请您代交电费"
    assert FIRM not in colleague.words()
    colleague.check()
    colleague.picture("arrears-shared")


@pytest.mark.parametrize("size", SIZES)
def test_earlier_months_can_be_read(
    scene: Scene, who: Customer, browser: Browser, size: str
) -> None:
    window = CustomerWindow(browser, scene.stage, size, who.phone.openid)
    window.open(who.card())
    window.press("以前月份的电费")
    window.check()

    window.press("2026年9月")
    assert window.title() == "2026年9月电费"
    assert "应收电费8200.00元" in window.words()
    window.check()
    window.press("返回月份列表")

    window.open("/h5/bills")
    assert window.title() == "我的电费"
    window.check()
    window.picture("bills")
    window.press("2026年10月")
    window.check()
    window.picture("bill")


@pytest.mark.parametrize("size", SIZES)
def test_not_mine_needs_two_taps(scene: Scene, who: Customer, browser: Browser, size: str) -> None:
    window = CustomerWindow(browser, scene.stage, size, who.phone.openid)
    card = who.card()
    window.open(card)
    window.press("不是我的户号")
    window.check()
    window.picture("arrears-not-mine")

    window.press("确认，不是我的户号")

    assert window.title() == "已经记下"
    window.check()
    window.open(card)
    assert window.title() == "不能再查看这份账单"
    window.check()


@pytest.mark.parametrize("size", SIZES)
def test_a_link_of_a_text_message_opens_without_wechat(
    scene: Scene, browser: Browser, size: str
) -> None:
    scene.home()
    window = CustomerWindow(browser, scene.stage, size)

    window.open(scene.text_link(HOME, "13800001111"))
    assert "户名张*户号9900*****5812" in window.words()
    window.check()
    window.picture("arrears-text-link")
    window.press("已知晓")

    assert window.title() == "谢谢，已收到您的回复"
    window.check()


def test_a_long_debt_with_every_note_stays_readable(
    scene: Scene, who: Customer, browser: Browser
) -> None:
    for month in range(1, 9):
        fees = {"fees": {"energy": 999_999_999}}
        due = date(2026, month, 28)
        scene.bill(FIRM, 999_999_999, fees, period=f"2026{month:02d}", due_on=due, kwh=9_999_999.0)
    scene.pay(FIRM, 100, state="in_flight", method="collection", expected_on=date(2026, 12, 1))
    scene.stage.move_clock(timedelta(days=1))
    window = CustomerWindow(browser, scene.stage, "phone", who.phone.openid)

    window.open(who.card())
    window.page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")

    assert re.search(r"欠费本金\d{8}\.\d\d元", window.words())
    window.check()
