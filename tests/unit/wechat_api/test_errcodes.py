"""The errcode table."""

import pytest

from devtools.wechat_sandbox.refusals import ERRMSG
from gongdian.adapters.wechat_api.errcodes import (
    RULES,
    credential_refusal,
    explain,
    field_of,
    refusal,
    rid_of,
    rule_of,
)
from gongdian.ports import RefusalAction

DOCUMENTED = {
    RefusalAction.RETRY_LATER: {-1, 45011},
    RefusalAction.REFRESH_TOKEN: {40001, 40014, 42001},
    RefusalAction.STOP_CHANNEL: {
        40125, 40013, 41002, 41004, 89503, 40164, 61004, 45009, 48001, 48004, 50002,
    },
    RefusalAction.REJECT_RECIPIENT: {40003, 43004, 43019, 43101},
    RefusalAction.REJECT_MESSAGE: {
        40037, 40036, 41030, 47001, 47003, 45015, 45047, 45002, 40029, 40163, 40007, 45109,
        40004, 40005, 40006, 40009, 40010, 40011, 40012, 41005,
        40016, 40017, 40018, 40019, 40020, 40023, 40024, 40025, 40026, 40027, 46003,
        40097, 40165, 40212, 85401, 40226, 48006, 76003, 76021, 76022,
        40002, 40008, 40052, 40053, 40054, 40055, 40066, 41001, 41006, 41008, 41009,
        43001, 43002, 44001, 44002, 44004, 45029,
    },
}  # fmt: skip


@pytest.mark.parametrize("action", DOCUMENTED)
def test_every_documented_errcode_has_its_one_action(action: RefusalAction):
    assert {code for code, rule in RULES.items() if rule.action == action} == DOCUMENTED[action]


def test_only_refusals_of_a_message_or_a_recipient_are_permanent():
    rejected = {RefusalAction.REJECT_MESSAGE, RefusalAction.REJECT_RECIPIENT}
    for code, rule in RULES.items():
        assert rule.permanent == (rule.action in rejected), code


def test_every_rule_explains_itself_in_chinese_and_english():
    for rule in RULES.values():
        assert any("一" <= character <= "鿿" for character in rule.chinese)
        assert rule.english.isascii()
        assert rule.english


def test_an_unknown_errcode_is_retried_and_says_that_it_is_unknown():
    error = refusal(99999, "something new")
    assert (error.action, error.permanent, error.retryable) == ("retry_later", False, True)
    assert "未收录" in explain(99999)


def test_a_wrong_template_id_allows_one_delayed_retry():
    assert refusal(40037, "invalid template_id").context["retry_once"] is True
    assert [code for code, rule in RULES.items() if rule.retry_once] == [40037]


def test_every_errcode_that_the_sandbox_gives_has_a_rule():
    assert set(ERRMSG) - set(RULES) == set()


def test_mistakes_that_each_message_of_a_kind_meets_are_told_to_operators():
    alarming = {code for code in RULES if refusal(code, "").context.get("alarm")}
    assert alarming == {
        40036, 41030, 47001, 47003, 45002, 45109, 40165,
        40002, 40008, 40066, 41001, 43001, 43002, 44002,
    }  # fmt: skip
    assert all(RULES[code].action == RefusalAction.REJECT_MESSAGE for code in alarming)


def test_quota_errcodes_say_when_to_go_on():
    assert refusal(45009, "").context["resume"] == "china_midnight"
    assert refusal(45011, "").context["resume"] == "next_minute"
    assert "resume" not in refusal(-1, "").context


@pytest.mark.parametrize(
    ("errmsg", "field"),
    [
        ("argument invalid! data.thing23.value invalid rid: 5f-1-2", "thing23"),
        ("data.character_string2.value is empty", "character_string2"),
        ("argument invalid", ""),
    ],
)
def test_the_refused_keyword_is_taken_from_errmsg(errmsg: str, field: str):
    assert field_of(errmsg) == field
    assert refusal(47003, errmsg).context.get("field", "") == field


@pytest.mark.parametrize(
    ("errmsg", "rid"),
    [
        ("invalid credential, rid: 5f0f7ac3-2a3b4c5d-6e7f8a9b", "5f0f7ac3-2a3b4c5d-6e7f8a9b"),
        ("require subscribe rid:5f-ab-12 hint", "5f-ab-12"),
        ("ok", ""),
    ],
)
def test_rid_is_taken_from_errmsg(errmsg: str, rid: str):
    assert rid_of(errmsg) == rid
    assert refusal(43004, errmsg).rid == rid


def test_token_invalid_at_the_token_endpoint_stops_the_channel():
    error = credential_refusal(40001, "invalid credential")
    assert error.action == error.context["action"] == RefusalAction.STOP_CHANNEL
    assert rule_of(40001).action == RefusalAction.REFRESH_TOKEN
