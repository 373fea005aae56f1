"""A worker that starts before its database does: it waits, and can be stopped while it waits."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tcp_proxy import TcpProxy

ROOT = Path(__file__).parents[2]
WAITS, STARTED = "database_awaited", "worker_started"


@contextmanager
def _worker(folder: Path, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"GONGDIAN_DATA_DIR": str(folder), "GONGDIAN_DATABASE_URL": database_url}
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "worker"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for_line(folder: Path, event: str) -> None:
    path = folder / "worker.log"
    end = time.monotonic() + 30
    while event not in path.read_text("utf-8"):
        assert time.monotonic() < end, f"no {event}: {path.read_text('utf-8')}"
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(20)


@pytest.mark.mariadb
def test_a_worker_waits_for_a_database_that_comes_up_later(
    tmp_path: Path, proxied_url: str, proxy: TcpProxy
) -> None:
    with proxy.trouble("refuse"), _worker(tmp_path, proxied_url) as process:
        _wait_for_line(tmp_path, WAITS)
        assert process.poll() is None
        proxy.mode = "pass"
        _wait_for_line(tmp_path, STARTED)
        assert _end(process) == 0

    assert "Traceback" not in (tmp_path / "worker.log").read_text("utf-8")


@pytest.mark.mariadb
def test_a_worker_that_waits_for_its_database_can_be_stopped(
    tmp_path: Path, proxied_url: str, proxy: TcpProxy
) -> None:
    with proxy.trouble("refuse"), _worker(tmp_path, proxied_url) as process:
        _wait_for_line(tmp_path, WAITS)
        assert _end(process) == 0

    assert STARTED not in (tmp_path / "worker.log").read_text("utf-8")


def test_a_worker_does_not_wait_for_a_migration(tmp_path: Path) -> None:
    with _worker(tmp_path, f"sqlite:///{tmp_path / 'empty.db'}") as process:
        assert process.wait(30) == 2

    assert "E009" in (tmp_path / "worker.log").read_text("utf-8")
