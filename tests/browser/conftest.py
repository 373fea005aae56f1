"""Chromium and a whole installation, for the tests of the Phones page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from devtools.demo.stage import Stage
from tests.browser.viewer import ARGUMENTS


@pytest.fixture
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def stage(start_stage: Callable[..., Stage]) -> Stage:
    return start_stage()
