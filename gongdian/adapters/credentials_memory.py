"""Platform credentials in memory (凭证存储); for tests and for a program of a single process."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from gongdian.clock import Clock
from gongdian.ports import Credential

EXPIRED_AT = datetime(1970, 1, 1, tzinfo=UTC)  # expired by any clock, a moved one included


@dataclass(frozen=True, slots=True)
class _Lease:
    holder: str
    until: datetime


class MemoryCredentialStore:
    """A CredentialStore for the threads of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._credentials: dict[str, Credential] = {}
        self._leases: dict[str, _Lease] = {}

    def load(self, name: str) -> Credential | None:
        """The stored credential, expired or not, or None."""
        with self._lock:
            return self._credentials.get(name)

    def save(self, name: str, credential: Credential) -> None:
        """Store and give the lease back."""
        with self._lock:
            self._credentials[name] = credential
            self._leases.pop(name, None)

    def try_lease(self, name: str, holder: str, duration: timedelta) -> bool:
        """Become the one that fetches; False while another holder's lease runs."""
        with self._lock:
            now = self._clock.now()
            lease = self._leases.get(name)
            if lease and lease.holder != holder and lease.until > now:
                return False
            self._leases[name] = _Lease(holder, now + duration)
            return True

    def release(self, name: str, holder: str) -> None:
        """Give the lease back without a result."""
        with self._lock:
            lease = self._leases.get(name)
            if lease and lease.holder == holder:
                del self._leases[name]

    def expire(self, name: str, failed_value: str) -> None:
        """Mark as expired, only if the stored value is still the one that failed."""
        with self._lock:
            stored = self._credentials.get(name)
            if stored and stored.value == failed_value:
                self._credentials[name] = replace(stored, expires_at=EXPIRED_AT)
