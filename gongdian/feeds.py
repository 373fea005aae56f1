"""How fresh each feed is (数据时效): imports note it, whoever decides on a feed's facts asks.

A feed has a period, in which something new must come, and a grace beyond it. One that is older
blocks what is decided by it: silence may mean that nobody paid, or that the file did not come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, Integer, Table, select

from gongdian.columns import KeyText, RowId, UtcDateTime
from gongdian.db import Session, metadata, upsert

feed_states = Table(
    "feed_states",
    metadata,
    Column("feed", KeyText(20), primary_key=True),
    # up to when its facts are known
    Column("as_of", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
    Column("run_id", RowId, nullable=False),
    Column("period_s", Integer, nullable=False),
    Column("grace_s", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class FeedState:
    """When a feed was last complete; ``as_of`` is up to when its facts are known."""

    feed: str
    as_of: datetime
    finished_at: datetime
    run_id: int
    period: timedelta
    grace: timedelta

    def is_late(self, now: datetime) -> bool:
        """Something new should have come, but the grace still runs or ran out."""
        return now > self.as_of + self.period

    def is_stale(self, now: datetime) -> bool:
        """The grace ran out: nothing may be decided by it."""
        return now > self.as_of + self.period + self.grace


def note_feed(session: Session, state: FeedState) -> None:
    """A feed is complete up to ``state.as_of``; an older file never sets it back."""
    known = session.execute(
        select(feed_states.c.as_of).where(feed_states.c.feed == state.feed).with_for_update()
    ).scalar()
    if known is not None and known > state.as_of:
        return
    values = {
        "as_of": state.as_of,
        "finished_at": state.finished_at,
        "run_id": state.run_id,
        "period_s": round(state.period.total_seconds()),
        "grace_s": round(state.grace.total_seconds()),
    }
    statement = upsert(session, feed_states, ("feed",), values)
    session.execute(statement, {"feed": state.feed, **values})


def feed_state(session: Session, feed: str) -> FeedState | None:
    """How fresh a feed is; None when it never came."""
    return next(iter(_read(session, [feed])), None)


def all_feeds(session: Session) -> list[FeedState]:
    """Every feed that ever came, by name."""
    return _read(session, None)


def stale_feeds(session: Session, feeds: Iterable[str], now: datetime) -> list[str]:
    """Those of ``feeds`` that never came or whose grace ran out, in the order given."""
    wanted = list(feeds)
    fresh = {one.feed for one in _read(session, wanted) if not one.is_stale(now)}
    return [feed for feed in wanted if feed not in fresh]


def _read(session: Session, feeds: list[str] | None) -> list[FeedState]:
    query = select(feed_states).order_by(feed_states.c.feed)
    if feeds is not None:
        query = query.where(feed_states.c.feed.in_(feeds))
    return [
        FeedState(
            row.feed,
            row.as_of,
            row.finished_at,
            row.run_id,
            timedelta(seconds=row.period_s),
            timedelta(seconds=row.grace_s),
        )
        for row in session.execute(query)
    ]
