"""Every router rule of this installation (路由表); the web edge and the worker build from it."""

from __future__ import annotations

from collections.abc import Sequence

from gongdian.db import Session
from gongdian.outbox.model import ReceiptArrived
from gongdian.outbox.receipts import apply_receipts
from gongdian.wiring import House
from wechat_handlers import accounts, arrears, preferences, subscriptions
from wechat_handlers.events import TemplateSendFinishedEvent
from wechat_handlers.handling import Handler, Handling
from wechat_handlers.replies import Reply, TextReply
from wechat_handlers.router import Router, Rule
from wechat_handlers.wire import Message


def build_router() -> Router[Handler]:
    """The router over all rules; ConfigError when two rules ask for the same."""
    flows = [*accounts.rules(), *arrears.rules(), *preferences.rules(), *subscriptions.rules()]
    return Router([*flows, _RECEIPTS, _HELP, _HELP_MENU])


def _receipt(handling: Handling) -> None:
    pairs = [(handling.dedupe, handling.message)]
    _receipts(handling.house, handling.session, pairs)


def _receipts(house: House, session: Session, pairs: Sequence[tuple[bytes, Message]]) -> None:
    now = house.clock.now()
    arrived = [
        ReceiptArrived(dedupe, event.from_user, str(event.msg_id), event.normal_status, now)
        for dedupe, event in pairs
        if isinstance(event, TemplateSendFinishedEvent)
    ]
    apply_receipts(session, house.account, arrived)


def _help(handling: Handling) -> Reply:
    settings = handling.house.settings
    return TextReply(
        "您好，回复“电费”可查询电费，回复“绑定户号”可绑定家里或单位的户号，"
        "回复“绑定”可开通用电服务通知，回复“解绑”可停止接收，"
        "回复“接收方式”可调整微信收不到时怎么通知您。\n"
        f"用电故障或其他问题请拨打{settings.service_phone}，24小时有人接听。"
    )


_RECEIPTS = Rule("receipts", Handler(_receipt, _receipts), "queued", event="templatesendjobfinish")
_HELP = Rule("help", Handler(_help), "inline", msg_type="text")
_HELP_MENU = Rule("help_menu", Handler(_help), "inline", event="click", key="HELP")
