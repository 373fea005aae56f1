"""The last calls in both directions, kept for an inspector and for tests.

Written by ``platform_api`` (in) and ``courier`` (out); bodies are cut and decoded when read.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from typing import Any

from devtools.wechat_sandbox.refusals import ActionError

KEPT = 2000
BODY_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call: ``direction`` is ``in`` (to the platform) or ``out`` (a callback)."""

    number: int
    at: float
    direction: str
    method: str
    url: str
    request: bytes
    status: int
    response: bytes
    took_ms: float
    note: str


class TrafficLog:
    """A ring of exchanges. ``deque.append`` is atomic, so there is no lock on the busy path."""

    def __init__(self) -> None:
        self._ring: deque[Exchange] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)

    def add(
        self,
        at: float,
        direction: str,
        method: str,
        url: str,
        request: bytes,
        status: int,
        response: bytes,
        took_ms: float,
        note: str = "",
    ) -> None:
        """Keep one exchange; status 0 means that there was no answer."""
        self._ring.append(
            Exchange(
                next(self._numbers),
                at,
                direction,
                method,
                url,
                request[:BODY_BYTES],
                status,
                response[:BODY_BYTES],
                took_ms,
                note,
            )
        )

    def entries(self, after: int = 0, limit: int = KEPT) -> list[dict[str, Any]]:
        """Exchanges with a number above ``after``, oldest first, the last ``limit`` of them."""
        chosen = [entry for entry in list(self._ring) if entry.number > after]
        return [plain_values(entry) for entry in chosen[max(0, len(chosen) - limit) :]]

    def find(self, number: int) -> Exchange:
        """One exchange; raises ActionError when it is no longer kept."""
        for entry in list(self._ring):
            if entry.number == number:
                return entry
        raise ActionError(f"exchange {number} is no longer kept")

    def last_number(self) -> int:
        """The number of the newest exchange; 0 = none."""
        try:
            return self._ring[-1].number
        except IndexError:
            return 0

    def clear(self) -> None:
        """Forget all exchanges."""
        self._ring.clear()


def plain_values(entry: Exchange) -> dict[str, Any]:
    """One exchange as JSON values, bodies as text."""
    return {
        "number": entry.number,
        "at": entry.at,
        "direction": entry.direction,
        "method": entry.method,
        "url": entry.url,
        "request": entry.request.decode("utf-8", "replace"),
        "status": entry.status,
        "response": entry.response.decode("utf-8", "replace"),
        "took_ms": round(entry.took_ms, 2),
        "note": entry.note,
    }
