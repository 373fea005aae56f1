"""The breaker (熔断): a channel that does not answer is left alone for a while; the relay asks it.

Each message sent into silence is in doubt afterwards, and one in doubt too long ends unknown:
the fewer, the better. After the pause one message tries whether the channel is back.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from gongdian.outbox.model import OutcomeKind

SILENT_TRIES = 10
PAUSE = timedelta(seconds=30)
_SILENT = (OutcomeKind.UNKNOWN, OutcomeKind.NOT_SENT)


class Breaker:
    """Counts tries in a row that the channel did not answer; any answer, also a no, ends it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._silent = 0
        self._opened_at: datetime | None = None
        self._is_news = False

    def record(self, kind: OutcomeKind, now: datetime) -> None:
        """Count how a try ended."""
        with self._lock:
            if kind not in _SILENT:
                self._silent, self._opened_at = 0, None
                return
            self._silent += 1
            if self._silent < SILENT_TRIES or self.is_open(now):
                return
            self._opened_at, self._is_news = now, True

    def is_open(self, now: datetime) -> bool:
        """Whether nothing may be sent now; a clock that was set back does not prolong it."""
        opened_at = self._opened_at
        return opened_at is not None and opened_at <= now < opened_at + PAUSE

    def room(self, now: datetime, in_flight: int, most: int) -> int:
        """How many messages may be claimed now: none, one to try with, or ``most``."""
        if self.is_open(now):
            return 0
        if self._opened_at is None:
            return most
        return 0 if in_flight else 1

    def take_news(self) -> bool:
        """Whether a pause began since this was last asked."""
        with self._lock:
            news, self._is_news = self._is_news, False
            return news
