"""Platform credentials in Redis in front of another store; wiring adds it when Redis is set.

Only fresh credentials are kept here, encrypted; leases and the truth stay behind. When an expiry
does not reach Redis, its stale value fails one more call, which expires it again: it heals itself.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from gongdian.adapters.redis_front import RedisFront
from gongdian.errors import InputError
from gongdian.ports import Credential, CredentialStore
from gongdian.privacy import seal, unseal

_PURPOSE = "redis.credential"
# Another process may still use its own copy for long; here it is only a shorter way.
_LIFE = timedelta(minutes=10)


class RedisCredentialStore:
    """A CredentialStore that may lose its front at any time and only becomes slower."""

    def __init__(self, front: RedisFront, behind: CredentialStore) -> None:
        self._front = front
        self._behind = behind

    def load(self, name: str) -> Credential | None:
        """The stored credential, expired or not, or None."""
        kept = self._front.ask(lambda client: client.get(_key(name)), otherwise=None)
        credential = _opened(kept)
        if credential is None:
            credential = self._behind.load(name)
            if credential is not None:
                self._keep(name, credential)
        return credential

    def save(self, name: str, credential: Credential) -> None:
        """Store and give the lease back."""
        self._behind.save(name, credential)
        self._keep(name, credential)

    def try_lease(self, name: str, holder: str, duration: timedelta) -> bool:
        """Become the one that fetches; False while another holder's lease runs.

        Who fetches must know the truth, so the copy here is dropped.
        """
        self._forget(name)
        return self._behind.try_lease(name, holder, duration)

    def release(self, name: str, holder: str) -> None:
        """Give the lease back without a result."""
        self._behind.release(name, holder)

    def expire(self, name: str, failed_value: str) -> None:
        """Mark as expired, only if the stored value is still the one that failed."""
        self._behind.expire(name, failed_value)
        self._forget(name)

    def _keep(self, name: str, credential: Credential) -> None:
        text = json.dumps([credential.value, credential.expires_at.isoformat()])
        sealed = seal(text.encode(), _PURPOSE)
        self._front.ask(lambda client: client.set(_key(name), sealed, ex=_LIFE), otherwise=None)

    def _forget(self, name: str) -> None:
        self._front.ask(lambda client: client.delete(_key(name)), otherwise=None)


def _key(name: str) -> str:
    return f"gongdian:credential:{name}"


def _opened(sealed: bytes | None) -> Credential | None:
    if sealed is None:
        return None
    try:
        value, expires_at = json.loads(unseal(sealed, _PURPOSE))
        return Credential(value, datetime.fromisoformat(expires_at))
    except (InputError, ValueError, TypeError):  # another key, or not ours
        return None
