"""Settings of text messages and mail: nothing is asked of who does not use them."""

from __future__ import annotations

import pytest

from gongdian.errors import ConfigError
from gongdian.settings import Settings, check_settings, read_settings

SMS = {
    "sms_access_key_id": "LTAI5t",
    "sms_access_key_secret": "s3cr3t-key",
    "sms_sign_name": "云溪供电",
    "sms_report_token": "0123456789abcdef",
}
MAIL = {"mail_from": "notice@gd.example.cn", "smtp_host": "mail.example.cn"}


def _codes(**changes) -> set[str]:
    with_channels = {code for code, _ in check_settings(Settings(profile="company", **changes))}
    without = {code for code, _ in check_settings(Settings(profile="company"))}
    return with_channels - without


def test_complete_channels_have_no_findings():
    assert _codes(**SMS, **MAIL) == set()


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("E120", SMS | {"sms_access_key_secret": ""}),
        ("E120", SMS | {"sms_sign_name": ""}),
        ("E121", SMS | {"sms_endpoint": "http://127.0.0.1:8090/sms"}),
        ("E122", SMS | {"sms_report_token": ""}),
        ("E122", SMS | {"sms_report_token": "short"}),
        ("E122", SMS | {"sms_report_token": "a/b" * 10}),
        ("E123", MAIL | {"smtp_host": ""}),
        ("E124", MAIL | {"smtp_password": "p", "smtp_starttls": False}),
    ],
)
def test_what_is_missing_refuses_to_start_in_production(code, changes):
    assert _codes(**changes) == {code}


def test_a_demo_may_send_to_the_sandbox():
    demo = Settings(**SMS | {"sms_endpoint": "http://127.0.0.1:8090/sms"})
    assert not any(code.startswith("E") for code, _ in check_settings(demo))


@pytest.mark.parametrize("value", ["no address", "a@b\r\nBcc: c@d", "<a@b>", "a@b, c@d"])
def test_a_sender_that_is_no_address_is_named(value):
    with pytest.raises(ConfigError, match="GONGDIAN_MAIL_FROM"):
        read_settings({"GONGDIAN_MAIL_FROM": value})
