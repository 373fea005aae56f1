"""The one clock (时钟): aware UTC inside, Asia/Shanghai for people; injectable, movable in demos.

Everything that asks for the time takes a ``Clock``. ``perf`` readings for measuring stay with
``time.perf_counter``; they are no instants.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Tells the instant."""

    def now(self) -> datetime:
        """The current instant, aware, UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current instant, aware, UTC."""
        return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - the one place


class MovableClock:
    """A clock that runs, and that a demo or a test moves forward."""

    def __init__(self, start: datetime | None = None, *, running: bool = True) -> None:
        self._lock = threading.Lock()
        self._system = SystemClock()
        self._running = running
        self._frozen = start or self._system.now()
        self._offset = self._frozen - self._system.now()

    def now(self) -> datetime:
        """The current instant of this clock."""
        with self._lock:
            return self._system.now() + self._offset if self._running else self._frozen

    def move(self, step: timedelta) -> datetime:
        """Move forward by ``step`` and return the new instant; a clock never goes back."""
        if step < timedelta(0):
            raise ValueError("a clock never goes back")
        with self._lock:
            self._offset += step
            self._frozen += step
        return self.now()


def china_date(at: datetime) -> date:
    """The calendar day in China of an instant (billing dates, daily budgets)."""
    return at.astimezone(CHINA).date()


def china_text(at: datetime) -> str:
    """An instant as people read it: ``2026-01-05 14:30``, China time."""
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


def next_china_midnight(at: datetime) -> datetime:
    """The next 00:00 in China after an instant, in UTC (the platform's quotas reset then)."""
    tomorrow = china_date(at) + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=CHINA).astimezone(UTC)
