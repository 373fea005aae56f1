"""The limits of template keywords, at and over each boundary."""

import pytest

from gongdian.errors import InputError
from gongdian.render.keywords import (
    REASON_LABELS,
    TYPE_LABELS,
    KeywordType,
    Reason,
    check,
    find_problem,
    type_of,
)

RARE = "𠮷"  # outside the basic plane: two UTF-16 units

GOOD = [
    ("thing", "东" * 20),
    ("thing", RARE * 10),
    ("thing", "更换老旧导线，可能提前送电★"),
    ("character_string", "JH20261201-03" + "x" * 19),
    ("phrase", "停电延期中"),
    ("phrase", RARE * 2),
    ("number", "9" * 32),
    ("number", "12.5"),
    ("letter", "a" * 32),
    ("symbol", "！-~…+"),
    ("amount", "186452.37元"),
    ("amount", "¥12345678.90元"),
    ("amount", "￥0"),
    ("amount", "1234567890"),
    ("time", "15:01"),
    ("time", "23:59:59"),
    ("time", "2026年11月25日 23:59"),
    ("time", "2026-11-25 23:59"),
    ("time", "08:00~17:00"),
    ("time", "22:00~06:00"),
    ("time", "2026年12月1日 08:00~2026年12月1日 17:00"),
    ("date", "2026年11月25日"),
    ("date", "2026年11月"),
    ("date", "11月25日"),
    ("date", "2月29日"),
    ("date", "2028-02-29"),
    ("date", "2026/11/25 08:00"),
    ("date", "2026.11.25"),
    ("date", "2026-11"),
    ("date", "01-31"),
    ("date", "2026年11月25日~2026年11月25日"),
    ("phone_number", "95598"),
    ("phone_number", "+86-0766-66888866"),
    ("car_number", "粤A8Z888挂"),
    ("car_number", "A123"),
    ("name", "张" * 10),
    ("name", "阿卜杜·买买提"),
    ("name", "A" * 20),
]

BAD = [
    ("thing", "东" * 21, Reason.TOO_LONG),
    ("thing", RARE * 11, Reason.TOO_LONG),
    ("thing", "", Reason.EMPTY),
    ("thing", " \u3000", Reason.EMPTY),
    ("thing", "一\n二", Reason.CONTROL),
    ("thing", "一\t二", Reason.CONTROL),
    ("thing", "一\x00", Reason.CONTROL),
    ("thing", "张\u202e三", Reason.CONTROL),
    ("thing", "张\u200b三", Reason.CONTROL),
    ("thing", "张\ue000", Reason.CONTROL),
    ("thing", "张\ud800", Reason.CONTROL),
    ("thing", "来电了😀", Reason.EMOJI),
    ("thing", "⚡停电", Reason.EMOJI),
    ("thing", "1\ufe0f\u20e3", Reason.EMOJI),
    ("character_string", "x" * 33, Reason.TOO_LONG),
    ("character_string", "编号1", Reason.CHARACTERS),
    ("character_string", "\uff11\uff12", Reason.CHARACTERS),
    ("character_string", "a b", Reason.CHARACTERS),
    ("phrase", "停电延期通知", Reason.TOO_LONG),
    ("phrase", "停电A", Reason.CHARACTERS),
    ("phrase", "停电，", Reason.CHARACTERS),
    ("number", "9" * 33, Reason.TOO_LONG),
    ("number", "-1", Reason.FORMAT),
    ("number", "1.", Reason.FORMAT),
    ("number", "\uff11\uff12", Reason.FORMAT),
    ("letter", "a" * 33, Reason.TOO_LONG),
    ("letter", "a1", Reason.FORMAT),
    ("symbol", "!!!!!!", Reason.TOO_LONG),
    ("symbol", "a!", Reason.CHARACTERS),
    ("amount", "12345678901元", Reason.TOO_LONG),
    ("amount", "123456789.01元", Reason.TOO_LONG),
    ("amount", "¥￥1", Reason.FORMAT),
    ("amount", "186,452.37元", Reason.FORMAT),
    ("amount", "-1元", Reason.FORMAT),
    ("amount", "18万元", Reason.FORMAT),
    ("time", "2026年11月25日", Reason.FORMAT),
    ("time", "下午3点", Reason.FORMAT),
    ("time", "24:00", Reason.IMPOSSIBLE),
    ("time", "12:60", Reason.IMPOSSIBLE),
    ("time", "2026年2月29日 08:00", Reason.IMPOSSIBLE),
    ("time", "08:00~09:00~10:00", Reason.FORMAT),
    ("time", "08:00 ~ 09:00", Reason.FORMAT),
    ("time", "08:00～09:00", Reason.FORMAT),
    ("time", "2026年12月1日 17:00~2026年12月1日 08:00", Reason.ORDER),
    ("date", "15:01", Reason.FORMAT),
    ("date", "2026-13-01", Reason.IMPOSSIBLE),
    ("date", "2026-11/25", Reason.FORMAT),
    ("date", "2026年11月26日~2026年11月25日", Reason.ORDER),
    ("date", "0000-01-01", Reason.IMPOSSIBLE),
    ("phone_number", "1" * 18, Reason.TOO_LONG),
    ("phone_number", "电话95598", Reason.FORMAT),
    ("phone_number", "---", Reason.FORMAT),
    ("car_number", "粤A8Z8888挂", Reason.TOO_LONG),
    ("car_number", "粤A学8", Reason.FORMAT),
    ("car_number", "粤A-8", Reason.FORMAT),
    ("car_number", "A12-", Reason.FORMAT),
    ("name", "张" * 11, Reason.TOO_LONG),
    ("name", "A" * 21, Reason.TOO_LONG),
    ("name", "张ABCDEFGHIJ", Reason.TOO_LONG),
    ("name", "张3", Reason.CHARACTERS),
    ("const", "已缴", Reason.NOT_CONFIGURED),
    ("enum", "已缴", Reason.NOT_CONFIGURED),
    ("short_thing", "一", Reason.NOT_CONFIGURED),
]


@pytest.mark.parametrize(("keyword_type", "value"), GOOD)
def test_a_value_within_the_limit_passes(keyword_type, value):
    check(f"{keyword_type}1", value)


@pytest.mark.parametrize(("keyword_type", "value", "reason"), BAD)
def test_a_value_over_the_limit_is_refused_with_its_reason(keyword_type, value, reason):
    with pytest.raises(InputError) as caught:
        check(f"{keyword_type}3", value, kind="outage_fault", label="线路")
    assert caught.value.code == reason
    assert caught.value.context == {
        "kind": "outage_fault",
        "key": f"{keyword_type}3",
        "label": "线路",
    }


def test_an_error_never_repeats_the_value():
    with pytest.raises(InputError) as caught:
        check("phrase1", "张三丰138")
    assert "张三丰" not in str(caught.value)


def test_listed_types_take_only_their_approved_values():
    assert find_problem(KeywordType.ENUM, "已缴", allowed=["已缴", "未缴"]) is None
    assert find_problem(KeywordType.CONST, "已缴", allowed=["已缴"]) is None
    refused = find_problem(KeywordType.ENUM, "在途", allowed=["已缴", "未缴"])
    assert refused is not None
    assert refused.reason is Reason.NOT_LISTED
    long = "长" * 21
    too_long = find_problem(KeywordType.CONST, long, allowed=[long])
    assert too_long is not None
    assert too_long.reason is Reason.TOO_LONG


def test_short_thing_passes_up_to_its_configured_length():
    assert find_problem(KeywordType.SHORT_THING, "五个字以内", max_length=5) is None
    refused = find_problem(KeywordType.SHORT_THING, "五个字以内了", max_length=5)
    assert refused is not None
    assert refused.reason is Reason.TOO_LONG


@pytest.mark.parametrize("key", ["keyword1", "", "thing0", "thing01", "Thing1", "thing1.DATA"])
def test_an_unknown_key_is_refused(key):
    with pytest.raises(InputError) as caught:
        type_of(key)
    assert caught.value.code == "keyword_type_unknown"


def test_a_key_and_a_bare_type_name_give_the_type():
    assert type_of("character_string12") is KeywordType.CHARACTER_STRING
    assert type_of("thing") is KeywordType.THING


def test_every_reason_and_type_has_a_chinese_label():
    assert set(REASON_LABELS) == set(Reason)
    assert set(TYPE_LABELS) == set(KeywordType)
