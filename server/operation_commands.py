"""Commands of operators (运维命令): stop switches, audit chain, alarms, settings."""

from __future__ import annotations

import argparse
import getpass
import sys
from datetime import datetime

from gongdian.alarms import Alarm, clear_alarm, standing_alarms
from gongdian.audit import record_audit, verify_audit
from gongdian.clock import china_text
from gongdian.db import Session
from gongdian.outbox.model import ALL_SENDING, CHANNEL_LABELS, Stop, channel_stop, kind_stop
from gongdian.outbox.switches import standing_stops, start_sending, stop_sending
from gongdian.settings import Settings, check_settings, describe_settings
from gongdian.wiring import House, build_house
from server.bounces import LARGEST_BOUNCE, parse_bounces
from server.channel_receipts import apply_bounces


def sending_status(settings: Settings, options: argparse.Namespace) -> int:
    """Print the stops in force."""
    house = build_house(settings)
    with house.database.read() as session:
        stops = standing_stops(session, house.clock.now())
    for stop in stops.values():
        until = china_text(stop.until) if stop.until else "人工恢复"
        print(f"{stop.name}\t直到 {until}\t{stop.reason}")
    if not stops:
        print("没有停发，正常发送")
    house.close()
    return 0


def sending_stop(settings: Settings, options: argparse.Namespace) -> int:
    """Stop all sending (or what ``--name`` names) until it is started again."""
    house = build_house(settings)
    if options.name not in _stop_names(house):
        print(_names_help(house, options.name), file=sys.stderr)
        house.close()
        return 1
    now = house.clock.now()
    stop = Stop(options.name, options.reason)
    house.database.run(lambda session: stop_sending(session, stop, options.by, now))
    house.close()
    print(f"已停发：{options.name}；正在进行的请求最多再持续{settings.send_timeout_s:.0f}秒")
    return 0


def _stop_names(house: House) -> set[str]:
    """Every name that stops something in this installation."""
    channels = [line.policy.channel for line in house.lines]
    kinds = [kind.name for kind in house.outbox.registry.kinds()]
    return {
        ALL_SENDING,
        *(channel_stop(channel, house.account) for channel in channels),
        *(kind_stop(house.account, kind, *on) for kind in kinds for on in _on(channels)),
    }


def _on(channels: list[str]) -> list[tuple[str, ...]]:
    """Where a kind can be stopped: everywhere (nothing is named), or on one channel."""
    return [(), *((channel,) for channel in channels)]


def _names_help(house: House, name: str) -> str:
    channels = [line.policy.channel for line in house.lines]
    lines = [
        f"没有停发，因为没有这个名称：{name}",
        "可以停发的有：",
        f"{ALL_SENDING}\t全部发送",
        *(f"{channel_stop(one, house.account)}\t{CHANNEL_LABELS[one]}" for one in channels),
        f"{kind_stop(house.account, '种类')}\t一种消息，不论渠道",
    ]
    lines += [
        f"{kind_stop(house.account, '种类', one)}\t一种消息，只停{CHANNEL_LABELS[one]}"
        for one in channels
    ]
    lines.append("种类有：")
    lines += [f"{kind.name}\t{kind.title}" for kind in house.outbox.registry.kinds()]
    return "\n".join(lines)


def sending_start(settings: Settings, options: argparse.Namespace) -> int:
    """Lift a stop, whatever its name; 1 when there is none in force."""
    house = build_house(settings)
    now = house.clock.now()

    def work(session: Session) -> tuple[bool, list[str]]:
        stops = standing_stops(session, now)
        lifted = start_sending(session, options.name, options.by, now)
        return lifted and options.name in stops, sorted(stops)

    lifted, stopped = house.database.run(work)
    house.close()
    if lifted:
        print(f"已恢复：{options.name}")
        return 0
    rest = f"正在停发：{'、'.join(stopped)}" if stopped else "没有停发，正常发送"
    print(f"没有这个停发：{options.name}；{rest}")
    return 1


def audit_verify(settings: Settings, options: argparse.Namespace) -> int:
    """Recompute the audit chain; 1 when it is not sound."""
    house = build_house(settings)
    with house.database.read() as session:
        report = verify_audit(session, house.settings.audit_key, house.clock.now(), options.head)
    house.close()
    print(f"已封存 {report.sealed} 条，待封存 {report.unsealed} 条，链头 {report.head}")
    for finding in report.findings:
        print(f"发现问题：{finding}")
    print("审计链不完整" if report.findings else "审计链完整")
    return 1 if report.findings else 0


def alarms(settings: Settings, options: argparse.Namespace) -> int:
    """List standing alarms, clear one, or tell a test alarm through every channel."""
    house = build_house(settings)
    try:
        if options.action == "test":
            return _test_alarm(house)
        if options.action == "clear":
            return _clear_alarm(house, options.key, options.by or getpass.getuser())
        return _list_alarms(house)
    finally:
        house.close()


def _clear_alarm(house: House, key: str, by: str) -> int:
    now = house.clock.now()

    def work(session: Session) -> bool:
        cleared = clear_alarm(session, key)
        if cleared:
            record_audit(session, now, by, "alarms:alarm:cleared", key, {})
        return cleared

    cleared = house.database.run(work)
    print("已清除" if cleared else f"没有这个告警：{key}")
    return 0 if cleared else 1


def _list_alarms(house: House) -> int:
    with house.database.read() as session:
        found = standing_alarms(session)
    for alarm in found:
        print(f"{china_text(alarm.last_at)}\t{alarm.key}\t{alarm.times}次\t{alarm.text}")
    if not found:
        print("没有告警")
    return 0


def _test_alarm(house: House) -> int:
    now: datetime = house.clock.now()
    test = Alarm("test", "这是一条测试告警", now, now, 1)
    for channel in house.alarm_channels:
        channel.tell([test])
    print(f"已通过{len(house.alarm_channels)}个渠道发出")
    return 0 if house.alarm_channels else 1


def bounce(settings: Settings, options: argparse.Namespace) -> int:
    """Read one returned mail from standard input (a mail server pipes it in); 1 when it is none."""
    bounces = parse_bounces(sys.stdin.buffer.read(LARGEST_BOUNCE))
    house = build_house(settings)
    applied = apply_bounces(house, bounces)
    house.close()
    print(f"退信 {len(bounces)} 条，登记 {applied} 条")
    return 0 if bounces else 1


def show_config(settings: Settings, options: argparse.Namespace) -> int:
    """Print every setting and what is wrong with them; 1 when start-up would refuse."""
    for name, value, about in describe_settings(settings):
        print(f"{name}\t{value}\t{about}")
    findings = check_settings(settings)
    for code, text in findings:
        print(f"{code}\t{text}")
    return 1 if any(code.startswith("E") for code, _ in findings) else 0
