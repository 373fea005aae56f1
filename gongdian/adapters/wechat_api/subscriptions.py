"""Subscription notifications (订阅通知) of the official account; wiring puts it on the desk."""

from __future__ import annotations

from typing import Any

from gongdian.adapters.wechat_api.calls import AccountCalls
from gongdian.wechat_ports import SubscriptionSend

_PATH = "/cgi-bin/message/subscribe/bizsend"


class Subscriptions:
    """Fills ``gongdian.wechat_ports.SubscriptionPort``."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def send(self, message: SubscriptionSend) -> None:
        """Send one notification; the answer has no message id."""
        document = subscription_document(message)
        if message.miniprogram_appid:
            document["miniprogram"] = {
                "appid": message.miniprogram_appid,
                "pagepath": message.miniprogram_path,
            }
        # Nothing lets the platform recognise a repetition.
        self._calls.post(_PATH, document, repeatable=False)


def subscription_document(message: SubscriptionSend) -> dict[str, Any]:
    """What both kinds of subscription message have in common."""
    document: dict[str, Any] = {
        "touser": message.openid,
        "template_id": message.template_id,
        "data": {keyword: {"value": text} for keyword, text in message.data.items()},
    }
    if message.page:
        document["page"] = message.page
    return document
