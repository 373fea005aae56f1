"""Where a run takes place (场地): an own database and a Redis; ``__main__`` and tests open one.

What was made is taken away at the end.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from sqlalchemy import create_engine, make_url, text

MARIADB = os.environ.get("GONGDIAN_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test")
REDIS = os.environ.get("GONGDIAN_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
_START_S = 60.0
_PORTS = range(20_000, 32_000)
_PORTS_LOCK = Lock()
_given: set[int] = set()


@dataclass(frozen=True, slots=True)
class Ground:
    """One place: ``redis`` is the throw-away server's process, when this run may kill it."""

    backend: str
    folder: Path
    database_url: str
    workers: int
    redis_url: str = ""
    redis: subprocess.Popen[bytes] | None = None


@contextmanager
def open_ground(backend: str, *, own_redis: bool = False) -> Iterator[Ground]:
    """Open ``sqlite`` (one worker, no Redis) or ``mariadb`` (three workers and Redis)."""
    folder = Path(tempfile.mkdtemp(prefix="gongdian-chaos-"))
    try:
        if backend == "sqlite":
            yield Ground(backend, folder, f"sqlite:///{folder / 'chaos.db'}", workers=1)
        elif own_redis:
            with _own_database() as url, _own_redis(folder) as (redis_url, process):
                yield Ground(backend, folder, url, 3, redis_url, process)
        else:
            with _own_database() as url:
                yield Ground(backend, folder, url, 3, REDIS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_database() -> Iterator[str]:
    url = make_url(MARIADB).set(drivername="mysql+pymysql")
    # The name begins as the given one does: that is what the test user may create.
    name = f"{url.database}_chaos_{os.getpid()}_{secrets.token_hex(3)}"
    server = create_engine(url.set(database=None), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        server.dispose()


@contextmanager
def _own_redis(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    process = subprocess.Popen(
        [*command, "--appendonly", "no", "--dir", str(folder)], stdout=subprocess.DEVNULL
    )
    try:
        wait_for_port(port)
        yield f"redis://127.0.0.1:{port}/0", process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on, and that no other run of this program was given.

    Below the range from which the kernel takes ports for connections: until our server listens,
    nothing else may slip in.
    """
    with _PORTS_LOCK:
        while True:
            port = secrets.choice(_PORTS)
            if port not in _given and _is_free(port):
                _given.add(port)
                return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def wait_for_port(port: int) -> None:
    """Wait until somebody listens; TimeoutError after a minute."""
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nobody listens on port {port}")
