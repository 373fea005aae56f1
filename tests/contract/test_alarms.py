"""Alarms: told once an hour while they last, through a real webhook and a real mail server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from gongdian.adapters.alarm_channels import MailAlarms, MailServer, WebhookAlarms
from gongdian.alarms import (
    Alarm,
    AlarmChannel,
    clear_alarm,
    raise_alarm,
    standing_alarms,
    tell_alarms,
)
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import UpstreamError
from tests.fake_platform import fake_platform, hangs_up, says
from tests.fake_smtp import fake_smtp

MINUTE = timedelta(minutes=1)


@dataclass
class Channel:
    """Keeps what it was told; fails while ``is_broken``."""

    is_broken: bool = False
    told: list[list[str]] = field(default_factory=list)

    def tell(self, told: Sequence[Alarm]) -> None:
        if self.is_broken:
            raise UpstreamError("alarm_mail")
        self.told.append([alarm.key for alarm in told])


def rise(database: Database, clock: MovableClock, key: str = "wechat_45009") -> None:
    database.run(lambda s: raise_alarm(s, key, "今日额度已用完", clock.now()))


def keys(database: Database) -> list[str]:
    with database.read() as session:
        return [alarm.key for alarm in standing_alarms(session)]


def test_a_lasting_alarm_is_told_once_an_hour(database: Database, clock: MovableClock) -> None:
    channel, start = Channel(), clock.now()
    for _ in range(121):
        rise(database, clock)
        tell_alarms(database, [channel], clock.now())
        clock.move(MINUTE)
    assert len(channel.told) == 3
    with database.read() as session:
        [alarm] = standing_alarms(session)
    assert (alarm.times, alarm.raised_at) == (121, start)


def test_an_alarm_that_stopped_is_told_no_more_and_forgotten_in_two_hours(
    database: Database, clock: MovableClock
) -> None:
    channel = Channel()
    rise(database, clock)
    for _ in range(121):
        tell_alarms(database, [channel], clock.now())
        clock.move(MINUTE)
    assert (len(channel.told), keys(database)) == (1, ["wechat_45009"])
    tell_alarms(database, [channel], clock.now())
    assert keys(database) == []


def test_what_no_channel_took_stays_untold_however_long_that_lasts(
    database: Database, clock: MovableClock
) -> None:
    broken = Channel(is_broken=True)
    rise(database, clock)
    for _ in range(5):
        tell_alarms(database, [broken], clock.now())
        clock.move(timedelta(hours=1))
    broken.is_broken = False
    tell_alarms(database, [broken], clock.now())
    assert broken.told == [["wechat_45009"]]


def test_one_broken_channel_does_not_hold_up_the_other(
    database: Database, clock: MovableClock
) -> None:
    channels: list[AlarmChannel] = [Channel(is_broken=True), Channel()]
    rise(database, clock)
    rise(database, clock, "outbox_late")
    assert tell_alarms(database, channels, clock.now()) == 2
    assert tell_alarms(database, channels, clock.now()) == 0


def test_without_channels_old_alarms_are_still_forgotten(
    database: Database, clock: MovableClock
) -> None:
    rise(database, clock)
    clock.move(timedelta(hours=2, seconds=1))
    tell_alarms(database, [], clock.now())
    assert keys(database) == []


def test_an_operator_clears_an_alarm(database: Database, clock: MovableClock) -> None:
    rise(database, clock)
    assert database.run(lambda s: clear_alarm(s, "wechat_45009"))
    assert not database.run(lambda s: clear_alarm(s, "wechat_45009"))
    rise(database, clock)
    assert keys(database) == ["wechat_45009"], "it comes back when its cause does"


def an_alarm(clock: MovableClock) -> Alarm:
    return Alarm("wechat_45009", "今日额度已用完", clock.now(), clock.now() + MINUTE, 3)


def test_a_webhook_gets_the_text_that_group_robots_understand(clock: MovableClock) -> None:
    with fake_platform() as robot:
        robot.routes["/robot"] = says({"errcode": 0})
        WebhookAlarms(robot.url + "/robot").tell([an_alarm(clock)])
        [request] = robot.requests
    assert request.json["msgtype"] == "text"
    text = request.json["text"]["content"]
    assert "2026-11-23 10:01 今日额度已用完" in text
    assert "共 3 次" in text


def test_a_webhook_that_does_not_take_it_is_an_upstream_error(clock: MovableClock) -> None:
    with fake_platform() as robot:
        for answer in (says({}, status=500), says({}, status=302), hangs_up):
            robot.routes["/robot"] = answer
            with pytest.raises(UpstreamError, match="alarm_webhook"):
                WebhookAlarms(robot.url + "/robot").tell([an_alarm(clock)])
        url = robot.url
    with pytest.raises(UpstreamError, match="alarm_webhook"):
        WebhookAlarms(url + "/robot").tell([an_alarm(clock)])


def a_mailer(port: int, *, starttls: bool = False) -> MailAlarms:
    receivers = ("duty@power.invalid", "chief@power.invalid")
    return MailAlarms(
        MailServer("127.0.0.1", port, "", "", starttls, "gongdian@power.invalid", receivers)
    )


def test_a_mail_reaches_every_operator(clock: MovableClock) -> None:
    with fake_smtp() as server:
        a_mailer(server.port).tell([an_alarm(clock)])
        [mail] = server.mails()
    assert mail["Subject"] == "供电服务告警：今日额度已用完"
    assert server.receivers == ["<duty@power.invalid>", "<chief@power.invalid>"]
    assert "今日额度已用完（wechat_45009" in mail.get_content()


@pytest.mark.parametrize("refuses", ["RCPT", "DATA", "MAIL"])
def test_a_mail_server_that_refuses_is_an_upstream_error(clock: MovableClock, refuses: str) -> None:
    with fake_smtp(refuses) as server, pytest.raises(UpstreamError, match="alarm_mail"):
        a_mailer(server.port).tell([an_alarm(clock)])
    assert server.raw == []


def test_a_mail_server_without_starttls_or_gone_is_an_upstream_error(clock: MovableClock) -> None:
    with fake_smtp() as server, pytest.raises(UpstreamError, match="alarm_mail"):
        a_mailer(server.port, starttls=True).tell([an_alarm(clock)])
    with pytest.raises(UpstreamError, match="alarm_mail"):
        a_mailer(server.port).tell([an_alarm(clock)])
