"""The rest of what an account has besides messages and logins: made once by ``sandbox``.

Menu, people, QR codes, subscriptions, quotas, and the mini-program.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from devtools.wechat_sandbox.api_quotas import ApiQuotaDesk
from devtools.wechat_sandbox.menus import MenuDesk
from devtools.wechat_sandbox.miniprogram import MiniProgramDesk
from devtools.wechat_sandbox.people import PeopleDesk
from devtools.wechat_sandbox.qr_codes import QrDesk
from devtools.wechat_sandbox.subscriptions import SubscriptionDesk

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from devtools.wechat_sandbox.sandbox import Sandbox
    from devtools.wechat_sandbox.settings import SandboxSettings


class AccountDesks:
    """The desks of ``account_routes`` and ``phone_actions``."""

    def __init__(
        self, sandbox: Sandbox, lock: threading.RLock, settings: Callable[[], SandboxSettings]
    ) -> None:
        clock, phones = sandbox.clock, sandbox.phones
        self.menus = MenuDesk(lock)
        self.people = PeopleDesk(lock, clock, phones)
        self.qr_codes = QrDesk(lock, clock)
        self.subscriptions = SubscriptionDesk(
            lock, clock, settings, phones, sandbox.templates, sandbox.courier
        )
        self.miniprogram = MiniProgramDesk(lock, clock, settings, phones)
        self.quotas = ApiQuotaDesk(lock, clock, settings, sandbox.quotas)
        self.miniprogram_quotas = ApiQuotaDesk(lock, clock, settings, self.miniprogram.quotas)

    def clear(self) -> None:
        """Forget what people did; the menu and the QR codes stay, as templates do."""
        self.people.restore({})
        self.subscriptions.clear()
        self.miniprogram.clear()

    def snapshot(self) -> dict[str, Any]:
        """For saving; codes and tokens of the mini-program are not in it."""
        return {
            "menu": self.menus.buttons,
            "followed": self.people.snapshot(),
            "qr_codes": self.qr_codes.snapshot(),
            "subscriptions": self.subscriptions.snapshot(),
            "cleared": [self.quotas.cleared, self.miniprogram_quotas.cleared],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take what was saved; a session of before has none of it."""
        self.menus.restore(saved.get("menu", []))
        self.people.restore(saved.get("followed", {}))
        self.qr_codes.restore(saved.get("qr_codes", {}))
        self.subscriptions.restore(saved.get("subscriptions", []))
        self.quotas.cleared, self.miniprogram_quotas.cleared = saved.get("cleared", [{}, {}])
