"""Fetching access_token and jsapi_ticket once for all threads and processes; the client calls it.

Three layers: this process's memory, a lock among its threads, and the CredentialStore with its
lease among processes. Whoever does not get the lease waits, a bounded time, for the winner.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from gongdian.clock import Clock
from gongdian.errors import GongdianError, OutcomeUnknownError, UpstreamError
from gongdian.ports import Credential, CredentialStore

SAFETY_S = 300  # the platform renews 5 minutes before the end
_LONGEST_S = 86_400

# Asks the platform; returns the value and its remaining life in seconds.
Fetch = Callable[[], tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long one waits for another's fetch, how often one looks, how long a lease runs.

    The lease must outlast one fetch; a second fetch after a lost lease is harmless, only wasteful.
    """

    wait_s: float = 10.0
    look_s: float = 0.05
    lease_s: float = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A credential as one request uses it; its identity tells one fetch from the next."""

    credential: Credential

    @property
    def value(self) -> str:
        """The credential itself."""
        return self.credential.value


def lifetime_s(expires_in: int) -> float:
    """How long to use a credential: 300 s less than it lives, but a little in any case."""
    if expires_in <= 0:
        raise UpstreamError("credential_unreadable", expires_in=expires_in)
    return max(min(expires_in, _LONGEST_S) - SAFETY_S, min(10.0, expires_in / 2))


class _Slot:
    """What this process knows of one credential."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: Held | None = None
        self.failure: GongdianError | None = None
        self.failed_at = 0.0  # time.monotonic()


class Credentials:
    """Hands out credentials by name and renews them when they fail."""

    def __init__(
        self, store: CredentialStore, clock: Clock, patience: Patience | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience or Patience()
        self._tag = secrets.token_hex(6)
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}

    def get(self, name: str, fetch: Fetch) -> Held:
        """A credential that is believed good.

        UpstreamError when another one that fetches does not finish in time, or what ``fetch``
        raises; who waited for a thread that failed gets that failure, without a try of its own.
        """
        slot = self._slot(name)
        held = slot.held
        if held is not None and self._is_fresh(held.credential):
            return held
        asked_at = time.monotonic()
        if not slot.lock.acquire(timeout=self._patience.wait_s):
            raise UpstreamError("credential_busy", name=name)
        try:
            return self._get_locked(name, slot, fetch, asked_at)
        finally:
            slot.lock.release()

    def renew(self, name: str, failed: Held, fetch: Fetch) -> Held:
        """A credential to retry with after ``failed`` was refused; at most one fetch.

        When another thread has renewed it meanwhile, its result is returned without asking. The
        platform may answer with the very value that failed; the caller retries once in any case.
        """
        slot = self._slot(name)
        asked_at = time.monotonic()
        if not slot.lock.acquire(timeout=self._patience.wait_s):
            raise UpstreamError("credential_busy", name=name)
        try:
            if slot.held is failed:
                slot.held = None
                self._store.expire(name, failed.value)
            return self._get_locked(name, slot, fetch, asked_at)
        finally:
            slot.lock.release()

    def _slot(self, name: str) -> _Slot:
        slot = self._slots.get(name)
        if slot is None:
            with self._lock:
                slot = self._slots.setdefault(name, _Slot())
        return slot

    def _is_fresh(self, credential: Credential) -> bool:
        return credential.expires_at > self._clock.now()

    def _get_locked(self, name: str, slot: _Slot, fetch: Fetch, asked_at: float) -> Held:
        if slot.held is not None and self._is_fresh(slot.held.credential):
            return slot.held
        if slot.failure is not None and slot.failed_at > asked_at:
            raise slot.failure
        try:
            slot.held = Held(self._load_or_fetch(name, fetch))
        except GongdianError as error:
            slot.failure, slot.failed_at = error, time.monotonic()
            raise
        slot.failure = None
        return slot.held

    def _load_or_fetch(self, name: str, fetch: Fetch) -> Credential:
        holder = f"{os.getpid()}-{self._tag}"  # the tag alone would be shared by forked children
        lease = timedelta(seconds=self._patience.lease_s)
        give_up_at = time.monotonic() + self._patience.wait_s
        while True:
            stored = self._load_fresh(name)
            if stored is not None:
                return stored
            if self._store.try_lease(name, holder, lease):
                return self._fetch_leased(name, holder, fetch)
            if time.monotonic() >= give_up_at:
                raise UpstreamError("credential_busy", name=name)
            time.sleep(self._patience.look_s)

    def _load_fresh(self, name: str) -> Credential | None:
        stored = self._store.load(name)
        return stored if stored is not None and self._is_fresh(stored) else None

    def _fetch_leased(self, name: str, holder: str, fetch: Fetch) -> Credential:
        try:
            # The winner before us may have saved between our look and our lease.
            stored = self._load_fresh(name)
            if stored is None:
                value, expires_in = fetch()
                life = timedelta(seconds=lifetime_s(expires_in))
                stored = Credential(value, self._clock.now() + life)
                self._store.save(name, stored)
                return stored
        except OutcomeUnknownError as error:
            # Of the fetch. The call that needs the credential was surely not made.
            self._store.release(name, holder)
            raise UpstreamError(error.code, error.text, **error.context) from error
        except BaseException:
            self._store.release(name, holder)
            raise
        self._store.release(name, holder)
        return stored
