"""A customer's browser window (客户的浏览器): on a phone and on a desk, watched for faults.

With GONGDIAN_TEST_SCREENSHOTS=1 the pictures of docs/images are taken anew.
"""

from __future__ import annotations

from playwright.sync_api import Browser, Page

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.browser import USER_AGENT
from tests.browser.test_binding_page import IMAGES, OVERFLOW, SIZES, TAKES_PICTURES

# What the documents show as it looks on a desk too.
ON_DESK = ("arrears", "customer-binding")
# Whatever a finger must hit is at least 44 px high.
SMALL = (
    "[...document.querySelectorAll('main button, main .gd-choices label, main summary,"
    " main a.gd-button, main .gd-links a, main input:not([type=hidden]):not([type=checkbox])')]"
    ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 44)"
    ".map(e => e.outerHTML.slice(0, 80))"
)
# Nothing is cut off or sticks out of what holds it.
CUT = (
    "[...document.querySelectorAll('main *:not(.gd-hidden)')].filter(e => e.offsetParent &&"
    " e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline')"
    ".map(e => e.outerHTML.slice(0, 80))"
)
# Text whose contrast to what is behind it is below 4.5:1 (large text 3:1).
FAINT = """
(() => {
  const channel = c => c <= 10 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const found = parse(getComputedStyle(e).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('main *, footer *')].filter(e => {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || !e.offsetParent || e.closest('.gd-hidden')) return false;
    const style = getComputedStyle(e);
    const both = [light(parse(style.color)), light(behind(e))].sort((a, b) => b - a);
    const ratio = (both[0] + 0.05) / (both[1] + 0.05);
    return ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5);
  }).map(e => e.outerHTML.slice(0, 80));
})()
"""


class CustomerWindow:
    """One window of one phone; requests to elsewhere and complaints are kept."""

    def __init__(self, browser: Browser, stage: Stage, size: str, openid: str = "") -> None:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale="zh-CN",
            user_agent=USER_AGENT,
        )
        context.set_default_timeout(15_000)
        if openid:
            sandbox = stage.sandbox.base_url
            context.add_cookies([{"name": "sandbox_phone", "value": openid, "url": sandbox}])
        self.stage, self.size = stage, size
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("console", lambda said: self._complain(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", lambda request: self.faults.append(request.url))

    def _note(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:")):
            self.faults.append(url)

    def _complain(self, text: str) -> None:
        # A 4xx page itself is told to the console; that is not a fault of the page.
        if "Failed to load resource" not in text:
            self.faults.append(text)

    def open(self, path: str) -> None:
        """Open a page of the installation, through the platform's login where it asks for one."""
        self.page.goto(path if path.startswith("http") else self.stage.web_url + path)

    def press(self, name: str) -> None:
        """Press a button or a link that leads on."""
        target = self.page.get_by_role("button", name=name, exact=True).or_(
            self.page.get_by_role("link", name=name)
        )
        with self.page.expect_navigation():
            target.first.click()

    def title(self) -> str:
        """The page's heading."""
        return self.page.get_by_role("heading", level=1).inner_text()

    def words(self) -> str:
        """What can be read on the page, without blanks."""
        return "".join(self.page.locator("main").inner_text().split())

    def picture(self, name: str) -> None:
        """Take a picture that the documents show, when asked to."""
        if TAKES_PICTURES and (self.size == "phone" or name in ON_DESK):
            IMAGES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=IMAGES / f"{name}-{self.size}.png", full_page=True)

    def check(self) -> None:
        """Nothing went elsewhere, complained, sticks out, is too small or too faint; also with
        text twice as large."""
        self.page.wait_for_load_state()
        found = {"faults": self.faults, "small": self.page.evaluate(SMALL)}
        found |= {"faint": self.page.evaluate(FAINT), "wide": self._wide()}
        self.page.evaluate("document.documentElement.style.fontSize = '200%'")
        found |= {"large_wide": self._wide(), "large_cut": self.page.evaluate(CUT)}
        self.page.evaluate("document.documentElement.style.fontSize = ''")
        assert not any(found.values()), found

    def _wide(self) -> bool:
        return bool(self.page.evaluate(OVERFLOW) > 0)
