"""Fixtures for the tests of any backend: import both into your conftest.py (see README).

Used by the worked examples in ``examples``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.wechat_sandbox.fixture import RunningSandbox, running_sandbox


@pytest.fixture
def sandbox_settings() -> dict[str, Any]:
    """Fields of SandboxSettings; define a fixture of this name to change them."""
    return {}


@pytest.fixture
def wechat_sandbox(sandbox_settings: dict[str, Any]) -> Iterator[RunningSandbox]:
    """A sandbox of this test's own on a free port: ``.base_url`` and ``.sandbox``."""
    with running_sandbox(**sandbox_settings) as running:
        yield running
