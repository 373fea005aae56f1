"""The sandbox's own limits for template values, from the platform's table."""

from __future__ import annotations

import threading

import pytest

from devtools.wechat_sandbox.refusals import RefusalError
from devtools.wechat_sandbox.template_values import is_acceptable
from devtools.wechat_sandbox.templates import TemplateDesk, card_fields, shown_value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thing1", "江" * 20),
        ("thing12", "a1！ 中"),
        ("character_string2", "AB-12_/#3" + "x" * 23),
        ("phrase3", "待缴费"),
        ("phrase3", "一二三四五"),
        ("number4", "12345.67"),
        ("number4", "1" * 32),
        ("letter5", "abcXYZ"),
        ("symbol6", "+-*/!"),
        ("amount7", "¥1234567890.12元"),
        ("amount7", "88.5元"),
        ("amount7", "￥0.01"),
        ("time8", "15:01"),
        ("time8", "2019年10月1日 15:01"),
        ("time8", "2026-01-05 14:30~2026-01-05 18:00"),
        ("time8", "2026年1月5日 14:30:00"),
        ("date9", "2019年10月1日"),
        ("date9", "2024/2/29"),
        ("date9", "2026.01.05 09:00~2026.01.06 10:00"),
        ("phone_number10", "+86-0571-95598"),
        ("phone_number10", "138****0000"),
        ("car_number11", "浙A12345"),
        ("car_number11", "粤Z1234港"),
        ("name12", "欧阳一二三四五六七八"),
        ("name12", "Alexander Hamilton"),
        ("name12", "张*"),
        ("const13", ""),
        ("enum14", "任意"),
        ("short_thing15", "短"),
    ],
)
def test_value_within_its_limit_is_taken(key: str, value: str) -> None:
    assert is_acceptable(key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thing1", "江" * 21),
        ("thing1", "𠀀" * 11),  # 11 code points, 22 UTF-16 units
        ("thing1", "两\n行"),
        ("thing1", "控\x07制"),
        ("thing1", ""),
        ("thing1", "   "),
        ("thing1", "半\ud83d个"),
        ("character_string2", "编号12"),
        ("character_string2", "x" * 33),
        ("phrase3", "一二三四五六"),
        ("phrase3", "abc"),
        ("number4", "12元"),
        ("number4", "\uff11\uff12"),
        ("amount7", "\uff11\uff12元"),
        ("time8", "15:01 "),
        ("time8", "2026-01-05\u300014:30"),
        ("phone_number10", "----"),
        ("number4", "1" * 33),
        ("letter5", "abc1"),
        ("symbol6", "------"),
        ("symbol6", "ab"),
        ("amount7", "12345678901"),
        ("amount7", "八十元"),
        ("amount7", "1,234.00"),
        ("time8", "25:00"),
        ("time8", "2019年10月1日"),
        ("time8", "2026年2月30日 10:00"),
        ("time8", "10:00~11:00~12:00"),
        ("date9", "10月1日"),
        ("date9", "2026-02-30"),
        ("date9", "2026-2/3"),
        ("phone_number10", "1" * 18),
        ("phone_number10", "电话95598"),
        ("car_number11", "浙江12345"),
        ("car_number11", "浙A1234567"),
        ("name12", "一二三四五六七八九十一"),
        ("name12", "张3"),
        ("name12", "a" * 21),
        ("unknown1", "x"),
        ("thing", "x"),
    ],
)
def test_value_over_its_limit_is_refused(key: str, value: str) -> None:
    assert not is_acceptable(key, value)


def test_enum_and_const_take_only_listed_values_when_some_are_listed() -> None:
    assert is_acceptable("enum1", "计划停电", ("计划停电", "故障停电"))
    assert not is_acceptable("enum1", "限电", ("计划停电", "故障停电"))
    assert not is_acceptable("const2", "别的", ("电费通知",))


def test_old_industry_keys_are_cut_and_never_refused() -> None:
    assert shown_value("keyword1", "长" * 30 + "\n尾", ()) == "长" * 20
    assert shown_value("first", "您好\n客户", ()) == "您好 客户"


def desk() -> TemplateDesk:
    templates = TemplateDesk(threading.RLock())
    templates.register("T1", "停电通知", {"thing1": "地址", "time2": "时间"})
    return templates


def test_card_keeps_the_template_order_and_drops_colours_emoji_and_unknown_keys() -> None:
    template = desk().find("T1", accept_any=False)
    fields = card_fields(
        template,
        {
            "time2": {"value": "15:01", "color": "#ff0000"},
            "thing1": {"value": "解放路⚡️1号"},
            "thing9": {"value": "x"},
        },
    )
    assert [(line.key, line.label, line.value) for line in fields] == [
        ("thing1", "地址", "解放路1号"),
        ("time2", "时间", "15:01"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        {"time2": {"value": "15:01"}},
        {"thing1": {"value": "江" * 21}, "time2": {"value": "15:01"}},
        {"thing1": "解放路", "time2": {"value": "15:01"}},
        {"thing1": {"value": None}, "time2": {"value": "15:01"}},
        {"thing1": {"value": True}, "time2": {"value": "15:01"}},
    ],
)
def test_refusal_names_the_first_bad_key(content: dict[str, object]) -> None:
    with pytest.raises(RefusalError) as caught:
        card_fields(desk().find("T1", accept_any=False), content)
    assert caught.value.errcode == 47003
    assert caught.value.errmsg == "argument invalid! data.thing1.value invalid"


def test_number_values_are_taken_as_text() -> None:
    templates = desk()
    templates.register("T2", "电费", ["number1"])
    fields = card_fields(templates.find("T2", accept_any=False), {"number1": {"value": 12.5}})
    assert fields[0].value == "12.5"


def test_unknown_template_is_refused_unless_any_is_accepted() -> None:
    for template_id, errcode in (("T9", 40037), ("", 40036), ("x" * 65, 40036), (None, 40036)):
        with pytest.raises(RefusalError) as caught:
            desk().find(template_id, accept_any=False)
        assert caught.value.errcode == errcode
    template = desk().find("T9", accept_any=True)
    assert card_fields(template, {"thing1": {"value": "一"}})[0].value == "一"
    with pytest.raises(RefusalError):
        card_fields(template, {"thing1": {"value": "江" * 21}})
