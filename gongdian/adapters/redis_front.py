"""Redis in front of the database (缓存): answers of callbacks and the send rate; may be lost.

Every failure is swallowed within 0.2 s and opens a pause, so that a dead Redis costs next to
nothing; the truth stays in the database.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import redis

from gongdian.errors import InputError
from gongdian.outbox.rates import RateBudget
from gongdian.privacy import seal, unseal

log = logging.getLogger("gongdian.redis")
T = TypeVar("T")

_PAUSE_S = 2.0
_ANSWER_TTL_S = 120
_TAKE = """
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local granted = math.max(0, math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - used))
if granted > 0 then
  redis.call('INCRBY', KEYS[1], granted)
  redis.call('EXPIRE', KEYS[1], 10)
end
return granted
"""


class RedisFront:
    """One pooled client with a pause after each failure; threads share it."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=0.2,
            socket_connect_timeout=0.2,
            retry=None,
            health_check_interval=0,
        )
        self._lock = threading.Lock()
        self._paused_until = 0.0

    def ask(self, work: Callable[[Any], T], otherwise: T) -> T:
        """``work`` with the client, or ``otherwise`` while Redis does not answer."""
        if time.monotonic() < self._paused_until:
            return otherwise
        try:
            return work(self._client)
        except (redis.RedisError, OSError) as error:
            with self._lock:
                self._paused_until = time.monotonic() + _PAUSE_S
            log.warning("redis_unavailable", extra={"detail": type(error).__name__})
            return otherwise

    def is_ready(self) -> bool:
        """Whether Redis answers."""
        return self.ask(lambda client: bool(client.ping()), otherwise=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class RedisAnswers:
    """Answers of callbacks by dedupe key, encrypted, for two minutes."""

    def __init__(self, front: RedisFront) -> None:
        self._front = front

    def get(self, dedupe: bytes) -> Mapping[str, Any] | None:
        """The kept answer (an empty mapping: no passive reply), or None."""
        sealed = self._front.ask(lambda client: client.get(_answer_key(dedupe)), otherwise=None)
        if sealed is None:
            return None
        try:
            answer = json.loads(unseal(sealed, "redis.answer"))
        except InputError:  # sealed with a key that is no longer installed
            return None
        return answer if isinstance(answer, dict) else None

    def put(self, dedupe: bytes, answer: Mapping[str, Any]) -> None:
        """Keep an answer."""
        sealed = seal(json.dumps(dict(answer)).encode(), "redis.answer")
        key = _answer_key(dedupe)
        self._front.ask(lambda client: client.set(key, sealed, ex=_ANSWER_TTL_S), otherwise=None)


def _answer_key(dedupe: bytes) -> str:
    return f"gongdian:answer:{dedupe.hex()}"


class RedisRate:
    """The send rate in Redis; the database's counter takes over while Redis is away.

    In the second of the change-over both may grant: at most twice the rate, once.
    """

    def __init__(self, front: RedisFront, behind: RateBudget) -> None:
        self._front = front
        self._behind = behind

    def take(self, name: str, wanted: int, per_second: int, now: datetime) -> int:
        """Up to ``wanted`` permits; 0 when this second's are gone."""
        key = f"gongdian:rate:{name}:{int(now.timestamp())}"
        granted = self._front.ask(
            lambda client: int(client.eval(_TAKE, 1, key, wanted, per_second)), otherwise=-1
        )
        return granted if granted >= 0 else self._behind.take(name, wanted, per_second, now)
