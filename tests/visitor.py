"""A browser that shows each step: one request at a time, with cookies, without following.

Used by the tests of the H5 pages; whole journeys go through the sandbox's phone instead.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

from devtools.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer; ``cookies`` are its Set-Cookie lines."""

    status: int
    headers: dict[str, str]
    body: str
    cookies: tuple[str, ...]

    @property
    def location(self) -> str:
        """Where it redirects to."""
        return self.headers.get("Location", "")

    @property
    def state(self) -> str:
        """The state in a redirect to the platform's login."""
        return parse_qs(urlsplit(self.location).query)["state"][0]


class Visitor:
    """One browser at one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._host = urlsplit(stage.web_url).netloc
        self.cookies: dict[str, str] = {}

    def ask(
        self,
        path: str,
        form: dict[str, str] | None = None,
        *,
        method: str = "",
        headers: dict[str, str] | None = None,
    ) -> Seen:
        """GET, or POST with a form; keeps the cookies that come back."""
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        body = None
        if form is not None:
            body, sent["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(self._host, timeout=15)
        try:
            connection.request(
                method or ("GET" if form is None else "POST"),
                path,
                body,
                {**sent, **(headers or {})},
            )
            response = connection.getresponse()
            text = response.read().decode("utf-8")
        finally:
            connection.close()
        lines = tuple(response.headers.get_all("Set-Cookie") or ())
        for line in lines:
            parsed: SimpleCookie = SimpleCookie(line)
            self.cookies.update({name: morsel.coded_value for name, morsel in parsed.items()})
        return Seen(response.status, dict(response.headers), text, lines)

    def log_in(self, openid: str, path: str) -> Seen:
        """Through the login to a page; the answer is that of the page."""
        back = self.come_back(openid, self.ask(path).state)
        return self.ask(back.location)

    def come_back(self, openid: str, state: str, code: str = "") -> Seen:
        """The platform sends the browser back with a code."""
        code = code or self._stage.sandbox.oauth.new_code(openid, "snsapi_base")
        return self.ask("/h5/oauth?" + urlencode({"code": code, "state": state}))
