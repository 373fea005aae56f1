"""Cards of the arrears flow: their words, with the longest real values, pass every check."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from gongdian.arrears.messages import (
    KIND_BALANCE,
    KIND_BILL,
    KIND_CUTOFF,
    KIND_DUE_SOON,
    KIND_OVERDUE,
    Claim,
    balance_values,
    is_personal,
    keyword_values,
    shown_name,
)
from gongdian.errors import InputError
from tests.factories import ACCOUNT, registry

LONG_NAME = "云溪县城关镇东关村农村饮水安全工程运行管理服务有限责任公司第二分公司"
TODAY = date(2026, 12, 31)


def a_claim(kind: str = KIND_OVERDUE, **changes: Any) -> Claim:
    given: dict[str, Any] = {
        "kind": kind,
        "name": LONG_NAME,
        "customer_class": "industrial_two_part",
        "customer_nos": tuple(f"99000012034{number:02d}" for number in range(12)),
        "amount": Decimal("99999999.99"),
        "due_on": date(2025, 11, 25),
        "today": TODAY,
        "periods": tuple(f"2026{month:02d}" for month in range(1, 13)),
        "cut_on": date(2027, 1, 6),
    }
    return Claim(**{**given, **changes})


@pytest.mark.parametrize("kind", [KIND_BILL, KIND_DUE_SOON, KIND_OVERDUE, KIND_CUTOFF])
@pytest.mark.parametrize("tone", ["plain", "firm", "formal"])
@pytest.mark.parametrize("count", [1, 12])
def test_the_longest_values_fit_card_and_text_message(kind: str, tone: str, count: int) -> None:
    claim = a_claim(kind, tone=tone)
    claim = a_claim(kind, tone=tone, customer_nos=claim.customer_nos[:count])
    values = keyword_values(claim)
    registry().compose(ACCOUNT, kind, values)
    text = registry().compose_sms(ACCOUNT, kind, values, "Ab3xY9kQ0-_zZ123")
    assert text is not None
    assert len(text.text) <= 130


@pytest.mark.parametrize("tone", ["plain", "firm", "formal"])
@pytest.mark.parametrize("count", [1, 3])
def test_an_overdue_card_names_the_principal_and_says_that_the_late_fee_comes_on_top(
    tone: str, count: int
) -> None:
    claim = a_claim(tone=tone, customer_nos=("9900001203457",) * count)
    values = keyword_values(claim)
    assert values["principal"] == "99999999.99元"
    assert "违约金另计" in values["tip"]


def test_a_bill_names_its_month_or_how_many_there_are() -> None:
    one = a_claim(KIND_BILL, periods=("202610",), customer_nos=("9900001203457",))
    assert keyword_values(one)["billing_period"] == "2026年10月电费"
    assert keyword_values(a_claim(KIND_BILL))["billing_period"] == "2026年1月等12期电费，12户合计"
    assert keyword_values(a_claim(KIND_BILL, periods=()))["billing_period"] == "电费，12户合计"


def test_several_supply_points_are_counted_in_the_name_and_the_first_is_named() -> None:
    values = keyword_values(a_claim(name="云溪恒源铸造有限公司", customer_nos=("1", "2", "3")))
    assert (values["customer_name"], values["customer_no"]) == ("云溪恒源铸造有限公司等3户", "1")


@pytest.mark.parametrize(
    ("name", "customer_class", "shown"),
    [
        ("张三丰", "residential", "张*"),
        ("欧阳震华", "residential", "欧*"),
        ("买买提·吐尔逊", "residential", "买*"),
        ("李敏", "agricultural", "李*"),
        ("王会", "industrial_one_part", "王*"),
        ("云溪恒源铸造有限公司", "residential", "云溪恒源铸造有限公司"),
        ("东关村2组排灌站", "agricultural", "东关村2组排灌站"),
        ("城关小学", "industrial_one_part", "城*"),
        ("云溪县城关镇中心小学校", "residential", "云溪县城关镇中心小学校"),
        ("\u200b", "residential", "用电客户"),
    ],
)
def test_a_persons_name_is_masked_and_a_companys_is_not(
    name: str, customer_class: str, shown: str
) -> None:
    assert shown_name(name, customer_class) == shown


def test_in_doubt_a_name_is_a_persons() -> None:
    assert is_personal("刘站", "industrial_one_part")
    assert not is_personal("刘站农机服务部", "residential")


def test_what_no_card_can_show_is_refused() -> None:
    with pytest.raises(InputError):
        keyword_values(a_claim(amount=Decimal("10000000000.50")))
    with pytest.raises(InputError):
        keyword_values(a_claim("outage_fault"))
    with pytest.raises(InputError):
        keyword_values(a_claim(KIND_CUTOFF, cut_on=None))


@pytest.mark.parametrize(
    ("nos", "balance", "limit", "shown", "tip"),
    [
        (["1"], "12.36", "30.00", "12.36元", "余额不足30元，请及时充值"),
        (["1"], "0.00", "0.00", "0.00元", "余额已用完，请及时充值"),
        (["1", "2"], "9.99", "10.00", "9.99元", "2户余额不足，请及时充值"),
        (["1"], "-99999999.99", "0.00", "0.00元", "已欠99999999.99元，请及时充值"),
    ],
)
def test_a_balance_card(nos: list[str], balance: str, limit: str, shown: str, tip: str) -> None:
    at = "2026年11月20日 06:00"
    values = balance_values(nos, Decimal(balance), at, Decimal(limit))
    assert (values["balance"], values["tip"]) == (shown, tip)
    registry().compose(ACCOUNT, KIND_BALANCE, values)
