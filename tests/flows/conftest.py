"""Fixtures of the flow tests: rules of a test's own beside those of the installation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server import web, worker
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
