"""A running sandbox as a context manager, for pytest fixtures and for programs in-process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from devtools.wechat_sandbox.sandbox import Sandbox
from devtools.wechat_sandbox.settings import SandboxSettings


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """The sandbox and where it answers."""

    base_url: str
    sandbox: Sandbox


@contextmanager
def running_sandbox(
    clock_source: Callable[[], float] = time.time,
    clock_mover: Callable[[float], object] | None = None,
    **settings: Any,
) -> Iterator[RunningSandbox]:
    """Start a sandbox on a free port (``port=0``) and stop it at the end.

    ``settings`` are the fields of SandboxSettings. The callback address may be set later:
    ``running.sandbox.change(callback_url=...)``.
    """
    sandbox = Sandbox(SandboxSettings(**settings), clock_source, clock_mover)
    sandbox.start()
    try:
        yield RunningSandbox(sandbox.base_url, sandbox)
    finally:
        sandbox.stop()
