"""The binding page in a real browser: what a customer sees, on a phone and on a desk.

With GONGDIAN_TEST_SCREENSHOTS=1 the pictures of docs/images are taken anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.browser import USER_AGENT
from devtools.wechat_sandbox.phone import Phone

pytestmark = pytest.mark.chromium

IMAGES = Path(__file__).parents[2] / "docs" / "images"
TAKES_PICTURES = os.environ.get("GONGDIAN_TEST_SCREENSHOTS") == "1"
PICTURES = ("binding-phone", "binding-done-phone", "error-phone", "binding-desk")
SIZES = {"phone": (390, 844), "desk": (1440, 900)}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Watched:
    """One browser page; every request to elsewhere and every complaint is kept."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.strangers: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("console", lambda message: self._complain(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))

    def _note(self, url: str) -> None:
        if urlsplit(url).scheme != "data" and urlsplit(url).hostname != "127.0.0.1":
            self.strangers.append(url)

    def _complain(self, kind: str, text: str) -> None:
        # A 4xx page itself is told to the console; that is not a fault of the page.
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.complaints.append(text)

    def picture(self, name: str) -> None:
        """Take a picture that the documents show, when asked to."""
        if TAKES_PICTURES and name in PICTURES:
            IMAGES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=IMAGES / f"{name}.png", full_page=True)

    def check(self) -> None:
        """Nothing went elsewhere, nothing complained, nothing sticks out."""
        assert self.strangers == []
        assert self.complaints == []
        self.page.wait_for_load_state()
        assert self.page.evaluate(OVERFLOW) <= 0


@pytest.fixture
def open_browser(chromium_path: str) -> Iterator[Callable[..., BrowserContext]]:
    """Opens a browser window of a size, as one phone's or as nobody's."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)

        def start(size: str, stage: Stage, phone: Phone | None = None) -> BrowserContext:
            width, height = SIZES[size]
            context = browser.new_context(
                viewport={"width": width, "height": height}, locale="zh-CN", user_agent=USER_AGENT
            )
            context.set_default_timeout(10_000)
            if phone is not None:
                url = stage.sandbox.base_url
                context.add_cookies([{"name": "sandbox_phone", "value": phone.openid, "url": url}])
            return context

        yield start
        browser.close()


def _card_of(stage: Stage) -> tuple[Phone, str]:
    phone = stage.sandbox.add_phone(name="李女士", following=True)
    stage.sandbox.wait(phone.say("绑定"))
    card = stage.wait_for(phone.cards, "the card")[-1]
    return phone, card["url"]


@pytest.mark.parametrize("size", SIZES)
def test_a_customer_opens_the_card_and_agrees(
    start_stage: Callable[..., Stage], open_browser: Callable[..., BrowserContext], size: str
) -> None:
    stage = start_stage()
    phone, url = _card_of(stage)
    watched = Watched(open_browser(size, stage, phone))
    page = watched.page

    page.goto(url)
    assert page.get_by_role("heading", level=1).inner_text() == "绑定微信，接收用电服务通知"
    agree = page.get_by_role("button", name="同意并绑定")
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.gd-card')).borderRadius") != "0px"
    )
    box = agree.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    watched.picture(f"binding-{size}")
    watched.check()
    agree.click()
    page.get_by_role("heading", name="绑定成功").wait_for()
    watched.picture(f"binding-done-{size}")
    watched.check()
    page.goto(url)
    page.get_by_role("heading", name="您已经绑定过了").wait_for()
    watched.check()


@pytest.mark.parametrize("size", SIZES)
def test_text_twice_as_large_still_fits(
    start_stage: Callable[..., Stage], open_browser: Callable[..., BrowserContext], size: str
) -> None:
    stage = start_stage()
    phone, url = _card_of(stage)
    watched = Watched(open_browser(size, stage, phone))
    page = watched.page

    page.goto(url)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    cut = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1"
        " && getComputedStyle(e).display !== 'inline').map(e => e.outerHTML.slice(0, 80))"
    )
    watched.check()
    assert cut == []
    page.get_by_role("button", name="暂不绑定").click()
    page.get_by_role("heading", name="没有绑定").wait_for()
    watched.check()


@pytest.mark.parametrize("size", SIZES)
def test_a_stranger_sees_an_error_page_with_a_number(
    start_stage: Callable[..., Stage], open_browser: Callable[..., BrowserContext], size: str
) -> None:
    stage = start_stage()
    _, url = _card_of(stage)
    watched = Watched(open_browser(size, stage, stage.sandbox.add_phone(name="路人")))

    answer = watched.page.goto(url)

    assert answer is not None
    assert answer.status == 404
    assert "问题编号" in watched.page.locator("main").inner_text()
    watched.picture(f"error-{size}")
    watched.check()
