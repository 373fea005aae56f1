"""What the account may send: template messages and customer-service texts.

Called by ``platform_api`` after the token was checked.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from devtools.wechat_sandbox import events
from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.courier import Courier, Delivery
from devtools.wechat_sandbox.faults import RECEIPT_EVENT, FaultDesk
from devtools.wechat_sandbox.phones import PhoneDesk, PhoneState
from devtools.wechat_sandbox.quotas import QuotaDesk
from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.settings import SandboxSettings
from devtools.wechat_sandbox.templates import CardField, Template, TemplateDesk, card_fields

DEDUPE_S = 600
MAX_TEXT_BYTES = 2048


class SendDesk:
    """Takes messages, shows them on the phones, has receipts sent."""

    def __init__(
        self,
        lock: threading.RLock,
        clock: SandboxClock,
        settings: Callable[[], SandboxSettings],
        phones: PhoneDesk,
        templates: TemplateDesk,
        quotas: QuotaDesk,
        faults: FaultDesk,
        courier: Courier,
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._settings = settings
        self._phones = phones
        self._templates = templates
        self._quotas = quotas
        self._faults = faults
        self._courier = courier
        # (openid, client_msg_id) -> (msgid, accepted at), oldest first
        self._recent: dict[tuple[str, str], tuple[int, float]] = {}
        self.counts: Counter[str] = Counter()

    def template(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send one template message; the answer carries ``msgid``. Raises RefusalError."""
        settings = self._settings()
        phone = self._phones.find(order.get("touser"))
        if phone is None:
            raise RefusalError(40003)
        if not phone.following:
            raise RefusalError(43004)
        template = self._templates.find(
            order.get("template_id"), accept_any=settings.accept_any_template
        )
        fields = card_fields(template, order.get("data"))
        client_msg_id = str(order.get("client_msg_id") or "")
        with self._lock:
            known = self._known(phone.openid, client_msg_id)
            if known is not None:
                self.counts["client_msg_id_hits"] += 1
                return {"errcode": 0, "errmsg": "ok", "msgid": known}
            self._quotas.take(
                "template", settings.template_daily_quota, settings.template_minute_quota
            )
            msgid = events.new_id()
            if client_msg_id:
                self._recent[phone.openid, client_msg_id] = (msgid, self._clock.now())
            self.counts["templates_accepted"] += 1
            self._deliver(phone, template, fields, order, msgid)
        return {"errcode": 0, "errmsg": "ok", "msgid": msgid}

    def custom(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send one customer-service text. Raises RefusalError."""
        phone = self._phones.find(order.get("touser"))
        if phone is None:
            raise RefusalError(40003)
        if order.get("msgtype") != "text":
            raise RefusalError(40008)
        content = order.get("text")
        text = content.get("content") if isinstance(content, dict) else None
        if not isinstance(text, str) or not text:
            raise RefusalError(44004)
        if len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
            raise RefusalError(45002)
        self._quotas.take("custom", self._settings().custom_daily_quota)
        with self._lock:
            self._phones.take_window(phone)
            self.counts["service_texts_accepted"] += 1
            self._phones.show(phone, "service", text=text)
        return {"errcode": 0, "errmsg": "ok"}

    def clear(self) -> None:
        """Forget what was sent."""
        with self._lock:
            self._recent.clear()
            self.counts.clear()

    def snapshot(self) -> list[list[Any]]:
        """The client_msg_ids of the last 10 minutes, for saving."""
        with self._lock:
            return [[*key, *value] for key, value in self._recent.items()]

    def restore(self, saved: list[list[Any]]) -> None:
        """Take saved client_msg_ids."""
        with self._lock:
            self._recent = {(row[0], row[1]): (row[2], row[3]) for row in saved}

    def _known(self, openid: str, client_msg_id: str) -> int | None:
        """The msgid that this client_msg_id got within the last 10 minutes."""
        too_old = self._clock.now() - DEDUPE_S
        while self._recent:
            oldest = next(iter(self._recent))
            if self._recent[oldest][1] > too_old:
                break
            del self._recent[oldest]
        if not client_msg_id or not self._settings().honour_client_msg_id:
            return None
        known = self._recent.get((openid, client_msg_id))
        return known[0] if known else None

    def _deliver(
        self,
        phone: PhoneState,
        template: Template,
        fields: tuple[CardField, ...],
        order: dict[str, Any],
        msgid: int,
    ) -> None:
        settings = self._settings()
        fault = self._faults.for_receipt()
        status = fault.receipt_status if fault else phone.receipt_status
        url, miniprogram = str(order.get("url") or ""), order.get("miniprogram")
        extra: dict[str, Any] = {}
        if isinstance(miniprogram, dict) and miniprogram.get("appid"):
            # The mini-program wins over the address when both are given.
            url, extra = "", {"miniprogram": miniprogram}
        if status == "success":
            self._phones.show_card(
                phone,
                card_key(template, fields, url, extra),
                title=template.title,
                fields=fields,
                url=url,
                template_id=template.template_id,
                msgid=msgid,
                client_msg_id=str(order.get("client_msg_id") or ""),
                extra=extra,
            )
        if settings.receipts:
            hidden = settings.receipt_msgid_zero and order.get("client_msg_id")
            self._post_receipt(phone, 0 if hidden else msgid, status)

    def _post_receipt(self, phone: PhoneState, msgid: int, status: str) -> None:
        settings = self._settings()
        at = self._clock.now() + settings.receipt_delay_s
        receipt = events.event(
            phone.openid, settings.original_id, at, RECEIPT_EVENT, MsgID=msgid, Status=status
        )
        self._courier.post(
            Delivery(receipt, shows=False),
            after_s=settings.receipt_delay_s,
            on_clock=settings.receipt_on_clock,
        )


def card_key(
    template: Template, fields: tuple[CardField, ...], url: str, extra: dict[str, Any]
) -> str:
    """Equal for two cards that a person cannot tell apart."""
    lines = [(line.key, line.value) for line in fields]
    text = json.dumps([template.template_id, lines, url, extra], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
