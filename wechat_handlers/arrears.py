"""What a customer asks about bills in the chat (电费查询): 电费, 账单, 绑定户号 and the menu keys.

Answered passively, from one read.
"""

from __future__ import annotations

from datetime import date

from gongdian.accounts.queries import contact_id_of
from gongdian.arrears.page import OpenSum, open_sums
from gongdian.clock import china_date
from gongdian.money import yuan_text
from wechat_handlers import arrears_bills, arrears_bindings
from wechat_handlers.handling import Handler, Handling
from wechat_handlers.replies import Reply, TextReply
from wechat_handlers.router import Rule

_MOST_LISTED = 5


def _asked_for_bills(handling: Handling) -> Reply:
    house, session = handling.house, handling.session
    contact_id = contact_id_of(session, house.account, handling.openid)
    sums = open_sums(session, contact_id) if contact_id is not None else []
    if not sums:
        return TextReply(
            "这个微信还没有绑定户号，绑定后就能在这里查电费。点击下面的链接绑定：\n"
            f"{house.settings.public_url}{arrears_bindings.PATH}"
        )
    today = china_date(handling.now)
    lines = [_line(one, today) for one in sums[:_MOST_LISTED]]
    more = len(sums) - _MOST_LISTED
    if more > 0:
        lines.append(f"另有{more}个户号，请点链接查看。")
    lines.append(f"账单明细和交费方式：\n{house.settings.public_url}{arrears_bills.PATH}")
    return TextReply("\n".join(lines))


def _line(one: OpenSum, today: date) -> str:
    head = f"户号{one.customer_no}："
    if one.due_on is None:
        return head + ("智能交费，余额请点链接查看" if one.is_prepaid else "没有待交电费")
    amount = f"待交{yuan_text(one.principal)}元，"
    if one.due_on < today:
        return f"{head}{amount}已逾期{(today - one.due_on).days}天，违约金另计"
    return f"{head}{amount}交费截止日{one.due_on.month}月{one.due_on.day}日"


def _asked_to_bind_customer(handling: Handling) -> Reply:
    return TextReply(
        "点击下面的链接绑定户号，居民凭短信验证码，单位由经办人申请：\n"
        f"{handling.house.settings.public_url}{arrears_bindings.PATH}"
    )


def rules() -> list[Rule[Handler]]:
    """The router rules of the arrears flow."""
    bills, binding = Handler(_asked_for_bills), Handler(_asked_to_bind_customer)
    words = "电费|账单|我的电费|电费账单|查电费|交电费|缴电费"
    return [
        Rule("bills", bills, "inline", msg_type="text", text_pattern=words),
        Rule("bills_menu", bills, "inline", event="click", key="BILLS"),
        Rule("bind_customer", binding, "inline", msg_type="text", text_pattern="绑定户号"),
        Rule("bind_customer_menu", binding, "inline", event="click", key="BIND_CUSTOMER"),
    ]
