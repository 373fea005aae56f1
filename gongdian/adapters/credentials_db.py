"""Platform credentials in the database: the truth for all processes; wiring chooses it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from sqlalchemy import or_, select, update

from gongdian.adapters.credentials_tables import platform_credentials as table
from gongdian.clock import Clock
from gongdian.db import Database, Session, insert_once
from gongdian.errors import InputError
from gongdian.ports import Credential

EXPIRED_AT = datetime(1970, 1, 1, tzinfo=UTC)  # expired by any clock, a moved one included


class DatabaseCredentialStore:
    """A CredentialStore on a table; UpstreamError ``database_unavailable`` when it is away."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def load(self, name: str) -> Credential | None:
        """The stored credential, expired or not, or None."""
        wanted = select(table.c.value, table.c.expires_at).where(table.c.name == name)
        with self._database.read() as session:
            try:
                row = session.execute(wanted).first()
            except InputError:  # sealed with a key that is no longer installed: fetch anew
                return None
        return Credential(row.value, row.expires_at) if row and row.value else None

    def save(self, name: str, credential: Credential) -> None:
        """Store and give the lease back."""
        values = {
            "value": credential.value,
            "value_hash": _digest(credential.value),
            "expires_at": credential.expires_at,
            "lease_holder": None,
            "lease_until": None,
        }
        store = update(table).where(table.c.name == name).values(values)

        def work(session: Session) -> None:
            if session.execute(store).rowcount == 0:
                insert_once(session, table, {"name": name})
                session.execute(store)

        self._database.run(work)

    def try_lease(self, name: str, holder: str, duration: timedelta) -> bool:
        """Become the one that fetches; False while another holder's lease runs."""
        now = self._clock.now()
        is_free = or_(
            table.c.lease_until.is_(None),
            table.c.lease_until <= now,
            table.c.lease_holder == holder,
        )
        take = (
            update(table)
            .where(table.c.name == name, is_free)
            .values(lease_holder=holder, lease_until=now + duration)
        )

        def work(session: Session) -> bool:
            # The insert comes last: a duplicate takes a lock on MySQL that breeds deadlocks.
            if session.execute(take).rowcount == 1:
                return True
            if not insert_once(session, table, {"name": name}):
                return False
            return session.execute(take).rowcount == 1

        return self._database.run(work)

    def release(self, name: str, holder: str) -> None:
        """Give the lease back without a result."""
        give = (
            update(table)
            .where(table.c.name == name, table.c.lease_holder == holder)
            .values(lease_holder=None, lease_until=None)
        )
        self._database.run(lambda session: session.execute(give))

    def expire(self, name: str, failed_value: str) -> None:
        """Mark as expired, only if the stored value is still the one that failed."""
        end = (
            update(table)
            .where(table.c.name == name, table.c.value_hash == _digest(failed_value))
            .values(expires_at=EXPIRED_AT)
        )
        self._database.run(lambda session: session.execute(end))


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
