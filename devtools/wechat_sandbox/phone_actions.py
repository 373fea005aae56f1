"""What a person does with popup, settings, QR codes and mini-program: a part of ``phone.Phone``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from devtools.wechat_sandbox import events
from devtools.wechat_sandbox.courier import Delivery
from devtools.wechat_sandbox.subscriptions import MINIPROGRAM, SERVICE

if TYPE_CHECKING:
    from devtools.wechat_sandbox.account_desks import AccountDesks
    from devtools.wechat_sandbox.sandbox import Sandbox

ACCOUNT_ACTIONS = frozenset(
    (
        *("answer_popup", "refuse_in_settings", "mini_login", "mini_phone_code"),
        *("mini_answer_popup", "mini_refuse_in_settings", "block_login"),
    )
)
POPUP_EVENT = "subscribe_msg_popup_event"
CHANGE_EVENT = "subscribe_msg_change_event"


class AccountActions:
    """Actions that need the account's desks; each Delivery as in ``phone.Phone``."""

    _sandbox: Sandbox
    openid: str

    def answer_popup(self, choices: Mapping[str, str], scene: str = "1") -> Delivery:
        """Answer the popup: template id to accept or reject; scene 1 = page, 2 = article."""
        entries = []
        for template_id, choice in choices.items():
            if choice not in ("accept", "reject"):
                raise ValueError("a choice is accept or reject")
            if choice == "accept":
                self._desks.subscriptions.accept(SERVICE, self.openid, template_id)
            row = {"TemplateId": template_id, "SubscribeStatusString": choice, "PopupScene": scene}
            entries.append(row)
        return self._account_event(POPUP_EVENT, "SubscribeMsgPopupEvent", entries)

    def refuse_in_settings(self, template_ids: list[str]) -> Delivery:
        """Refuse templates in the settings of the account."""
        for template_id in template_ids:
            self._desks.subscriptions.refuse(SERVICE, self.openid, template_id)
        entries = [
            {"TemplateId": template_id, "SubscribeStatusString": "reject"}
            for template_id in template_ids
        ]
        return self._account_event(CHANGE_EVENT, "SubscribeMsgChangeEvent", entries)

    def mini_login(self) -> str:
        """Open the mini-program: the code of wx.login."""
        return self._desks.miniprogram.login_code(self.openid)

    def mini_phone_code(self, number: str = "") -> str:
        """Tap 手机号 in the mini-program: its code; ``number`` is the phone's own if not given."""
        known = self._sandbox.phones.get(self.openid).phone_number
        return self._desks.miniprogram.phone_code(self.openid, number or known or "13800000000")

    def mini_answer_popup(self, choices: Mapping[str, str]) -> None:
        """Answer the mini-program's popup; its events go to another program, so none is sent."""
        for template_id, choice in choices.items():
            if choice == "accept":
                self._desks.subscriptions.accept(MINIPROGRAM, self.openid, template_id)

    def mini_refuse_in_settings(self, template_ids: list[str]) -> None:
        """Refuse templates of the mini-program."""
        for template_id in template_ids:
            self._desks.subscriptions.refuse(MINIPROGRAM, self.openid, template_id)

    def block_login(self) -> None:
        """From now on the platform takes this person for risky: 40226."""
        self._desks.miniprogram.blocked.add(self.openid)

    @property
    def _desks(self) -> AccountDesks:
        return self._sandbox.desks

    def _account_event(self, name: str, element: str, entries: list[dict[str, str]]) -> Delivery:
        # No follower is needed: pages ask visitors too.
        account, at = self._sandbox.settings.original_id, self._sandbox.clock.now()
        fields = {element: {"List": entries}}
        sent = events.event(self.openid, account, at, name, **fields)
        return self._sandbox.courier.post(Delivery(sent, shows=False))
