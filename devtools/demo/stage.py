"""A whole installation in one process (演示舞台): sandbox, web, worker; the demo and tests use it.

Everything is real but the platform: real HTTP, real callbacks, a real database.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.sandbox import Sandbox
from gongdian.clock import MovableClock
from gongdian.migrations.upgrade import upgrade_database
from gongdian.outbox.model import MessageState
from gongdian.outbox.tables import messages
from gongdian.render.registry import Registry
from gongdian.settings import Settings
from gongdian.wiring import House, build_house
from server.web import create_app
from server.worker import Worker
from wechat_handlers.callbacks import CALLBACK_PATH

APPID = "wxdemo0000000001"
ORIGINAL_ID = "gh_demo00000001"
REPORT_TOKEN = "demo-sms-reports-0000"
COMPANY = "云溪县供电公司"
SCENARIOS = Path(__file__).parent / "scenarios"
SHOWN_MESSAGES = 5


@dataclass(frozen=True, slots=True)
class Stage:
    """A running installation. ``clock`` and the sandbox's clock move together."""

    house: House
    sandbox: Sandbox
    clock: MovableClock
    web_url: str

    def move_clock(self, step: timedelta) -> datetime:
        """Move the whole stage forward in time."""
        return self.clock.move(step)

    def wait_for(self, condition: Any, what: str, timeout_s: float = 15.0) -> Any:
        """Wait until ``condition()`` is true; AssertionError names what did not come."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"not within {timeout_s} s: {what}")


class _QuietHandler(WSGIRequestHandler):
    """Keeps connections open and writes no access log."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


@contextmanager
def running_stage(
    data_dir: Path,
    *,
    port: int = 0,
    clock: MovableClock | None = None,
    sandbox_settings: dict[str, Any] | None = None,
    with_worker: bool = True,
    **settings: Any,
) -> Iterator[Stage]:
    """Start everything on loopback; ``settings`` are fields of Settings. Stops all at the end."""
    clock = clock or MovableClock()
    listener = socket.create_server(("127.0.0.1", port))
    web_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    chosen: dict[str, Any] = {
        "sms_report_url": f"{web_url}/receipts/sms/{REPORT_TOKEN}",
        "smtp_port": 0,
        "smtp_starttls": False,
        "appid": APPID,
        "original_id": ORIGINAL_ID,
        "account_name": COMPANY,
        "mode": "secure",
        "callback_url": web_url + CALLBACK_PATH,
        **(sandbox_settings or {}),
    }
    mover = partial(_move_by_seconds, clock)
    with listener, running_sandbox(lambda: clock.now().timestamp(), mover, **chosen) as running:
        house = build_house(_settings(data_dir, web_url, running.sandbox, settings), clock)
        register_templates(running.sandbox, house.outbox.registry)
        register_texts(running.sandbox, house.outbox.registry, web_url)
        upgrade_database(house.database)
        running.sandbox.due_sources.append(partial(waiting_messages, house))
        running.sandbox.scenarios.folders.insert(0, SCENARIOS)
        server = _serve(house, listener)
        listener.close()  # the server has its own; after its end nobody may wait in line here
        worker = Worker(house, wake_s=0.05)
        if with_worker:
            worker.start()
        try:
            yield Stage(house, running.sandbox, clock, web_url)
        finally:
            if with_worker:
                worker.stop()
            server.shutdown()
            server.server_close()
            house.close()


def _settings(data_dir: Path, web_url: str, sandbox: Sandbox, changes: dict[str, Any]) -> Settings:
    told, smtp = sandbox.settings, sandbox.channels.smtp
    values: dict[str, Any] = {
        "data_dir": str(data_dir),
        "public_url": web_url,
        "wechat_appid": told.appid,
        "wechat_secret": told.secret,
        "wechat_token": told.token,
        "wechat_aes_key": told.aes_key,
        "wechat_original_id": told.original_id,
        "wechat_mode": told.mode,
        "wechat_api_url": sandbox.base_url,
        "wechat_open_url": sandbox.base_url,
        "sms_access_key_id": told.sms_access_key_id,
        "sms_access_key_secret": told.sms_access_key_secret,
        "sms_sign_name": COMPANY,
        "sms_endpoint": f"{sandbox.base_url}/sms/",
        "sms_report_token": REPORT_TOKEN,
        "mail_from": "notice@power.example",
        "smtp_host": smtp.host if smtp is not None else "",
        "smtp_port": smtp.port if smtp is not None else 25,
        "smtp_starttls": told.smtp_starttls,
        **changes,
    }
    return Settings(**values)


def _serve(house: House, listener: socket.socket) -> BaseWSGIServer:
    app = create_app(house)
    host, port = listener.getsockname()
    server = make_server(
        host, port, app, threaded=True, request_handler=_QuietHandler, fd=listener.fileno()
    )
    threading.Thread(target=server.serve_forever, name="web", daemon=True).start()
    return server


def _move_by_seconds(clock: MovableClock, seconds: float) -> None:
    clock.move(timedelta(seconds=seconds))


def waiting_messages(house: House) -> list[tuple[float, str]]:
    """When messages that wait in the outbox may go: for the clock panel of the Phones page."""
    columns, now = messages.c, house.clock.now()
    query = (
        select(columns.not_before, columns.kind)
        .where(columns.state == MessageState.QUEUED.value, columns.not_before > now)
        .order_by(columns.not_before)
        .limit(SHOWN_MESSAGES)
    )
    with house.database.read() as session:
        rows = session.execute(query).all()
    titles = house.outbox.registry
    return [(row[0].timestamp(), f"待发消息“{titles.kind(row[1]).title}”可以发出") for row in rows]


def register_templates(sandbox: Sandbox, registry: Registry) -> None:
    """Give the sandbox the templates that the house's account map names."""
    for account in registry.accounts():
        for kind_name, template in account.templates.items():
            kind = registry.kind(kind_name)
            labels = {keyword.name: keyword.label for keyword in kind.keywords}
            keys = {key: labels[name] for name, key in template.keys.items()}
            sandbox.register_template(template.template_id, kind.title, keys)


def register_texts(sandbox: Sandbox, registry: Registry, public_url: str = "") -> None:
    """Give the sandbox the text messages that the house's account map names.

    With ``public_url`` their links lead to this installation: a provider registers the domain of
    the company with each text, and the sample texts name one that does not exist.
    """
    for account in registry.accounts():
        for text in account.sms.values():
            shown = re.sub(r"https://[^/]+/s/", f"{public_url}/s/", text.text)
            sandbox.channels.sms.register(text.template_code, shown if public_url else text.text)


def start_of_day() -> datetime:
    """10:00 in China today: outside quiet hours, so that the demo's messages go out."""
    now = datetime.fromtimestamp(time.time(), UTC)
    return now.replace(hour=2, minute=0, second=0, microsecond=0)
