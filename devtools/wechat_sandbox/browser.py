"""The phone's browser: opens a link as a tap does, follows redirects through the web login.

Made by ``phone``; keeps one cookie jar per phone, as host names, without ports, like a browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

from devtools.wechat_sandbox.oauth import fragment_problem
from devtools.wechat_sandbox.outward_http import Answer, HttpAnswerError, OutwardHttp
from devtools.wechat_sandbox.settings import SandboxSettings

MAX_HOPS = 10
REDIRECTS = (301, 302, 303, 307, 308)
TIMEOUT_S = 15.0
USER_AGENT = (
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/122.0 Mobile Safari/537.36 MicroMessenger/8.0.49 NetType/WIFI Language/zh_CN"
)


# A name with several values is a list, as ticked boxes of one name are sent.
Form = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser shows in the end; ``hops`` are the addresses on the way."""

    status: int
    url: str
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    hops: tuple[str, ...] = ()

    @property
    def hidden_fields(self) -> dict[str, str]:
        """The hidden inputs of the page (a form token, for instance)."""
        return self._inputs().hidden

    @property
    def ticked_fields(self) -> dict[str, list[str]]:
        """The boxes that are ticked when the page opens."""
        return self._inputs().ticked

    def _inputs(self) -> _Inputs:
        reader = _Inputs()
        reader.feed(self.body)
        return reader


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}
        self.ticked: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = str(given.get("name") or ""), given.get("value")
        if tag != "input" or not name:
            return
        if given.get("type") == "hidden":
            self.hidden[name] = value or ""
        elif given.get("type") == "checkbox" and "checked" in given:
            self.ticked.setdefault(name, []).append("on" if value is None else value)


class Browser:
    """One phone's browser; ``sandbox_url`` is where the phone is known by its cookie."""

    def __init__(
        self, openid: str, sandbox_url: str, settings: Callable[[], SandboxSettings]
    ) -> None:
        self._openid = openid
        self._sandbox = urlsplit(sandbox_url).netloc
        self._settings = settings
        # host name -> (cookie name, path) -> value
        self._jar: dict[str, dict[tuple[str, str], str]] = {}

    def visit(self, url: str, form: Form | None = None) -> Page:
        """Open an address, or post a form to it; returns the last page of the way.

        Raises OSError when a server cannot be reached.
        """
        client, hops, last = OutwardHttp(), [], ""
        method, body = "GET", None
        if form is not None:
            method, body = "POST", urlencode(form, doseq=True).encode()
        try:
            for _ in range(MAX_HOPS):
                hops.append(url)
                problem = fragment_problem(url) if self._is_sandbox(url) else ""
                if problem and self._settings().require_wechat_redirect:
                    return Page(400, url, problem, {}, tuple(hops))
                answer = client.send(method, url, body, self._headers(url, method, last), TIMEOUT_S)
                self._keep_cookies(url, answer)
                if answer.status not in REDIRECTS or "location" not in answer.headers:
                    text = answer.body.decode("utf-8", "replace")
                    return Page(answer.status, url, text, answer.headers, tuple(hops))
                if answer.status not in (307, 308):
                    method, body = "GET", None
                last, url = url, urljoin(url, answer.headers["location"])
        finally:
            client.close()
        raise HttpAnswerError(f"more than {MAX_HOPS} redirects: {hops[0]}")

    def fetch(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """One request with this phone's cookies and name, redirects not followed; keeps cookies.

        Raises OSError when the server cannot be reached.
        """
        client = OutwardHttp()
        try:
            own = {
                name: self._headers(url, "GET", "").get(name) for name in ("User-Agent", "Cookie")
            }
            sent = {**headers, **{name: value for name, value in own.items() if value}}
            answer = client.send(method, url, body, sent, TIMEOUT_S)
        finally:
            client.close()
        self._keep_cookies(url, answer)
        return answer

    def _is_sandbox(self, url: str) -> bool:
        return urlsplit(url).netloc == self._sandbox

    def _headers(self, url: str, method: str, last: str) -> dict[str, str]:
        parts = urlsplit(url)
        jar = self._jar.get(parts.hostname or "", {})
        path = parts.path or "/"
        cookies = [f"{name}={value}" for (name, under), value in jar.items() if _is_in(path, under)]
        if self._is_sandbox(url):
            cookies.append(f"sandbox_phone={self._openid}")
        headers = {"User-Agent": USER_AGENT, "Accept": "text/html,*/*", "Accept-Language": "zh-CN"}
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        if last:
            headers["Referer"] = last
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
        return headers

    def _keep_cookies(self, url: str, answer: Answer) -> None:
        jar = self._jar.setdefault(urlsplit(url).hostname or "", {})
        for line in answer.cookies:
            parsed: SimpleCookie = SimpleCookie()
            try:
                parsed.load(line)
            except CookieError:
                continue
            for name, morsel in parsed.items():
                key = (name, morsel["path"] or "/")
                if morsel["max-age"] == "0" or "1970" in morsel["expires"]:
                    jar.pop(key, None)
                else:
                    jar[key] = morsel.coded_value


def _is_in(path: str, under: str) -> bool:
    return under == "/" or path == under or path.startswith(under.rstrip("/") + "/")
