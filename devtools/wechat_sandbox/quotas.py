"""Counts calls per China day and per minute, and refuses what goes over.

Used by the desks that the platform limits; the limits themselves are settings.
"""

from __future__ import annotations

import threading

from devtools.wechat_sandbox.clock import SandboxClock
from devtools.wechat_sandbox.refusals import RefusalError


class QuotaDesk:
    """One counter per subject: ``[day, calls in it, minute, calls in it]``."""

    def __init__(self, lock: threading.RLock, clock: SandboxClock) -> None:
        self._lock = lock
        self._clock = clock
        self._counters: dict[str, list[int]] = {}

    def take(self, subject: str, per_day: int, per_minute: int = 0) -> None:
        """Count one call; raises 45009 or 45011 when a limit is used up (0 = no limit)."""
        day, minute = self._clock.china_day(), self._clock.minute()
        with self._lock:
            counter = self._counters.setdefault(subject, [day, 0, minute, 0])
            if counter[0] != day:
                counter[0], counter[1] = day, 0
            if counter[2] != minute:
                counter[2], counter[3] = minute, 0
            if per_day and counter[1] >= per_day:
                raise RefusalError(45009)
            if per_minute and counter[3] >= per_minute:
                raise RefusalError(45011)
            counter[1] += 1
            counter[3] += 1

    def used_today(self) -> dict[str, int]:
        """Calls of the current China day by subject."""
        day = self._clock.china_day()
        with self._lock:
            return {name: row[1] for name, row in self._counters.items() if row[0] == day}

    def clear(self) -> None:
        """Start all counters again, as an operator does with clear_quota."""
        with self._lock:
            self._counters.clear()

    def snapshot(self) -> dict[str, list[int]]:
        """The counters, for saving."""
        with self._lock:
            return {name: list(row) for name, row in self._counters.items()}

    def restore(self, saved: dict[str, list[int]]) -> None:
        """Take saved counters."""
        with self._lock:
            self._counters = {name: list(row) for name, row in saved.items()}
