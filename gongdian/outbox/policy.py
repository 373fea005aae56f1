"""The rules of sending (发送规则), pure: quiet hours, budgets, backoff, what an outcome means."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import datetime, time, timedelta

from gongdian.clock import CHINA, next_china_midnight
from gongdian.outbox.model import (
    CHANNEL_SMS,
    ClaimedMessage,
    MessageState,
    Outcome,
    OutcomeKind,
    Priority,
    SendingPolicy,
    Stop,
    Verdict,
    channel_stop,
    kind_stop,
)
from gongdian.ports import RefusalAction

# The part of a day's quota that a class may use: urgent news must find some left.
_BUDGET_SHARE = {
    Priority.CRITICAL: 1.0,
    Priority.HIGH: 1.0,
    Priority.NORMAL: 0.9,
    Priority.LOW: 0.7,
}
_TEMPLATE_RETRY = timedelta(minutes=5)
_TOKEN_RETRY = timedelta(seconds=30)


def quiet_end(at: datetime, hours: tuple[time, time] | None) -> datetime | None:
    """When the quiet hours (静默时段) that hold at this instant end; None outside them.

    ``hours`` is [start, end) in China time and may span midnight.
    """
    if hours is None or hours[0] == hours[1]:
        return None
    start, end = hours
    local = at.astimezone(CHINA)
    now = local.time()
    inside = start <= now < end if start < end else (now >= start or now < end)
    if not inside:
        return None
    finish = datetime.combine(local.date(), end, CHINA)
    if finish <= local:
        finish = datetime.combine(local.date() + timedelta(days=1), end, CHINA)
    return finish.astimezone(at.tzinfo)


def quiet_ended(at: datetime, hours: tuple[time, time] | None) -> datetime | None:
    """When the last quiet hours before this instant ended; None where there are none."""
    if hours is None or hours[0] == hours[1]:
        return None
    local = at.astimezone(CHINA)
    end = datetime.combine(local.date(), hours[1], CHINA)
    if end > local:
        end = datetime.combine(local.date() - timedelta(days=1), hours[1], CHINA)
    return end.astimezone(at.tzinfo)


def may_disturb(channel: str, priority: Priority, kind_passes_quiet: bool) -> bool:
    """Whether a message may go out in quiet hours. A card waits silently until it is looked at;
    a text message wakes people, so only critical news may."""
    return priority is Priority.CRITICAL or (kind_passes_quiet and channel != CHANNEL_SMS)


def earliest_send(at: datetime, passes_quiet: bool, policy: SendingPolicy) -> datetime:
    """The first instant from ``at`` on at which a message may go out."""
    if passes_quiet:
        return at
    return quiet_end(at, policy.quiet_hours) or at


def next_day_start(at: datetime, policy: SendingPolicy) -> datetime:
    """The first instant of the next China day outside quiet hours (for capped contacts)."""
    midnight = next_china_midnight(at)
    return quiet_end(midnight, policy.quiet_hours) or midnight


def budget_limit(priority: Priority, quota: int) -> int:
    """How far the day's counter may go for a class."""
    return int(quota * _BUDGET_SHARE[priority])


def backoff(attempts: int, key: str, policy: SendingPolicy) -> timedelta:
    """The wait before try ``attempts + 1``: doubling, bounded, spread by the key by up to half."""
    base = min(policy.first_backoff * float(2 ** min(attempts, 12)), policy.longest_backoff)
    spread = (zlib.crc32(key.encode()) % 1000) / 2000
    return base + base * spread


def decide(
    message: ClaimedMessage, outcome: Outcome, now: datetime, policy: SendingPolicy
) -> Verdict:
    """What becomes of a message after an attempt."""
    if outcome.kind is OutcomeKind.ACCEPTED:
        return Verdict(MessageState.ACCEPTED, unknown_since=message.unknown_since)
    if outcome.kind is OutcomeKind.UNKNOWN:
        since = message.unknown_since or message.claimed_at
        wait = backoff(message.attempts, message.key, policy)
        verdict = Verdict(MessageState.QUEUED, "outcome_unknown", now + wait, unknown_since=since)
    elif outcome.kind is OutcomeKind.NOT_SENT:
        verdict = Verdict(MessageState.QUEUED, "not_sent", now + policy.first_backoff, counts=False)
    else:
        verdict = _after_refusal(message, outcome, now, policy)
    doubtful_since = verdict.unknown_since or message.unknown_since
    return _bounded(replace(verdict, unknown_since=doubtful_since), message, policy)


def _after_refusal(
    message: ClaimedMessage, outcome: Outcome, now: datetime, policy: SendingPolicy
) -> Verdict:
    reason = outcome.code
    later = now + backoff(message.attempts, message.key, policy)
    match outcome.action:
        case RefusalAction.REJECT_RECIPIENT:
            return Verdict(MessageState.FAILED, reason, is_recipient_refused=True)
        case RefusalAction.STOP_CHANNEL:
            stop = Stop(
                channel_stop(message.channel, policy.account), reason, _resume(outcome, now)
            )
            # The stop holds it back, not its own time: lifting the stop lets it go at once.
            return Verdict(
                MessageState.QUEUED, reason, later, counts=False, stop=stop, alarm=reason
            )
        case RefusalAction.RETRY_LATER if outcome.is_recipient_limit:
            return Verdict(
                MessageState.QUEUED, reason, _resume(outcome, now) or later, counts=False
            )
        case RefusalAction.RETRY_LATER if (until := _resume(outcome, now)) is not None:
            stop = Stop(channel_stop(message.channel, policy.account), reason, until)
            return Verdict(MessageState.QUEUED, reason, until, counts=False, stop=stop)
        case RefusalAction.RETRY_LATER:
            return Verdict(MessageState.QUEUED, reason, later)
        case RefusalAction.REFRESH_TOKEN:
            # It concerns every message alike, and none of them is to blame.
            again = now + _TOKEN_RETRY
            return Verdict(MessageState.QUEUED, reason, again, counts=False, alarm=reason)
    if outcome.may_retry_once:
        if message.last_reason != reason:
            return Verdict(MessageState.QUEUED, reason, now + _TEMPLATE_RETRY)
        stop = Stop(kind_stop(policy.account, message.kind, message.channel), reason)
        return Verdict(MessageState.FAILED, reason, stop=stop, alarm=f"{reason}_{message.kind}")
    alarm = f"{reason}_{message.kind}" if outcome.is_alarming else ""
    return Verdict(MessageState.FAILED, reason, alarm=alarm)


def _resume(outcome: Outcome, now: datetime) -> datetime | None:
    """When a channel that asks for a pause goes on by itself."""
    match outcome.resume:
        case "next_minute":
            return now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        case "next_hour":
            return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        case "china_midnight":
            return next_china_midnight(now)
    return None


def _bounded(verdict: Verdict, message: ClaimedMessage, policy: SendingPolicy) -> Verdict:
    """A message that cannot be tried again in time ends here; an unknown one ends unknown."""
    if verdict.state is not MessageState.QUEUED or verdict.not_before is None:
        return verdict
    since = verdict.unknown_since
    if verdict.not_before >= message.expires_at:
        state = MessageState.EXPIRED
    elif verdict.counts and message.attempts + 1 >= policy.max_attempts:
        state = MessageState.FAILED
    elif since is not None and verdict.not_before >= since + policy.unknown_window:
        state = MessageState.UNKNOWN
    else:
        return verdict
    ended = MessageState.UNKNOWN if since is not None else state
    alarm = f"gave_up_{verdict.reason}" if ended is MessageState.FAILED else verdict.alarm
    return replace(verdict, state=ended, not_before=None, alarm=alarm)
