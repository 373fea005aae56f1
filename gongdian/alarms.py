"""Alarms (告警) to operators: kept as rows, told by mail or webhook, never through WeChat.

An alarm is raised in the caller's transaction as often as its cause shows; operators are told
once and then again each hour while it lasts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Column, Index, Integer, String, Table, or_, select, update

from gongdian.columns import KeyText, UtcDateTime
from gongdian.db import Database, Session, metadata, upsert
from gongdian.errors import GongdianError

log = logging.getLogger("gongdian.alarms")

alarms = Table(
    "alarms",
    metadata,
    Column("key", KeyText(100), primary_key=True),
    Column("text", String(500), nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("times", Integer, nullable=False),
    Column("told_at", UtcDateTime),
    Index("ix_alarms_last_at", "last_at"),
)

_REPEAT = timedelta(hours=1)
_OVER = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Alarm:
    """What operators are told; ``times`` counts since ``raised_at``."""

    key: str
    text: str
    raised_at: datetime
    last_at: datetime
    times: int


class AlarmChannel(Protocol):
    """A way to tell operators; raises UpstreamError when it does not work."""

    def tell(self, told: Sequence[Alarm]) -> None:
        """Tell these alarms at once."""


def raise_alarm(session: Session, key: str, text: str, now: datetime) -> None:
    """Raise an alarm, or count it again. ``text`` is Chinese and holds no personal data."""
    columns = alarms.c
    statement = upsert(
        session, alarms, ("key",), {"text": text[:500], "last_at": now, "times": columns.times + 1}
    )
    values = {"key": key[:100], "text": text[:500], "raised_at": now, "last_at": now, "times": 1}
    session.execute(statement, values)
    log.warning("alarm_raised", extra={"alarm": key, "text": text})


def clear_alarm(session: Session, key: str) -> bool:
    """An operator has dealt with it; False when there was none."""
    return session.execute(alarms.delete().where(alarms.c.key == key)).rowcount == 1


def standing_alarms(session: Session) -> list[Alarm]:
    """All alarms, the latest first."""
    columns = alarms.c
    query = select(columns.key, columns.text, columns.raised_at, columns.last_at, columns.times)
    return [Alarm(*row) for row in session.execute(query.order_by(columns.last_at.desc()))]


def tell_alarms(database: Database, channels: Sequence[AlarmChannel], now: datetime) -> int:
    """Tell what was not told within the hour, through every channel; returns how many alarms.

    Alarms that stopped two hours ago are forgotten, but not before they were told: what no
    channel took stays untold.
    """
    columns = alarms.c
    with database.read() as session:
        query = select(columns.key, columns.text, columns.raised_at, columns.last_at, columns.times)
        lasting = (columns.told_at <= now - _REPEAT) & (columns.last_at > now - _REPEAT)
        untold = columns.told_at.is_(None)
        due = [Alarm(*row) for row in session.execute(query.where(or_(untold, lasting)))]
    if due and channels and _tell_all(channels, due):
        keys = [alarm.key for alarm in due]
        database.run(
            lambda session: session.execute(
                update(alarms).where(columns.key.in_(keys)).values(told_at=now)
            )
        )
    over = columns.last_at < now - _OVER
    if channels:
        over &= columns.told_at.is_not(None)
    database.run(lambda session: session.execute(alarms.delete().where(over)))
    return len(due)


def _tell_all(channels: Sequence[AlarmChannel], due: Sequence[Alarm]) -> bool:
    told = False
    for channel in channels:
        try:
            channel.tell(due)
            told = True
        except GongdianError as error:
            log.warning("alarm_not_told", extra={"code": error.code, "detail": str(error)})
    return told
