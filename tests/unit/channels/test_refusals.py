"""Every reply of the provider and of a mail server leads to exactly one action."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongdian.adapters import sms_codes, smtp_replies
from gongdian.adapters.smtp_replies import Stage
from gongdian.channels import refusal_action
from gongdian.ports import RefusalAction as Action


@pytest.mark.parametrize(
    ("code", "message", "action", "permanent", "resume"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1", "retry_later", 0, "next_minute"),
        ("isv.BUSINESS_LIMIT_CONTROL", "触发小时级流控Permits:5", "retry_later", 0, "next_hour"),
        (
            "isv.BUSINESS_LIMIT_CONTROL",
            "触发天级流控Permits:10",
            "retry_later",
            0,
            "china_midnight",
        ),
        ("isv.BUSINESS_LIMIT_CONTROL", "", "retry_later", 0, None),
        ("isv.MOBILE_NUMBER_ILLEGAL", "", "reject_recipient", 1, None),
        ("isv.AMOUNT_NOT_ENOUGH", "", "stop_channel", 0, None),
        ("isv.OUT_OF_SERVICE", "", "stop_channel", 0, None),
        ("isv.SMS_TEMPLATE_ILLEGAL", "", "reject_message", 1, None),
        ("isv.SMS_SIGNATURE_ILLEGAL", "", "stop_channel", 0, None),
        ("isp.SYSTEM_ERROR", "", "retry_later", 0, None),
        ("isv.DAY_LIMIT_CONTROL", "", "stop_channel", 0, "china_midnight"),
        ("isv.BLACK_KEY_CONTROL_LIMIT", "", "reject_message", 1, None),
        ("isv.PARAM_NOT_SUPPORT_URL", "", "reject_message", 1, None),
        ("Throttling.User", "", "retry_later", 0, "next_minute"),
        ("SignatureDoesNotMatch", "", "stop_channel", 0, None),
        ("isv.SOMETHING_NEW", "", "retry_later", 0, None),
    ],
)
def test_each_code_of_the_provider_has_its_action(code, message, action, permanent, resume):
    error = sms_codes.refusal(code, message, "R-1")
    assert (error.code, refusal_action(error)) == (f"sms_{code}", action)
    assert error.permanent is bool(permanent)
    assert error.retryable is not bool(permanent)
    assert error.context.get("resume") == resume
    assert error.context["rid"] == "R-1"


@pytest.mark.parametrize("message", ["触发分钟级流控", "触发小时级流控", "触发天级流控", ""])
def test_a_limit_of_one_number_concerns_that_number_only(message):
    context = sms_codes.refusal("isv.BUSINESS_LIMIT_CONTROL", message).context
    assert context["only_recipient"] is True
    for other in ("Throttling.User", "isv.DAY_LIMIT_CONTROL", "isp.SYSTEM_ERROR"):
        assert "only_recipient" not in sms_codes.refusal(other, message).context


def test_mistakes_that_each_message_of_a_kind_meets_are_told_to_operators():
    alarming = {
        code for code in sms_codes.RULES if sms_codes.refusal(code, "").context.get("alarm")
    }
    about_one = {"isv.BLACK_KEY_CONTROL_LIMIT", "isv.MOBILE_NUMBER_ILLEGAL"}
    permanent = {code for code, rule in sms_codes.RULES.items() if rule.permanent}
    assert alarming == permanent - about_one
    assert {
        "isv.SMS_TEMPLATE_ILLEGAL", "isv.TEMPLATE_MISSING_PARAMETERS", "isv.INVALID_JSON_PARAM",
    } <= alarming  # fmt: skip


@pytest.mark.parametrize(
    ("code", "status", "doubtful"),
    [
        ("InternalError", 500, True),
        ("ServiceUnavailable", 503, True),
        ("isp.SYSTEM_ERROR", 500, True),
        ("isv.SOMETHING_NEW", 502, True),
        ("isp.SYSTEM_ERROR", 200, False),
        ("Throttling.User", 503, False),
        ("isv.AMOUNT_NOT_ENOUGH", 500, False),
        ("isv.SOMETHING_NEW", 400, False),
    ],
)
def test_a_platform_that_broke_down_may_have_sent_all_the_same(code, status, doubtful):
    assert sms_codes.may_have_acted(code, status) is doubtful


def test_every_listed_code_is_explained_in_chinese():
    for code in sms_codes.RULES:
        assert any("\u4e00" <= one <= "\u9fff" for one in sms_codes.explain(code))


def test_a_phone_in_the_providers_text_is_hidden():
    assert "13800138000" not in str(sms_codes.refusal("x", "13800138000invalid mobile number"))


@pytest.mark.parametrize(
    ("stage", "code", "reply", "action"),
    [
        (Stage.CONNECT, 421, "4.7.0 too many connections", "retry_later"),
        (Stage.CONNECT, 554, "no service", "stop_channel"),
        (Stage.LOGIN, 454, "4.7.0 temporary", "retry_later"),
        (Stage.LOGIN, 535, "5.7.8 credentials invalid", "stop_channel"),
        (Stage.SENDER, 530, "5.7.0 authenticate first", "stop_channel"),
        (Stage.SENDER, 553, "5.7.1 not your address", "stop_channel"),
        (Stage.SENDER, 552, "5.3.4 too big", "reject_message"),
        (Stage.RECIPIENT, 450, "4.2.0 greylisted", "retry_later"),
        (Stage.RECIPIENT, 550, "5.1.1 no such user", "reject_recipient"),
        (Stage.RECIPIENT, 550, "no such user", "reject_recipient"),
        (Stage.RECIPIENT, 452, "4.2.2 mailbox full", "retry_later"),
        (Stage.RECIPIENT, 552, "5.2.2 mailbox full", "reject_message"),
        (Stage.RECIPIENT, 550, "5.2.2 mailbox full", "reject_message"),
        (Stage.RECIPIENT, 552, "mailbox full", "reject_message"),
        (Stage.RECIPIENT, 550, "5.2.1 mailbox disabled", "reject_recipient"),
        (Stage.RECIPIENT, 550, "5.7.1 relaying denied", "reject_message"),
        (Stage.RECIPIENT, 550, "5.7.133 sender not on the list", "reject_message"),
        (Stage.RECIPIENT, 530, "5.7.0 authenticate first", "reject_message"),
        (Stage.RECIPIENT, 554, "5.1.1 no such user", "reject_recipient"),
        (Stage.RECIPIENT, 554, "your host is listed", "reject_message"),
        (Stage.RECIPIENT, 503, "bad sequence", "reject_message"),
        (Stage.CONTENT, 451, "4.3.0 try again", "retry_later"),
        (Stage.CONTENT, 554, "5.7.1 looks like spam", "reject_message"),
        (Stage.CONTENT, 550, "5.7.23 SPF failed", "reject_message"),
        (Stage.CONTENT, 550, "5.7.25 no reverse name", "reject_message"),
        (Stage.CONTENT, 552, "5.2.2 mailbox full", "reject_message"),
        (Stage.CONTENT, 552, "5.3.4 too big", "reject_message"),
        (Stage.CONTENT, 554, "5.6.0 malformed", "reject_message"),
        (Stage.CONTENT, 550, "5.1.1 unknown", "reject_recipient"),
    ],
)
def test_each_reply_of_a_mail_server_has_its_action(stage, code, reply, action):
    error = smtp_replies.refusal(stage, code, reply.encode())
    assert refusal_action(error) == action
    assert error.context["stage"] == stage
    assert error.code.startswith(f"smtp_{code}")


@pytest.mark.parametrize(
    ("stage", "code", "reply", "is_alarming"),
    [
        (Stage.RECIPIENT, 550, "5.7.1 relaying denied", True),
        (Stage.RECIPIENT, 554, "your host is listed", True),
        (Stage.CONTENT, 550, "5.7.23 SPF failed", True),
        (Stage.RECIPIENT, 503, "bad sequence", True),
        (Stage.RECIPIENT, 550, "5.1.1 no such user", False),
        (Stage.RECIPIENT, 552, "5.2.2 mailbox full", False),
        (Stage.CONTENT, 554, "5.7.1 looks like spam", False),
    ],
)
def test_what_every_mail_may_meet_is_told_to_operators(stage, code, reply, is_alarming):
    assert ("alarm" in smtp_replies.refusal(stage, code, reply).context) is is_alarming


@settings(deadline=None, database=None)
@given(
    st.sampled_from(Stage),
    st.integers(400, 599),
    st.one_of(
        st.just(""),
        st.builds("{}.{}.{}".format, st.integers(4, 5), st.integers(0, 8), st.integers(0, 40)),
    ),
)
def test_no_reply_is_without_a_rule_and_a_4xx_is_never_final(stage, code, enhanced):
    rule = smtp_replies.rule_of(stage, code, enhanced)
    assert rule.action in set(Action) - {Action.REFRESH_TOKEN}
    assert rule.explanation
    if stage in (Stage.RECIPIENT, Stage.CONTENT):
        assert rule.action is not Action.STOP_CHANNEL
    if code < 500:
        assert rule.action is Action.RETRY_LATER
    else:
        assert rule.action is not Action.RETRY_LATER


@settings(deadline=None, database=None)
@given(st.binary(max_size=300), st.sampled_from(Stage), st.integers(400, 599))
def test_any_bytes_of_a_server_become_an_error(reply, stage, code):
    error = smtp_replies.refusal(stage, code, reply)
    assert len(error.text) <= 200 or not error.text
    assert "\n" not in error.text


def test_an_address_in_the_servers_text_is_hidden():
    error = smtp_replies.refusal(Stage.RECIPIENT, 550, b"5.1.1 <zhang.san@example.cn> unknown")
    assert "zhang.san" not in str(error)
