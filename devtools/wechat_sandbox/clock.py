"""The sandbox's movable clock: every expiry, window and quota of the stand-in runs on it.

Made by ``sandbox``; a demo passes its own source so that the house and the phones agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable

CHINA_OFFSET_S = 8 * 3600
DAY_S = 86_400


class SandboxClock:
    """Seconds since 1970, from a source plus what it was moved by.

    With a ``mover`` the source itself is moved, so that everybody who reads it moves along.
    """

    def __init__(
        self,
        source: Callable[[], float] = time.time,
        mover: Callable[[float], object] | None = None,
    ) -> None:
        self._source = source
        self._mover = mover
        self._moved_s = 0.0

    @property
    def moved_s(self) -> float:
        """How far the clock was moved, for saving."""
        return self._moved_s

    def now(self) -> float:
        """The current instant of this clock."""
        return self._source() + (0.0 if self._mover else self._moved_s)

    def move(self, seconds: float) -> float:
        """Move forward and return the new instant; a clock never goes back."""
        if seconds < 0:
            raise ValueError("a clock never goes back")
        if self._mover:
            self._mover(seconds)
        self._moved_s += seconds
        return self.now()

    def restore(self, moved_s: float) -> None:
        """Take the offset of a saved session; a clock that others share only goes forward."""
        if self._mover is None:
            self._moved_s = moved_s
        elif moved_s > self._moved_s:
            self.move(moved_s - self._moved_s)

    def china_day(self) -> int:
        """The number of the current calendar day in China; daily quotas run by it."""
        return int((self.now() + CHINA_OFFSET_S) // DAY_S)

    def minute(self) -> int:
        """The number of the current minute; minute quotas run by it."""
        return int(self.now() // 60)
