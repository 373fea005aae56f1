"""Mail as the settings have it: the company's own certificate, and the time that one mail may take.

The house is built as in production; the mail server is the sandbox's, with its own certificate.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devtools.wechat_sandbox.fixture import RunningSandbox, running_sandbox
from gongdian.alarms import Alarm
from gongdian.channels import MailPort, MailSend, message_id_for
from gongdian.clock import SystemClock
from gongdian.errors import ConfigError, DeliveryError, OutcomeUnknownError, UpstreamError
from gongdian.outbox.model import CHANNEL_MAIL
from gongdian.outbox.senders import MailSender
from gongdian.settings import Settings
from gongdian.wiring import House, build_house

ADDRESS = "li@example.cn"


@pytest.fixture
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(smtp_port=0, smtp_user="gd", smtp_password="geheim") as one:
        one.sandbox.add_phone("phone-1", "李女士", mail_address=ADDRESS)
        yield one


@pytest.fixture
def settings(running: RunningSandbox, tmp_path: Path) -> Settings:
    certificate = tmp_path / "company.pem"
    certificate.write_bytes(running.sandbox.channels.smtp.certificate.pem)
    return Settings(
        data_dir=str(tmp_path / "data"),
        mail_from="notice@gd.example.cn",
        smtp_host="127.0.0.1",
        smtp_port=running.sandbox.channels.smtp.port,
        smtp_user="gd",
        smtp_password="geheim",
        smtp_ca_file=str(certificate),
        alarm_mail_to=ADDRESS,
    )


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    built = build_house(settings, SystemClock())
    yield built
    built.close()


def _mails_of(house: House) -> MailPort:
    (line,) = (one for one in house.lines if one.policy.channel == CHANNEL_MAIL)
    assert isinstance(line.sender, MailSender)
    return line.sender.port


def _mail() -> MailSend:
    return MailSend(ADDRESS, "电费账单通知", "您好", message_id_for("m", "gd.example.cn"))


def _alarm() -> Alarm:
    return Alarm("test", "这是一条测试告警", SystemClock().now(), SystemClock().now(), 1)


def test_mails_and_alarms_trust_the_companys_own_certificate(
    running: RunningSandbox, house: House
) -> None:
    _mails_of(house).send(_mail())
    (alarms,) = house.alarm_channels
    alarms.tell([_alarm()])
    titles = [one["title"] for one in running.sandbox.phone("phone-1").mails()]
    assert titles == ["电费账单通知", "供电服务告警：这是一条测试告警"]


def test_without_it_nothing_is_sent(running: RunningSandbox, settings: Settings) -> None:
    house = build_house(replace(settings, smtp_ca_file=""), SystemClock())
    with pytest.raises(DeliveryError, match="mail_no_tls"):
        _mails_of(house).send(_mail())
    with pytest.raises(UpstreamError, match="alarm_mail"):
        house.alarm_channels[0].tell([_alarm()])
    house.close()
    assert running.sandbox.phone("phone-1").mails() == []


def test_a_certificate_that_cannot_be_read_forbids_to_start(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="bad_smtp_ca_file"):
        build_house(replace(settings, smtp_ca_file="/no/such/file.pem"), SystemClock())


def test_one_mail_takes_no_longer_than_the_relay_reckons(
    running: RunningSandbox, settings: Settings
) -> None:
    house = build_house(replace(settings, send_timeout_s=0.6), SystemClock())
    running.sandbox.faults.add("smtp_slow", next_n=20, seconds=0.3)
    began = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        _mails_of(house).send(_mail())
    took = time.monotonic() - began
    house.close()
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert took < 1.5
