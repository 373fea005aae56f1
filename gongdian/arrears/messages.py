"""What a card of this flow says (催费消息): facts in, keyword values out; campaigns call it.

The wording is that of the reviewed sample messages. A card names the principal and never the late
fee, which changes from day to day. Residents' names are masked, companies' are not. The platform
takes no Chinese in a 户号, so a card for several of them names the first and counts all of them in
the name, and again where the text message says it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from gongdian.errors import InputError
from gongdian.render.characters import plain
from gongdian.render.shorten import THING_LIMIT, fit_amount, shorten_end

FLOW = "arrears"
PAGE = "/h5/arrears"
KIND_BILL, KIND_DUE_SOON = "arrears_bill", "arrears_due_soon"
KIND_OVERDUE, KIND_CUTOFF = "arrears_overdue", "cutoff_notice"
KIND_BALANCE = "balance_low"

_NAMELESS = "用电客户"
# A bill may stand in an organisation's name under any class: that is no personal name. Single
# characters are believed only at the end of a name that is longer than a person's.
_ORGANISATION = re.compile(r"公司|中心|政府|机关|集团|农场|小区|物业|村委|合作社|学校|医院")
_ORGANISATION_END = re.compile(r"[厂店院校园所局站社会队部处行馆场组户]$")
_LONGEST_PERSONAL_NAME = 4
_OVERDUE_TIPS = {
    "plain": "违约金另计，有疑问请点此反馈",
    "firm": "违约金另计，请及时交清欠费",
    "formal": "催告：违约金另计，请尽快交清",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What one card claims: ``amount`` [yuan] of one or several 户号 of one party.

    ``due_on`` is the oldest due date that it speaks of, ``periods`` are the billing months
    (202610), ``cut_on`` the day from which a cut would be lawful (停电告知 only).
    """

    kind: str
    name: str = field(repr=False)
    customer_class: str
    customer_nos: tuple[str, ...]
    amount: Decimal
    due_on: date
    today: date
    tone: str = "plain"
    periods: tuple[str, ...] = ()
    cut_on: date | None = None


def keyword_values(claim: Claim) -> dict[str, str]:
    """The card's fields; InputError for an amount that no card can show, or another kind."""
    count = len(claim.customer_nos)
    values = {
        "customer_name": shown_name(claim.name, claim.customer_class, count),
        "customer_no": claim.customer_nos[0],
    }
    amount = fit_amount(claim.amount)
    if claim.kind == KIND_BILL:
        values["billing_period"] = _period_text(claim.periods, count)
        values["amount_due"] = amount
        values["due_at"] = _end_of_day(claim.due_on)
    elif claim.kind == KIND_DUE_SOON:
        values["amount_due"] = amount
        values["due_at"] = _end_of_day(claim.due_on)
        values["tip"] = _counted("如已交费请忽略本提醒", "如已交费请忽略", count)
    elif claim.kind == KIND_OVERDUE:
        values["principal"] = amount
        values["overdue_days"] = str(max(0, (claim.today - claim.due_on).days))
        values["tip"] = _counted(_OVERDUE_TIPS[claim.tone], "违约金另计", count)
    elif claim.kind == KIND_CUTOFF and claim.cut_on is not None:
        values["principal"] = amount
        values["cutoff_at"] = f"{_day_text(claim.cut_on)} 09:00"
        values["tip"] = _counted("通知书已送达，交清即不再停电", "交清即不再停电", count)
    else:
        raise InputError("no_such_card", "this flow has no card of this kind", kind=claim.kind)
    return values


def balance_values(
    customer_nos: Sequence[str], balance: Decimal, measured_text: str, limit: Decimal
) -> dict[str, str]:
    """The fields of 余额提醒: the lowest balance of these 户号, and below what it fell.

    A balance below zero is shown as zero with the arrears in the tip: an amount has no sign.
    """
    count = len(customer_nos)
    if balance < 0:
        tip = f"已欠{fit_amount(-balance)}，请及时充值"
    elif balance == 0:
        tip = "余额已用完，请及时充值"
    elif count > 1:
        tip = f"{count}户余额不足，请及时充值"
    else:
        tip = f"余额不足{_whole_yuan(limit)}元，请及时充值"
    return {
        "customer_no": customer_nos[0],
        "balance": fit_amount(max(balance, Decimal("0.00"))),
        "calculated_at": measured_text,
        "tip": tip,
    }


def shown_name(name: str, customer_class: str, count: int = 1) -> str:
    """The name on a card: a person's is masked (张*); ``count`` 户号 are told behind it."""
    ending = f"等{count}户" if count > 1 else ""
    try:
        shown = _masked(name) if is_personal(name, customer_class) else name
        return shorten_end(shown, THING_LIMIT - len(ending)) + ending
    except InputError:  # nothing of it can be shown
        return _NAMELESS + ending


def is_personal(name: str, customer_class: str) -> bool:
    """Whether this is taken for a person's name; in doubt it is one."""
    if _ORGANISATION.search(name):
        return False
    if len(name) <= _LONGEST_PERSONAL_NAME:
        return True
    return customer_class == "residential" and not _ORGANISATION_END.search(name)


def _masked(name: str) -> str:
    visible = plain(name)
    return f"{visible[0]}*" if visible else ""


def _counted(text: str, short: str, count: int) -> str:
    return text if count == 1 else f"共{count}户合计，{short}"


def _period_text(periods: Sequence[str], count: int) -> str:
    if not periods:
        text = "电费"
    else:
        first = min(periods)
        text = f"{first[:4]}年{int(first[4:])}月"
        months = len(set(periods))
        text += "电费" if months == 1 else f"等{months}期电费"
    return shorten_end(text if count == 1 else f"{text}，{count}户合计")


def _end_of_day(day: date) -> str:
    return f"{_day_text(day)} 23:59"


def _day_text(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _whole_yuan(amount: Decimal) -> str:
    return f"{amount:.2f}".removesuffix(".00")
