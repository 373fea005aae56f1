"""A set of sandbox desks on a standing clock, without a server."""

from __future__ import annotations

import threading
from typing import Any

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.courier import Courier
from devtools.wechat_sandbox.faults import FaultDesk
from devtools.wechat_sandbox.media import MediaDesk
from devtools.wechat_sandbox.oauth import OAuthDesk
from devtools.wechat_sandbox.phones import PhoneDesk
from devtools.wechat_sandbox.quotas import QuotaDesk
from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.sending import SendDesk
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.templates import TemplateDesk
from devtools.wechat_sandbox.tokens import TokenDesk
from devtools.wechat_sandbox.traffic import TrafficLog

START = 1_767_600_000.0  # 2026-01-05 16:00 in China


class Desks:
    """Everything but the sockets; the courier is not started and has no callback address."""

    def __init__(self, **settings: Any) -> None:
        self.settings = SandboxSettings(**settings)
        lock = threading.RLock()
        self.clock = SandboxClock(lambda: START)
        self.quotas = QuotaDesk(lock, self.clock)
        self.faults = FaultDesk(lock, seed=1)
        self.phones = PhoneDesk(lock, self.clock, seed=1)
        self.templates = TemplateDesk(lock)
        self.media = MediaDesk(lock, self.clock)
        self.tokens = TokenDesk(lock, self.clock, self.quotas, self._current)
        self.oauth = OAuthDesk(lock, self.clock, self._current)
        self.courier = Courier(
            self.clock,
            self._current,
            lambda: None,
            self.faults,
            TrafficLog(),
            lambda delivery, state: None,
        )
        self.sending = SendDesk(
            lock,
            self.clock,
            self._current,
            self.phones,
            self.templates,
            self.quotas,
            self.faults,
            self.courier,
        )

    def _current(self) -> SandboxSettings:
        return self.settings


def refused(call: Any, *arguments: Any, **named: Any) -> int:
    """The errcode that a call is refused with, 0 when it is not refused."""
    try:
        call(*arguments, **named)
    except RefusalError as refusal:
        return refusal.errcode
    return 0
