"""Commands that run processes (运行命令): web, worker, both together, migrate."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from gongdian.db import Database
from gongdian.errors import UpstreamError
from gongdian.migrations.upgrade import require_newest, upgrade_database
from gongdian.settings import Settings, refuse_bad_settings
from gongdian.wiring import build_house
from server.worker import Worker
from wechat_handlers.callbacks import build_gate

log = logging.getLogger("gongdian.run")

_STOP_S = 30.0
_AGAIN_S = 1.0


def migrate(settings: Settings, options: argparse.Namespace) -> int:
    """Bring the database to the newest revision."""
    house = build_house(settings)
    revision = upgrade_database(house.database)
    house.close()
    print(f"数据库已是最新结构：{revision}")
    return 0


def run_worker(settings: Settings, options: argparse.Namespace) -> int:
    """Work until SIGTERM or SIGINT, then finish what is in flight."""
    stop = _stop_on_signal()
    house = build_house(settings)
    if _await_database(house.database, stop):
        Worker(house).run(stop)
    house.close()
    return 0


def _await_database(database: Database, stop: threading.Event) -> bool:
    """Wait for a database that is starting, too, or has no connection to give; False: stopped.

    ConfigError at once when it answers and is not at the newest revision.
    """
    while not stop.is_set():
        try:
            require_newest(database)
        except UpstreamError as error:
            log.warning("database_awaited", extra={"detail": str(error)})
            stop.wait(_AGAIN_S)
        else:
            return True
    return False


def run_web(settings: Settings, options: argparse.Namespace) -> int:
    """Become gunicorn with the web application."""
    _check_web(settings)
    command = _gunicorn(settings)
    os.execvpe(command[0], command, _environment(settings))  # noqa: S606 - replaces this process


def _check_web(settings: Settings) -> None:
    """Refuse here, once, what would make gunicorn's processes die again and again."""
    refuse_bad_settings(settings)
    build_gate(settings)


def run_all(settings: Settings, options: argparse.Namespace) -> int:
    """Web and worker on one machine: migrate, start both, restart what dies, stop both."""
    _check_web(settings)
    migrate(settings, options)
    stop = _stop_on_signal()
    environment = _environment(settings)
    commands = {"web": _gunicorn(settings), "worker": [sys.executable, "-m", "server", "worker"]}
    running = {
        name: subprocess.Popen(command, env=environment) for name, command in commands.items()
    }
    while not stop.wait(1.0):
        for name, process in running.items():
            if process.poll() is not None:
                log.error("process_died", extra={"child": name, "status": process.returncode})
                time.sleep(1.0)
                running[name] = _start(commands[name], environment)
    for process in running.values():
        process.terminate()
    for process in running.values():
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
    return 0


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environment)


def _gunicorn(settings: Settings) -> list[str]:
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "--bind",
        settings.listen,
        "--workers",
        str(settings.web_workers),
        "--threads",
        str(settings.web_threads),
        "--worker-class",
        "gthread",
        "--graceful-timeout",
        "20",
        "--timeout",
        "60",
        "--keep-alive",
        "30",
        "--limit-request-line",
        "8190",
        "--log-level",
        "warning",
        "server.web:application()",
    ]


def _environment(settings: Settings) -> dict[str, str]:
    """The children's environment: a fresh folder in which prometheus-client adds counters up."""
    folder = Path(settings.data_dir) / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink()
    kept = dict(os.environ)  # noqa: TID251 - handed on to child processes as it is
    return {**kept, "PROMETHEUS_MULTIPROC_DIR": str(folder)}


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop
