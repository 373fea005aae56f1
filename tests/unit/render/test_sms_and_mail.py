"""Text messages and mails of the message kinds."""

from __future__ import annotations

import pytest

from gongdian.channels import segments, signed_text
from gongdian.errors import ConfigError, InputError, NotFoundError
from gongdian.render.mail import compose_mail
from gongdian.render.registry import Registry
from gongdian.render.sms import read_sms, sms_value
from gongdian.render.tables import Table

DEMO = "wxdemo0000000001"
REGISTRY = Registry.load()
KINDS = {kind.name: kind for kind in REGISTRY.kinds()}
SIGN = "云溪供电"
LINK = " https://dl.example.cn/s/Ab3xY9kQ"

# Read aloud: one sentence, then the link.
REVIEWED = {
    "arrears_bill": "户号9900001203457的2026年10月电费为186452.37元，"
    "请于2026年11月25日 23:59前交清，账单",
    "arrears_due_soon": "户号9900000345812还有电费86.40元未交，2026年11月25日 23:59到期，"
    "如已交费请忽略本提醒，详情",
    "balance_low": "户号9900000345901的可用电费余额为12.36元（2026年11月20日 06:00测算），"
    "余额不足30元，请及时充值，详情",
    "arrears_overdue": "户号9900001203457的电费本金186452.37元已逾期6天，"
    "违约金另计，有疑问请点此反馈",
    "cutoff_notice": "户号9900001203457欠电费本金186452.37元，拟于2027年1月6日 09:00停止供电，"
    "通知书已送达，交清即不再停电，详情",
    "outage_planned": "东关村2号公变等6个台区计划于2026年12月1日 08:00停电，"
    "预计2026年12月1日 17:00送电，原因是更换老旧导线，可能提前送电，详情",
    "outage_changed": "停电计划JH20261201-03有变更：停电延期，由2026年12月1日 08:00改为"
    "2026年12月9日 08:00，原因是大风预警，不具备作业条件，详情",
    "outage_fault": "10kV城东II线512于2026年11月21日 14:32停电，目前故障巡查，"
    "预计送电时间：到场查明后尽快告知，咨询95598，进展",
    "supply_path_lost": "云溪县人民医院的I路：10kV城东II线512于2026年11月21日 14:32一路失电，"
    "请确认备自投，严防反送电，详情",
    "supply_restored": "10kV城东II线512后段已于2026年11月21日 16:05恢复供电，"
    "停电原因是树木碰线，已清除，若仍无电，请点此报修",
    "binding_request": "您于2026年11月21日 10:20申请绑定微信，接收用电服务通知，"
    "非本人操作请忽略，24小时内有效，确认请打开",
    "binding_done": "您的微信绑定申请，结果是已绑定（2026年11月21日 10:22），详情",
}
# Whoever reads it is at our page already: a link would teach people to tap links beside codes.
REVIEWED_CODE = (
    "验证码402918，用于把户号99*******3457绑定到微信，5分钟内有效。非本人操作请忽略，切勿告诉他人"
)


def test_every_kind_has_a_text_message():
    assert {*REVIEWED, "binding_code"} == set(KINDS)


def test_a_code_goes_out_without_a_link_and_in_one_segment():
    composed = REGISTRY.compose_sms(DEMO, "binding_code", KINDS["binding_code"].samples())
    assert composed.text == REVIEWED_CODE
    assert segments(signed_text(SIGN, composed.text)) == 1


@pytest.mark.parametrize("kind", sorted(REVIEWED))
def test_a_text_message_reads_well_and_fits_two_segments(kind):
    composed = REGISTRY.compose_sms(DEMO, kind, KINDS[kind].samples(), "Ab3xY9kQ")
    assert composed.text == REVIEWED[kind] + LINK
    assert segments(signed_text(SIGN, composed.text)) <= 2
    assert composed.params["ref"] == "Ab3xY9kQ"
    assert all("http" not in value and len(value) <= 35 for value in composed.params.values())


def test_a_kind_without_a_text_message_has_none():
    registry = Registry(KINDS, {})
    assert registry.compose_sms(DEMO, "arrears_bill", {}) is None
    with pytest.raises(NotFoundError):
        registry.compose_sms(DEMO, "no_such_kind", {})


@pytest.mark.parametrize("reference", ["", "a/b", "https://x", "a" * 17, "换"])
def test_a_reference_that_is_none_is_refused(reference):
    samples = KINDS["arrears_bill"].samples()
    with pytest.raises(InputError):
        REGISTRY.compose_sms(DEMO, "arrears_bill", samples, reference)


def test_a_missing_value_is_named():
    with pytest.raises(InputError, match="due_at"):
        REGISTRY.compose_sms(
            DEMO, "arrears_bill", {"customer_no": "1", "billing_period": "2", "amount_due": "3"}
        )


def test_values_are_made_fit_for_text_messages():
    assert sms_value("10kV城东Ⅱ线\n【检修】") == "10kV城东II线 （检修）"


GOOD = {"template_code": "SMS_1234", "text": "应缴${amount}", "params": {"amount": "amount_due"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"template_code": "1234"}, "template_code"),
        ({"text": "应缴${amount}${other}"}, "text"),
        ({"text": "应缴"}, "text"),
        ({"text": "应缴${amount} $ {x}"}, "text"),
        ({"text": "【甲】应缴${amount}"}, "text"),
        ({"text": "应缴${amount}" + "电" * 120}, "segments"),
        ({"params": {"amount": "no_field"}}, "amount"),
        ({"params": {"amount": "amount_due", "ref": "amount_due"}}, "text"),
        ({"sign": "x"}, "sign"),
    ],
)
def test_a_wrong_table_stops_the_start_and_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        read_sms(Table(GOOD | changes, file="a.toml"), {"amount_due": "86.40元"})


def test_the_sound_table_is_read():
    sms = read_sms(Table(dict(GOOD), file="a.toml"), {"amount_due": "86.40元"})
    assert not sms.has_link


@pytest.mark.parametrize("kind", sorted(REVIEWED))
def test_every_kind_can_be_mailed(kind):
    composed = REGISTRY.compose(DEMO, kind, KINDS[kind].samples(), "https://dl.example.cn/b/1")
    mail = compose_mail(composed, "云溪县供电公司", "95598")
    assert mail.subject == f"{KINDS[kind].title}（云溪县供电公司）"
    for label, value in composed.fields:
        assert f"{label}：{value}\n" in mail.text
    assert "查看详情：https://dl.example.cn/b/1\n" in mail.text
    assert 'href="https://dl.example.cn/b/1"' in mail.html
    assert "95598" in mail.html


def test_a_mail_without_a_link_shows_none_and_values_are_escaped():
    samples = KINDS["arrears_bill"].samples() | {"customer_name": "甲<b>乙"}
    composed = REGISTRY.compose(DEMO, "arrears_bill", samples)
    mail = compose_mail(composed, "云溪县供电公司", "95598")
    assert "查看详情" not in mail.text + mail.html
    assert "甲&lt;b&gt;乙" in mail.html
