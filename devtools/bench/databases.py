"""The backends that benches run on: SQLite alone, and MariaDB with Redis, made fresh each time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

MARIADB = os.environ.get("GONGDIAN_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test")
REDIS = os.environ.get("GONGDIAN_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
BACKENDS = ("sqlite", "mariadb+redis")


@dataclass(frozen=True, slots=True)
class Backend:
    """Addresses of an empty database and, if any, of Redis."""

    database_url: str
    redis_url: str


@contextmanager
def open_backend(name: str, folder: Path) -> Iterator[Backend]:
    """An empty database of this kind; a MariaDB one is dropped at the end."""
    if name == "sqlite":
        yield Backend(f"sqlite:///{folder / 'bench.db'}", "")
        return
    url = make_url(MARIADB).set(drivername="mysql+pymysql")
    own = f"{url.database}_bench_{secrets.token_hex(4)}"
    server = create_engine(url.set(database=None), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {own}"))
    try:
        yield Backend(url.set(database=own).render_as_string(hide_password=False), REDIS)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {own}"))
        server.dispose()
