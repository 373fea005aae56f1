"""Subscription messages (订阅通知、订阅消息): who allowed which template how often, and the sends.

Called by ``account_routes`` for the two send calls and by ``phone_actions`` for popup and settings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from devtools.wechat_sandbox import events
from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.courier import Courier, Delivery
from devtools.wechat_sandbox.phones import PhoneDesk, PhoneState
from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.sending import card_key
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.templates import CardField, Template, TemplateDesk, card_fields

SERVICE, MINIPROGRAM = "service", "miniprogram"
SENT_EVENT = "subscribe_msg_sent_event"
EDITIONS = ("developer", "trial", "formal")


@dataclass(slots=True)
class Grant:
    """What one person allows of one template; ``refused`` in the settings beats the count."""

    left: int = 0
    is_long_term: bool = False
    refused: bool = False


class SubscriptionDesk:
    """Keeps the grants and takes the sends."""

    def __init__(
        self,
        lock: threading.RLock,
        clock: SandboxClock,
        settings: Callable[[], SandboxSettings],
        phones: PhoneDesk,
        templates: TemplateDesk,
        courier: Courier,
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._settings = settings
        self._phones = phones
        self._templates = templates
        self._courier = courier
        self._grants: dict[tuple[str, str, str], Grant] = {}

    def accept(self, account: str, openid: str, template_id: str) -> None:
        """A yes in the popup."""
        with self._lock:
            grant = self._grants.setdefault((account, openid, template_id), Grant())
            grant.refused = False
            if template_id in self._settings().long_term_templates:
                grant.is_long_term = True
            else:
                grant.left += 1

    def refuse(self, account: str, openid: str, template_id: str) -> None:
        """A no in the phone's settings."""
        with self._lock:
            self._grants[account, openid, template_id] = Grant(refused=True)

    def left(self, account: str, openid: str, template_id: str) -> int | None:
        """How many more messages would pass; None = without limit."""
        with self._lock:
            grant = self._grants.get((account, openid, template_id), Grant())
            if grant.refused:
                return 0
            return None if grant.is_long_term else grant.left

    def send(self, account: str, phone: PhoneState | None, order: dict[str, Any]) -> dict[str, Any]:
        """Take one message; there is no message id in the answer. Raises RefusalError."""
        if phone is None:
            raise RefusalError(40003)
        settings = self._settings()
        template = self._templates.find(
            order.get("template_id"), accept_any=settings.accept_any_template
        )
        if account == MINIPROGRAM:
            self._check_page(order)
        fields = card_fields(template, order.get("data"))
        with self._lock:
            self._take_credit(account, phone.openid, template.template_id)
            self._deliver(account, phone, template, fields, order)
        return {"errcode": 0, "errmsg": "ok"}

    def clear(self) -> None:
        """Forget all grants."""
        with self._lock:
            self._grants.clear()

    def snapshot(self) -> list[list[Any]]:
        """The grants, for saving."""
        with self._lock:
            return [[*key, asdict(grant)] for key, grant in self._grants.items()]

    def restore(self, saved: list[list[Any]]) -> None:
        """Take saved grants."""
        with self._lock:
            self._grants = {(row[0], row[1], row[2]): Grant(**row[3]) for row in saved}

    def _check_page(self, order: dict[str, Any]) -> None:
        page = order.get("page")
        pages = self._settings().miniprogram_pages
        if page and (not isinstance(page, str) or "://" in page):
            raise RefusalError(41030)
        if page and pages and page.partition("?")[0] not in pages:
            raise RefusalError(41030)
        if order.get("miniprogram_state", "formal") not in EDITIONS:
            raise RefusalError(47003, "argument invalid! miniprogram_state")

    def _take_credit(self, account: str, openid: str, template_id: str) -> None:
        left = self.left(account, openid, template_id)
        if left == 0:
            raise RefusalError(43101)
        if left is not None:
            self._grants[account, openid, template_id].left -= 1

    def _deliver(
        self,
        account: str,
        phone: PhoneState,
        template: Template,
        fields: tuple[CardField, ...],
        order: dict[str, Any],
    ) -> None:
        msgid = events.new_id()
        succeeded = phone.receipt_status == "success"
        page = str(order.get("page") or "")
        extra: dict[str, Any] = {"channel": "subscription", "account": account}
        if isinstance(order.get("miniprogram"), dict):
            extra["miniprogram"] = order["miniprogram"]
        if account == MINIPROGRAM:
            extra["page"], page = page, ""
        if succeeded:
            self._phones.show_card(
                phone,
                card_key(template, fields, page, extra),
                title=template.title,
                fields=fields,
                url=page,
                template_id=template.template_id,
                msgid=msgid,
                extra=extra,
            )
        if account == SERVICE and self._settings().receipts:
            self._post_result(phone, template.template_id, msgid, succeeded)

    def _post_result(
        self, phone: PhoneState, template_id: str, msgid: int, succeeded: bool
    ) -> None:
        settings = self._settings()
        entry = {
            "TemplateId": template_id,
            "MsgID": str(msgid),
            "ErrorCode": "0" if succeeded else "-1",
            "ErrorStatus": "success" if succeeded else phone.receipt_status,
        }
        fields = {"SubscribeMsgSentEvent": {"List": [entry]}}
        at = self._clock.now() + settings.receipt_delay_s
        sent = events.event(phone.openid, settings.original_id, at, SENT_EVENT, **fields)
        self._courier.post(
            Delivery(sent, shows=False),
            after_s=settings.receipt_delay_s,
            on_clock=settings.receipt_on_clock,
        )
