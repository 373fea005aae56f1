"""The per-second rate (发送速率) that all workers share; the database keeps the truth."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sqlalchemy import case, select, update

from gongdian.db import Database, Session, insert_once
from gongdian.outbox.tables import rate_windows

# Workers' clocks differ a little: one that is behind must not open a second of its own.
_CLOCK_SKEW_S = 2


class RateBudget(Protocol):
    """Hands out permits to send in the current second."""

    def take(self, name: str, wanted: int, per_second: int, now: datetime) -> int:
        """Up to ``wanted`` permits; 0 when this second's are gone."""


class DatabaseRate:
    """One row per channel: the second and what is used of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, wanted: int, per_second: int, now: datetime) -> int:
        """Up to ``wanted`` permits; 0 when this second's are gone."""
        window = int(now.timestamp())
        return self._database.run(
            lambda session: _take(session, name, min(wanted, per_second), per_second, window)
        )


def _take(session: Session, name: str, wanted: int, per_second: int, window: int) -> int:
    columns = rate_windows.c
    query = select(columns.window, columns.used).where(columns.name == name).with_for_update()
    row = session.execute(query).first()
    if row is None:
        insert_once(session, rate_windows, {"name": name, "window": window, "used": 0})
        row = session.execute(query).one()
    if window < row.window <= window + _CLOCK_SKEW_S:
        window = row.window
    used = row.used if row.window == window else 0
    granted = max(0, min(wanted, per_second - used))
    if granted:
        fresh = case((columns.window == window, columns.used + granted), else_=granted)
        statement = update(rate_windows).where(columns.name == name)
        session.execute(statement.values(used=fresh, window=window))
    return granted
