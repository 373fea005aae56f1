"""Commands about messages (消息命令): show, hold, release, withdraw, counts."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable
from datetime import datetime, timedelta

from gongdian.audit import record_audit
from gongdian.clock import CHINA
from gongdian.db import Session
from gongdian.outbox.holding import (
    Selection,
    hold_messages,
    release_messages,
    withdraw_messages,
)
from gongdian.outbox.model import CHANNEL_LABELS, STATE_LABELS, MessageState
from gongdian.outbox.queries import Timeline, count_by_state, message_timeline
from gongdian.settings import Settings
from gongdian.wiring import House, build_house

_WHAT = {
    "queued": "进入队列",
    "claimed": "已领取",
    "attempt_started": "开始发送",
    "attempt_accepted": "平台已受理",
    "attempt_refused": "平台拒绝",
    "attempt_unknown": "结果不明",
    "attempt_not_sent": "未发出",
    "receipt": "平台回执",
    "receipt_again": "重复回执（不计）",
    "receipt_by_time": "回执按人和时间对应",
    "held": "暂停",
    "released": "恢复",
    "withdrawn": "撤回",
    "withdraw_requested": "要求撤回",
    "superseded": "被新消息取代",
    "opened": "客户打开",
    "answered": "客户答复",
    "fallback": "改用备用渠道",
    "receipt_past": "前一渠道的回执",
    "channel_off": "该渠道已关闭或更换",
}


def show(settings: Settings, options: argparse.Namespace) -> int:
    """Print a message's whole timeline; NotFoundError when there is none.

    It shows what a customer was told: who looked is kept.
    """
    house = build_house(settings)

    def work(session: Session) -> Timeline:
        found = message_timeline(session, options.key)
        at, by = house.clock.now(), options.by or getpass.getuser()
        record_audit(session, at, by, "outbox:message:viewed", found.key, {})
        return found

    timeline = house.database.run(work)
    print(timeline_text(timeline, house))
    house.close()
    return 0


def timeline_text(timeline: Timeline, house: House) -> str:
    """The timeline as staff read it, China time to the millisecond."""
    kind = house.outbox.registry.kind(timeline.kind)
    lines = [
        f"{timeline.key}",
        f"  {kind.label}（{timeline.kind}） 状态：{STATE_LABELS[timeline.state]}"
        f"（{timeline.state.value}）{_because(timeline.reason)}",
    ]
    lines += [f"    {label}：{text}" for label, text in timeline.content["fields"]]
    if timeline.platform_msgid:
        lines.append(f"  MsgID {timeline.platform_msgid}")
    for entry in timeline.entries:
        local = entry.at.astimezone(CHINA)
        what = _WHAT.get(entry.what) or STATE_LABELS[MessageState(entry.what)]
        parts = [f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}", what]
        if entry.channel:
            parts.append(CHANNEL_LABELS.get(entry.channel, entry.channel))
        if entry.errcode is not None:
            parts.append(f"errcode={entry.errcode}")
        if entry.rid:
            parts.append(f"rid={entry.rid}")
        if entry.cost_fen:
            parts.append(f"{entry.cost_fen}分")
        if entry.detail:
            parts.append(entry.detail)
        lines.append("  " + "  ".join(parts))
    return "\n".join(lines)


def _because(reason: str) -> str:
    return f" 原因：{reason}" if reason else ""


def hold(settings: Settings, options: argparse.Namespace) -> int:
    """Hold a queued message."""

    def work(session: Session, now: datetime) -> int:
        until = now + timedelta(hours=options.hours) if options.hours else None
        return hold_messages(session, Selection(key=options.key), options.reason, until, now)

    return _change(settings, options, "held", work)


def release(settings: Settings, options: argparse.Namespace) -> int:
    """Queue a held message again."""

    def work(session: Session, now: datetime) -> int:
        return release_messages(session, Selection(key=options.key), now)

    return _change(settings, options, "released", work)


def withdraw(settings: Settings, options: argparse.Namespace) -> int:
    """Withdraw a message that is not sent yet."""

    def work(session: Session, now: datetime) -> int:
        return withdraw_messages(session, Selection(key=options.key), options.reason, now)

    return _change(settings, options, "withdrawn", work)


def _change(
    settings: Settings,
    options: argparse.Namespace,
    what: str,
    work: Callable[[Session, datetime], int],
) -> int:
    house = build_house(settings)
    now = house.clock.now()

    def in_session(session: Session) -> tuple[int, bool]:
        message_timeline(session, options.key)  # NotFoundError for a key that does not exist
        changed = work(session, now)
        state = message_timeline(session, options.key).state
        is_asked = what == "withdrawn" and state is MessageState.SENDING
        if changed or is_asked:
            reason = getattr(options, "reason", "")
            record_audit(
                session, now, options.by, f"outbox:message:{what}", options.key, {"why": reason}
            )
        return changed, is_asked

    changed, is_asked = house.database.run(in_session)
    house.close()
    if is_asked:
        print("正在发送：这一次若没有发成，就不再发送")
        return 0
    print(f"已处理 {changed} 条" if changed else "没有可处理的消息：它的状态不允许这样做")
    return 0 if changed else 1


def counts(settings: Settings, options: argparse.Namespace) -> int:
    """Print how many messages stand in each state."""
    house = build_house(settings)
    with house.database.read() as session:
        by_state = count_by_state(session)
    house.close()
    for state in MessageState:
        print(f"{STATE_LABELS[state]}\t{state.value}\t{by_state.get(state.value, 0)}")
    return 0
