"""Shows the developer's pages inside a phone's frame: one host name per phone and origin.

Called by ``sandbox`` for requests to ``p1-o1.localhost``. All phones of the page share one real
browser and so one cookie jar; here each request goes out with the jar of its own phone (the one
that ``Phone.open`` uses), so that four people are logged in side by side and the application
needs no change. See README, "Pages inside the frame".
"""

from __future__ import annotations

import html
import re
import threading
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from devtools.wechat_sandbox.http_server import Request, Response
from devtools.wechat_sandbox.oauth import fragment_problem
from devtools.wechat_sandbox.refusals import ActionError
from devtools.wechat_sandbox.settings import is_loopback

if TYPE_CHECKING:
    from devtools.wechat_sandbox.outward_http import Answer
    from devtools.wechat_sandbox.sandbox import Sandbox

HOST = re.compile(r"p(\d+)-o(\d+)\.localhost(?::\d+)?")
TITLE = re.compile(r"<title>([^<]*)</title>", re.IGNORECASE)
# Of the connection, or the proxy's own business.
NOT_FORWARDED = frozenset(
    (
        *("host", "connection", "keep-alive", "cookie", "content-length", "accept-encoding"),
        *("user-agent", "expect", "upgrade-insecure-requests"),
    )
)
# A phone's web view is no frame, so what forbids frames does not count there.
NOT_RETURNED = frozenset(
    (
        *("set-cookie", "content-length", "transfer-encoding", "connection", "keep-alive"),
        *("x-frame-options", "strict-transport-security", "content-type"),
    )
)


class FrameProxy:
    """Knows which host name stands for which phone and origin, and forwards."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._lock = threading.Lock()
        self._phones: list[str] = []
        self._origins: list[str] = []
        self._titles: dict[str, str] = {}

    def owns(self, request: Request) -> bool:
        """Whether the request is for a phone's frame."""
        return HOST.fullmatch(request.headers.get("host", "")) is not None

    def title(self, openid: str) -> str:
        """The title of the page that this phone was shown last, or ""."""
        return self._titles.get(openid, "")

    def address(self, openid: str, url: str) -> str:
        """Where the page shows ``url`` for this phone; raises ActionError or ValueError."""
        self._sandbox.phones.get(openid)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not a web address: {url!r}")
        if not self._is_near(parts.hostname):
            raise ActionError(
                f"{parts.hostname} is not on this machine; name it in oauth_domains to allow it"
            )
        rest = url.split(parts.netloc, 1)[1] or "/"
        return self._base(openid, f"{parts.scheme}://{parts.netloc}") + rest

    def handle(self, request: Request) -> Response:
        """Forward one request of a frame and return the answer with its addresses turned."""
        found = HOST.fullmatch(request.headers.get("host", ""))
        with self._lock:
            try:
                openid = self._phones[int(found[1]) - 1] if found else ""
                origin = self._origins[int(found[2]) - 1] if found else ""
            except IndexError:
                return error_page("页面已失效", "沙箱重新启动过，请回到聊天里重新打开。", 404)
        if self._sandbox.phones.find(openid) is None:
            return error_page("没有这部手机", "会话已重置，请回到聊天里重新打开。", 404)
        own = self._base(openid, origin)
        url = origin + request.target
        body = request.body if request.method not in ("GET", "HEAD") else None
        try:
            answer = self._sandbox.browser(openid).fetch(
                request.method, url, body, _headers_out(request, own, origin)
            )
        except OSError as error:
            return error_page("打不开网页", f"{url}：{type(error).__name__} {error}", 502)
        return self._returned(answer, url, openid, own, origin)

    def _returned(self, answer: Answer, url: str, openid: str, own: str, origin: str) -> Response:
        headers = []
        for name, value in answer.headers.items():
            if name in NOT_RETURNED:
                continue
            if name == "location":
                target = urljoin(url, value)
                problem = fragment_problem(target) if self._is_sandbox(target) else ""
                if problem and self._sandbox.settings.require_wechat_redirect:
                    return error_page("无法打开页面", problem, 400)
                try:
                    value = self.address(openid, target)
                except (ActionError, ValueError) as error:
                    return error_page("打不开网页", str(error), 400)
            elif name == "content-security-policy":
                value = without_frame_rule(value)
            headers.append((name.title(), value))
        content_type = answer.headers.get("content-type", "application/octet-stream")
        body = answer.body
        if content_type.startswith("text/html"):
            found = TITLE.search(body.decode("utf-8", "replace"))
            self._titles[openid] = html.unescape(found[1]).strip() if found else ""
            # Absolute links to itself would leave the frame's host, and with it the login.
            body = body.replace(origin.encode(), own.encode())
        return Response(body, answer.status, content_type, tuple(headers))

    def _is_sandbox(self, url: str) -> bool:
        return urlsplit(url).netloc == urlsplit(self._sandbox.base_url).netloc

    def _is_near(self, hostname: str) -> bool:
        settings = self._sandbox.settings
        named = {urlsplit(settings.callback_url).hostname, *settings.oauth_domains}
        return is_loopback(hostname) or hostname in named

    def _base(self, openid: str, origin: str) -> str:
        with self._lock:
            for names, name in ((self._phones, openid), (self._origins, origin)):
                if name not in names:
                    names.append(name)
            phone, place = self._phones.index(openid) + 1, self._origins.index(origin) + 1
        port = urlsplit(self._sandbox.base_url).port
        return f"http://p{phone}-o{place}.localhost:{port}"


def without_frame_rule(policy: str) -> str:
    """A Content-Security-Policy without its frame-ancestors."""
    rules = [rule.strip() for rule in policy.split(";")]
    return "; ".join(rule for rule in rules if rule and not rule.startswith("frame-ancestors"))


def error_page(title: str, text: str, status: int) -> Response:
    """What the frame shows when there is no page."""
    body = (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>模拟 - {html.escape(title)}</title><h1>{html.escape(title)}</h1>"
        f"<p>{html.escape(text)}</p><p>模拟</p></html>"
    )
    return Response(body.encode(), status, "text/html; charset=utf-8")


def _headers_out(request: Request, own: str, origin: str) -> dict[str, str]:
    headers = {}
    for name, value in request.headers.items():
        if name in NOT_FORWARDED or name.startswith("sec-"):
            continue
        headers[name.title()] = (
            value.replace(own, origin) if name in ("origin", "referer") else value
        )
    return headers
