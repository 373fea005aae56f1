"""Fixtures of all tests: keys, a movable clock, databases of both kinds, Redis, whole stages.

A service that does not answer skips its tests with the reason; where nothing may be skipped
(GONGDIAN_TEST_NOTHING_SKIPPED=1) it fails them.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from devtools.demo.stage import Stage, running_stage
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.migrations.schema import metadata
from gongdian.migrations.upgrade import upgrade_database
from gongdian.privacy import DataKeys, install_keys

MARIADB = os.environ.get("GONGDIAN_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test")
REDIS = os.environ.get("GONGDIAN_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
CHROMIUM = os.environ.get("GONGDIAN_TEST_CHROMIUM", "/usr/bin/chromium")
NOTHING_SKIPPED = os.environ.get("GONGDIAN_TEST_NOTHING_SKIPPED") == "1"

# The same examples in each run, however slow the machine: a failure is of the change at hand.
# ``--hypothesis-seed=N`` with another profile, and ``devtools.fuzz``, look further.
settings.register_profile(
    "gongdian",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gongdian")

# 10:00 in China on a working day: outside the quiet hours.
MORNING = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def missing(service: str, reason: str) -> None:
    """Skip for want of a service, or fail where nothing may be skipped."""
    message = f"{service} does not answer: {reason}"
    if NOTHING_SKIPPED:
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def _keys() -> None:
    install_keys(DataKeys(current=b"k" * 32, index=b"i" * 32))


@pytest.fixture
def clock() -> MovableClock:
    """A clock that stands at 10:00 in China until it is moved."""
    return MovableClock(MORNING, running=False)


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """A migrated MariaDB database of this test process's own; dropped at the end."""
    url = make_url(MARIADB).set(drivername="mysql+pymysql")
    # The name begins as the given one does: that is what the test user may create.
    name = f"{url.database}_{os.getpid()}_{secrets.token_hex(3)}"
    server = create_engine(url.set(database=None), isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except SQLAlchemyError as error:
        missing("MariaDB", str(error))
    own = url.set(database=name).render_as_string(hide_password=False)
    database = Database(own)
    upgrade_database(database)
    database.close()
    yield own
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    server.dispose()


@pytest.fixture
def empty_mariadb_url(mariadb_url: str) -> str:
    """The same, with no row in any table."""
    engine = create_engine(mariadb_url)
    with engine.begin() as connection:
        for table in metadata.tables.values():
            connection.execute(table.delete())
    engine.dispose()
    return mariadb_url


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A Redis that answers; tests use keys of their own."""
    client = redis.Redis.from_url(REDIS, socket_timeout=1)
    try:
        client.ping()
    except redis.RedisError as error:
        missing("Redis", str(error))
    finally:
        client.close()
    return REDIS


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium is."""
    if not Path(CHROMIUM).exists():
        missing("Chromium", f"no {CHROMIUM}")
    return CHROMIUM


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty migrated SQLite file: each test that wants one copies it."""
    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    database = Database(f"sqlite:///{path}")
    upgrade_database(database)
    database.close()
    return path


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path) -> str:
    """The URL of an empty migrated database, once SQLite and once MariaDB."""
    if request.param == "mariadb":
        url: str = request.getfixturevalue("empty_mariadb_url")
        return url
    shutil.copy(empty_sqlite, tmp_path / "test.db")
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty migrated database, once SQLite and once MariaDB."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def start_stage(tmp_path: Path, empty_sqlite: Path) -> Iterator[Callable[..., Stage]]:
    """Starts whole installations (see devtools.demo.stage.running_stage); stops them at the end."""
    with ExitStack() as stack:

        def start(**options: Any) -> Stage:
            options.setdefault("clock", MovableClock(MORNING))
            folder = tmp_path / f"stage-{secrets.token_hex(3)}"
            folder.mkdir()
            shutil.copy(empty_sqlite, folder / "gongdian.db")
            return stack.enter_context(running_stage(folder, **options))

        yield start
