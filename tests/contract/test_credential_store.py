"""What every CredentialStore must do: in memory, on SQLite, on MariaDB, with Redis in front."""

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, text
from sqlalchemy.schema import CreateTable

from gongdian.adapters.credentials_db import DatabaseCredentialStore
from gongdian.adapters.credentials_memory import MemoryCredentialStore
from gongdian.adapters.credentials_redis import RedisCredentialStore
from gongdian.adapters.credentials_tables import platform_credentials
from gongdian.adapters.redis_front import RedisFront
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.ports import Credential, CredentialStore
from gongdian.privacy import DataKeys, install_keys

MARIADB = os.environ.get("GONGDIAN_TEST_MARIADB_URL") or "mysql+pymysql://root@127.0.0.1:3306/test"
REDIS = os.environ.get("GONGDIAN_TEST_REDIS_URL") or "redis://127.0.0.1:6379/15"
START = datetime(2026, 1, 5, 4, 30, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEPT = Credential("令牌/token-1", START + timedelta(hours=2))

BACKENDS = [
    "memory",
    "sqlite",
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    pytest.param("redis", marks=pytest.mark.redis),
    "dead redis",
]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START, running=False)


@pytest.fixture
def name() -> str:
    """Shared servers: each test its own credential."""
    return f"wx{secrets.token_hex(6)}:access_token"


@pytest.fixture
def sqlite(tmp_path) -> Iterator[Database]:
    yield from opened(f"sqlite:///{tmp_path / 'credentials.db'}")


@pytest.fixture(params=BACKENDS)
def store(request, clock) -> Iterator[CredentialStore]:
    install_keys(DataKeys(current=b"k" * 32, index=b"i" * 32))
    kind = request.param
    if kind == "memory":
        yield MemoryCredentialStore(clock)
    elif kind == "mariadb":
        skip_unless_answering(MARIADB, "MariaDB")
        for database in opened(MARIADB):
            yield DatabaseCredentialStore(database, clock)
    elif kind == "sqlite":
        yield DatabaseCredentialStore(request.getfixturevalue("sqlite"), clock)
    else:
        if kind == "redis":
            skip_unless_answering(REDIS, "Redis")
        front = RedisFront(REDIS if kind == "redis" else "redis://127.0.0.1:1/0")
        behind = DatabaseCredentialStore(request.getfixturevalue("sqlite"), clock)
        yield RedisCredentialStore(front, behind)
        front.close()


def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    with database.begin() as session:
        session.execute(CreateTable(platform_credentials, if_not_exists=True))
    yield database
    database.close()


def skip_unless_answering(url: str, service: str) -> None:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=0.5).close()
    except OSError as error:
        if os.environ.get("GONGDIAN_TEST_NOTHING_SKIPPED"):
            raise
        pytest.skip(f"{service} does not answer on {parts.hostname}:{parts.port}: {error}")


def test_nothing_is_stored_at_first(store, name):
    assert store.load(name) is None
    store.expire(name, "token")
    store.release(name, "a")
    assert store.load(name) is None


def test_a_stored_credential_comes_back_as_it_was(store, name):
    store.save(name, KEPT)
    assert store.load(name) == KEPT
    assert store.load(name) == KEPT
    assert store.load("another") is None


def test_the_last_one_stored_counts(store, name):
    store.save(name, KEPT)
    newer = Credential("x" * 512, KEPT.expires_at + SECOND)
    store.save(name, newer)
    assert store.load(name) == newer


def test_an_expired_credential_is_still_loaded(store, clock, name):
    store.save(name, KEPT)
    clock.move(timedelta(hours=3))
    assert store.load(name) == KEPT


def test_expire_ends_only_the_value_that_failed(store, clock, name):
    store.save(name, KEPT)
    store.expire(name, "令牌/token-0")
    assert store.load(name) == KEPT
    store.expire(name, KEPT.value)
    ended = store.load(name)
    assert ended.value == KEPT.value
    assert ended.expires_at <= clock.now()


def test_one_holder_has_the_lease(store, name):
    assert store.try_lease(name, "a", 5 * SECOND)
    assert not store.try_lease(name, "b", 5 * SECOND)
    assert store.try_lease(name, "a", 5 * SECOND)
    assert store.try_lease("another" + name, "b", 5 * SECOND)


def test_a_lease_runs_out(store, clock, name):
    store.try_lease(name, "a", 5 * SECOND)
    clock.move(6 * SECOND)
    assert store.try_lease(name, "b", 5 * SECOND)
    assert not store.try_lease(name, "a", 5 * SECOND)


def test_storing_gives_the_lease_back(store, name):
    store.try_lease(name, "a", 5 * SECOND)
    store.save(name, KEPT)
    assert store.try_lease(name, "b", 5 * SECOND)
    assert store.load(name) == KEPT


def test_only_the_holder_gives_the_lease_back(store, name):
    store.try_lease(name, "a", 5 * SECOND)
    store.release(name, "b")
    assert not store.try_lease(name, "b", 5 * SECOND)
    store.release(name, "a")
    assert store.try_lease(name, "b", 5 * SECOND)


def test_of_many_that_ask_at_once_one_gets_the_lease(store, name):
    def ask(number: int) -> bool:
        return store.try_lease(name, f"holder-{number}", 5 * SECOND)

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(ask, range(12))) == 1


def test_the_value_is_encrypted_at_rest(sqlite, clock, name):
    install_keys(DataKeys(current=b"k" * 32, index=b"i" * 32))
    DatabaseCredentialStore(sqlite, clock).save(name, KEPT)
    with sqlite.read() as session:
        row = session.execute(text("SELECT * FROM platform_credentials")).one()
        assert KEPT.value.encode() not in b"|".join(
            bytes(cell) for cell in row if isinstance(cell, bytes)
        )
        assert session.scalar(select(platform_credentials.c.value)) == KEPT.value


def test_a_value_sealed_with_a_lost_key_counts_as_none(sqlite, clock, name):
    install_keys(DataKeys(current=b"k" * 32, index=b"i" * 32))
    store = DatabaseCredentialStore(sqlite, clock)
    store.save(name, KEPT)
    install_keys(DataKeys(current=b"n" * 32, index=b"i" * 32))
    assert store.load(name) is None
    assert store.try_lease(name, "a", SECOND)
    store.save(name, KEPT)
    assert store.load(name) == KEPT


class ScriptedFront:
    """A Redis that keeps what it is told, and that can go away."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.is_away = False

    def ask(self, work: Callable[..., object], otherwise: object) -> object:
        return otherwise if self.is_away else work(self)

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def set(self, key: str, value: bytes, ex: timedelta) -> None:
        self.kept[key] = value

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


def test_redis_spares_the_store_behind_and_holds_no_plain_text(clock, name):
    install_keys(DataKeys(current=b"k" * 32, index=b"i" * 32))
    front, behind = ScriptedFront(), MemoryCredentialStore(clock)
    RedisCredentialStore(front, behind).save(name, KEPT)
    another = RedisCredentialStore(front, MemoryCredentialStore(clock))
    assert another.load(name) == KEPT
    assert all(b"token" not in value for value in front.kept.values())


def test_an_expiry_that_redis_missed_is_found_when_somebody_fetches(clock, name):
    install_keys(DataKeys(current=b"k" * 32, index=b"i" * 32))
    front, behind = ScriptedFront(), MemoryCredentialStore(clock)
    store = RedisCredentialStore(front, behind)
    store.save(name, KEPT)
    front.is_away = True
    store.expire(name, KEPT.value)
    front.is_away = False
    assert store.load(name) == KEPT  # stale; the call that uses it fails, and then:
    store.expire(name, KEPT.value)
    assert store.load(name).expires_at < clock.now()


@pytest.mark.parametrize("kept", [b"", b"junk", b"\x00" * 40])
def test_foreign_bytes_in_redis_are_passed_over(clock, name, kept):
    install_keys(DataKeys(current=b"k" * 32, index=b"i" * 32))
    front, behind = ScriptedFront(), MemoryCredentialStore(clock)
    behind.save(name, KEPT)
    front.kept[f"gongdian:credential:{name}"] = kept
    assert RedisCredentialStore(front, behind).load(name) == KEPT
