"""Fixtures of the flow tests: rules of a test's own, a database behind a proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import make_url

from server import web, worker
from tests.tcp_proxy import TcpProxy
from wechat_handlers.handling import Handler
from wechat_handlers.router import Router, Rule
from wechat_handlers.rules import build_router


@pytest.fixture
def add_rules(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Adds rules to those of the installation, for the web edge and the worker."""

    def add(*rules: Rule[Handler]) -> None:
        def build() -> Router[Handler]:
            return Router([*build_router().rules, *rules])

        monkeypatch.setattr(web, "build_router", build)
        monkeypatch.setattr(worker, "build_router", build)

    return add


@pytest.fixture
def proxy(empty_mariadb_url: str) -> Iterator[TcpProxy]:
    """In front of MariaDB."""
    url = make_url(empty_mariadb_url)
    with TcpProxy(url.host or "127.0.0.1", url.port or 3306).running() as running:
        yield running


@pytest.fixture
def proxied_url(empty_mariadb_url: str, proxy: TcpProxy) -> str:
    """The database through the proxy."""
    url = make_url(empty_mariadb_url).set(host="127.0.0.1", port=proxy.port)
    return url.render_as_string(hide_password=False)
