"""What a person sees and does on the Phones page, for the tests that look at it.

With GONGDIAN_TEST_SCREENSHOTS=1 the pictures of docs/images are taken anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, FrameLocator, Page, expect

from devtools.demo.props import hand_out_phones
from devtools.demo.stage import Stage
from devtools.wechat_sandbox.phone import Phone
from devtools.wechat_sandbox.sandbox import Sandbox

IMAGES = Path(__file__).parents[2] / "docs" / "images"
TAKES_PICTURES = os.environ.get("GONGDIAN_TEST_SCREENSHOTS") == "1"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-lcd-text",  # grey edges of letters make the pictures a third smaller
]
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
# Milliseconds since 1970 at which the page put a card on the screen, by the card's number.
WATCH_CARDS = """
window.cardTimes = {};
new MutationObserver(() => {
  for (const card of document.querySelectorAll('.item[data-kind="template"]')) {
    window.cardTimes[card.dataset.number] ??= Date.now();
  }
}).observe(document, {childList: true, subtree: true});
"""


class Viewer:
    """One browser page that watches for requests to elsewhere and for complaints."""

    def __init__(self, browser: Browser, size: dict[str, int]) -> None:
        self.context = browser.new_context(viewport=size, locale="zh-CN")
        self.context.add_init_script(WATCH_CARDS)
        self.page: Page = self.context.new_page()
        self.strangers: list[str] = []
        self.complaints: list[str] = []
        self.loads = 0
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("load", lambda _: self._count_load())
        self.page.on("console", lambda said: self._complain(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        local = host == "127.0.0.1" or host.endswith(".localhost")
        if not local and urlsplit(url).scheme not in ("data", "blob"):
            self.strangers.append(url)

    def _count_load(self) -> None:
        self.loads += 1

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def open(self, sandbox: Sandbox) -> None:
        """Open the page and wait until it is live."""
        self.page.goto(sandbox.base_url)
        expect(self.page.locator("#live")).to_have_text("实时")

    def phone(self, name: str) -> PhoneView:
        """One phone on the page."""
        return PhoneView(self.page, name)

    def panel(self, name: str) -> None:
        """Open a panel of the dock."""
        self.page.locator(f"#tab-{name}").click()

    def picture(self, name: str) -> None:
        """Take a picture that the documents show, when asked to."""
        if TAKES_PICTURES:
            IMAGES.mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=IMAGES / f"{name}.png")

    def check(self) -> None:
        """Nothing went elsewhere, complained, was loaded anew or sticks out sideways."""
        assert self.loads == 1
        assert self.strangers == []
        assert self.complaints == []
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wide) <= 0


class PhoneView:
    """What a person does with one phone of the page."""

    def __init__(self, page: Page, name: str) -> None:
        self.root = page.get_by_label(f"{name}的手机（模拟）")
        self.cards = self.root.locator(".card")
        self.web: FrameLocator = self.root.frame_locator("iframe")
        self.sheet = self.root.get_by_role("dialog")

    def follow(self) -> None:
        self.root.get_by_role("button", name="关注公众号").click()

    def say(self, text: str) -> None:
        box = self.root.get_by_label("输入消息")
        if not box.is_visible():
            self.root.get_by_label("切换到输入").click()
        box.fill(text)
        box.press("Enter")

    def extra(self, name: str) -> None:
        """Open what the plus sign offers, and one of its entries."""
        self.root.get_by_label("发送图片、位置、语音等").click()
        self.sheet.get_by_role("button", name=name, exact=True).click()

    def send_sheet(self) -> None:
        """Send what the sheet asks for."""
        self.sheet.get_by_role("button", name="发送", exact=True).click()


def ready(stage: Stage, name: str) -> Phone:
    """A person of the demo who follows the account."""
    phone = hand_out_phones(stage)[name]
    stage.sandbox.wait(phone.follow())
    return phone


def everyday(stage: Stage) -> None:
    """What the pictures show beside the first phone: what three others do."""
    sandbox = stage.sandbox
    people = {phone.name: sandbox.phone(phone.openid) for phone in sandbox.phones.listed()}
    for name in ("王先生", "小赵", "老周"):
        sandbox.wait(people[name].follow())
    sandbox.wait(people["王先生"].say("绑定"))
    sandbox.wait(people["小赵"].location(30.5702, 104.0648, "解放路 1 号配电箱"))
    sandbox.wait(people["小赵"].voice(seconds=8))
    stage.wait_for(people["王先生"].cards, "the colleague's card")
