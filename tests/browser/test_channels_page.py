"""The page 接收方式 in a real browser: what a customer sees and chooses, on a phone and on a desk.

With GONGDIAN_TEST_SCREENSHOTS=1 the pictures of docs/images are taken anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.browser import USER_AGENT
from gongdian.accounts.channels import mark_channel_refused
from gongdian.accounts.model import DecideConsent, RegisterChannel
from gongdian.accounts.preferences import register_channel
from gongdian.accounts.service import decide_consent, meet_contact
from gongdian.db import Session
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.model import RecipientRefused
from tests.browser.test_binding_page import ARGUMENTS, IMAGES, OVERFLOW, SIZES, TAKES_PICTURES

pytestmark = pytest.mark.chromium

PHONE, MAIL = "13800001111", "li@example.com"
# Whatever a finger must hit is at least 44 px high and does not touch its neighbour.
SMALL = (
    "[...document.querySelectorAll('main button, main label')]"
    ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 80))"
)
CUT = (
    "[...document.querySelectorAll('main *:not(.gd-hidden)')].filter(e => e.scrollWidth >"
    " e.clientWidth + 1 && getComputedStyle(e).display !== 'inline')"
    ".map(e => e.outerHTML.slice(0, 80))"
)


class Window:
    """One customer's browser window; requests to elsewhere and complaints are kept."""

    def __init__(self, browser: Browser, stage: Stage, openid: str, size: str) -> None:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale="zh-CN",
            user_agent=USER_AGENT,
        )
        context.set_default_timeout(10_000)
        sandbox = stage.sandbox.base_url
        context.add_cookies([{"name": "sandbox_phone", "value": openid, "url": sandbox}])
        self.stage, self.size = stage, size
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("console", lambda said: self.faults.append(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", lambda request: self.faults.append(request.url))

    def _note(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:")):
            self.faults.append(url)

    def open(self) -> None:
        """Open the page, through the platform's login."""
        self.page.goto(self.stage.web_url + "/h5/channels")
        expect(self.page.get_by_role("heading", level=1)).to_have_text("接收方式")

    def press(self, name: str) -> None:
        """Press a button and wait for the page that follows, with its styles."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()
        expect(self.page.get_by_role("status")).to_contain_text("已保存")

    def rows(self) -> list[str]:
        """The ways in their order, as they read."""
        rows = self.page.locator(".gd-channels > li .gd-channel > p:first-child").all()
        return [" ".join(row.inner_text().split()) for row in rows]

    def picture(self, name: str) -> None:
        """Take a picture that the documents show, when asked to."""
        if TAKES_PICTURES:
            IMAGES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=IMAGES / f"{name}-{self.size}.png", full_page=True)

    def check(self) -> None:
        """Nothing went elsewhere, complained, sticks out or is too small for a finger."""
        assert self.faults == []
        assert self.page.evaluate(OVERFLOW) <= 0
        assert self.page.evaluate(SMALL) == []


@pytest.fixture
def open_window(
    chromium_path: str, start_stage: Callable[..., Stage]
) -> Iterator[Callable[..., Window]]:
    """Opens the browser of a bound customer with these further channels."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)

        def start(size: str, **channels: str) -> Window:
            stage = start_stage(with_worker=False)
            openid = stage.sandbox.add_phone(name="李女士", following=True).openid

            def work(session: Session) -> None:
                now = stage.clock.now()
                contact = meet_contact(session, stage.house.account, openid, now)
                decide_consent(session, DecideConsent(contact.id, "v1", "d", True, "test"), now)
                for channel, address in channels.items():
                    command = RegisterChannel(contact.id, channel, address)
                    register_channel(session, command, "王工", now)

            stage.house.database.run(work)
            return Window(browser, stage, openid, size)

        yield start
        browser.close()


@pytest.mark.parametrize("size", SIZES)
def test_a_customer_puts_the_ways_in_order(open_window: Callable[..., Window], size: str) -> None:
    window = open_window(size, sms=PHONE, mail=MAIL)
    window.open()
    assert window.rows() == ["微信 总是先发", "手机短信 已开启", "邮件 已开启"]
    window.check()
    window.picture("channels")

    window.press("上移 邮件")
    assert window.rows() == ["微信 总是先发", "邮件 已开启", "手机短信 已开启"]
    window.press("关闭 手机短信")
    assert window.rows()[2] == "手机短信 已关闭"
    window.page.get_by_role("radio", name="只在微信被拒收时").check()
    window.press("保存选择")
    assert window.page.get_by_role("radio", name="只在微信被拒收时").is_checked()
    window.check()

    window.page.reload()
    assert window.rows() == ["微信 总是先发", "邮件 已开启", "手机短信 已关闭"]
    window.check()


@pytest.mark.parametrize("size", SIZES)
def test_text_twice_as_large_still_fits(open_window: Callable[..., Window], size: str) -> None:
    window = open_window(size, sms=PHONE, mail="a.very.long.name@a-long-domain-name.example.com.cn")
    refused = RecipientRefused(window.stage.house.account, address_hash(PHONE), "empty_number")
    window.stage.house.database.run(
        lambda s: mark_channel_refused(s, refused, window.stage.clock.now())
    )
    window.open()
    assert window.rows()[1] == "手机短信 已停用"
    window.check()

    window.page.evaluate("document.documentElement.style.fontSize = '200%'")

    window.check()
    assert window.page.evaluate(CUT) == []


def test_without_further_ways_the_page_says_where_to_get_one(
    open_window: Callable[..., Window],
) -> None:
    window = open_window("phone")
    window.open()

    assert window.rows() == ["微信 总是先发"]
    expect(window.page.get_by_text("还没有登记其他接收方式")).to_be_visible()
    assert window.page.get_by_role("button").count() == 0
    window.check()
