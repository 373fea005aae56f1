"""A developer's plain HTTP client for the sandbox's tests."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from devtools.wechat_sandbox.fixture import RunningSandbox
from devtools.wechat_sandbox.outward_http import OutwardHttp

SEND = "/cgi-bin/message/template/send"


class Api:
    """A developer's plain HTTP client."""

    def __init__(self, running: RunningSandbox) -> None:
        self.base_url, self.sandbox = running.base_url, running.sandbox
        self.client = OutwardHttp()
        self.token = ""

    def get(self, path: str, timeout_s: float = 10, **query: str) -> Any:
        answer = self.client.send("GET", self._url(path, query), timeout_s=timeout_s)
        return json.loads(answer.body)

    def post(self, path: str, body: Any, timeout_s: float = 10, **query: str) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = self._url(path, query)
        return json.loads(self.client.send("POST", url, content, timeout_s=timeout_s).body)

    def login(self) -> None:
        settings = self.sandbox.settings
        order = {
            "grant_type": "client_credential",
            "appid": settings.appid,
            "secret": settings.secret,
        }
        self.token = self.post("/cgi-bin/stable_token", order)["access_token"]

    def send(self, openid: str, **more: Any) -> Any:
        order = {
            "touser": openid,
            "template_id": "T1",
            "data": {"thing1": {"value": "解放路1号"}},
            **more,
        }
        return self.post(SEND, order, access_token=self.token)

    def _url(self, path: str, query: dict[str, str]) -> str:
        return f"{self.base_url}{path}" + (f"?{urlencode(query)}" if query else "")
