"""Whether feeds still come (数据时效检查): a stale one alarms and stops what is decided by it.

The worker calls ``check_freshness`` again and again; metrics, ``/readyz`` and the command line read
``feed_health``. A late feed in its grace is told, not punished. Only stops that this module set
are lifted by it: what an operator stopped stays stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select

from gongdian.accounts.customer_tables import customers
from gongdian.alarms import raise_alarm
from gongdian.clock import china_text
from gongdian.db import Session
from gongdian.feeds import FeedState, all_feeds
from gongdian.outbox.model import Stop, kind_stop
from gongdian.outbox.switches import start_sending, stop_sending
from gongdian.outbox.tables import switches
from gongdian.sources.model import FEED_LABELS

STOPPED_BY = "freshness"
_REASON = "feed_stale:"

# What may not go out by old facts. A fresh bill is told although payments are late: it was
# issued all the same; whoever is reminded must not have paid.
BLOCKED_KINDS = {
    "bills": ("arrears_bill", "arrears_due_soon", "arrears_overdue", "cutoff_notice"),
    "payments": ("arrears_due_soon", "arrears_overdue", "cutoff_notice"),
    "balances": ("balance_low",),
}


class Health(StrEnum):
    """Never came and is not needed, fresh, late but in grace, stale."""

    ABSENT = "absent"
    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"


HEALTH_LABELS = {
    Health.ABSENT: "未导入",
    Health.FRESH: "正常",
    Health.LATE: "迟到（宽限期内）",
    Health.STALE: "过期",
}


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """How a feed stands; ``known`` is None when it never came."""

    feed: str
    health: Health
    known: FeedState | None

    @property
    def expected_at(self) -> datetime | None:
        """By when something newer should have come."""
        return None if self.known is None else self.known.as_of + self.known.period

    @property
    def stale_at(self) -> datetime | None:
        """From when on nothing is decided by it."""
        return None if self.known is None else self.known.as_of + _patience(self.known)


def feed_health(session: Session, now: datetime) -> list[FeedHealth]:
    """Every feed, also those that never came, in the order of ``FEED_LABELS``."""
    known = {one.feed: one for one in all_feeds(session)}
    needed = _needed(session)
    return [
        FeedHealth(feed, _health(known.get(feed), feed in needed, now), known.get(feed))
        for feed in FEED_LABELS
    ]


def _needed(session: Session) -> set[str]:
    """Feeds that must have come: none without customers, balances with 费控 customers only."""
    found = select(customers.c.id).limit(1)
    if session.execute(found).first() is None:
        return set()
    needed = {"customers", "bills", "payments"}
    if session.execute(found.where(customers.c.is_prepaid.is_(True))).first() is not None:
        needed.add("balances")
    return needed


def _health(known: FeedState | None, is_needed: bool, now: datetime) -> Health:
    if known is None:
        return Health.STALE if is_needed else Health.ABSENT
    if known.is_stale(now):
        return Health.STALE
    return Health.LATE if known.is_late(now) else Health.FRESH


def check_freshness(session: Session, account: str, now: datetime) -> list[str]:
    """Alarm and stop by stale feeds, lift what is fresh again; the stale feeds, by name."""
    stale = [
        one
        for one in feed_health(session, now)
        if one.health is Health.STALE and one.feed in BLOCKED_KINDS
    ]
    for one in stale:
        raise_alarm(session, f"feed_stale_{one.feed}", _alarm_text(one), now)
    wanted: dict[str, list[str]] = {}
    for one in stale:
        for kind in BLOCKED_KINDS[one.feed]:
            wanted.setdefault(kind_stop(account, kind), []).append(one.feed)
    _set_stops(session, account, wanted, now)
    return [one.feed for one in stale]


def _set_stops(session: Session, account: str, wanted: dict[str, list[str]], now: datetime) -> None:
    kinds = {kind for some in BLOCKED_KINDS.values() for kind in some}
    names = sorted(kind_stop(account, kind) for kind in kinds)
    query = select(switches.c.name, switches.c.stopped_by, switches.c.reason, switches.c.until)
    found = {row.name: row for row in session.execute(query.where(switches.c.name.in_(names)))}
    for name in names:
        standing = found.get(name)
        is_ours = standing is not None and standing.stopped_by == STOPPED_BY
        is_over = standing is not None and standing.until is not None and standing.until <= now
        if name in wanted:
            reason = _reason(wanted[name])
            if standing is None or is_over or (is_ours and standing.reason != reason):
                stop_sending(session, Stop(name, reason), STOPPED_BY, now)
        elif is_ours:
            start_sending(session, name, STOPPED_BY, now)


def _reason(feeds: list[str]) -> str:
    names = "、".join(FEED_LABELS[feed] for feed in feeds)
    return f"{_REASON}{','.join(feeds)} {names}数据过期，自动停发"


def _alarm_text(one: FeedHealth) -> str:
    label = FEED_LABELS[one.feed]
    if one.known is None or one.expected_at is None:
        return f"{label}数据从未导入，依据它发送的消息已停发；导入后自动恢复"
    return (
        f"{label}数据过期：只到{china_text(one.known.as_of)}，应在"
        f"{china_text(one.expected_at)}前更新；依据它发送的消息已停发，导入新数据后自动恢复"
    )


def _patience(known: FeedState) -> timedelta:
    return known.period + known.grace
