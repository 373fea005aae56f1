"""Throws the same inputs at the whole callback address: web edge, gate, database and handlers.

Called by ``python -m devtools.fuzz --http``; a short form is a test. There is an installation for
each of ACCOUNTS, with a database of its own; requests go through the framework's test client.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from devtools.fuzz.callbacks import Fuzzer
from devtools.fuzz.inputs import ACCOUNTS, NOW, Drawn
from gongdian.inbox.tables import callbacks
from gongdian.migrations.upgrade import upgrade_database
from gongdian.render.loader import ACCOUNTS as TEMPLATES
from gongdian.settings import Settings
from gongdian.wiring import House, build_house
from server.web import create_app
from wechat_handlers.callbacks import CALLBACK_PATH
from wechat_handlers.gate import CallbackAccount

_REFUSALS = (400, 403, 413)
_REPLIES = {None: "as_received", True: "encrypted", False: "plain"}


class _InputClock:
    """Tells the instant of the input that is being judged."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        """The instant of the input."""
        return self.at


class _Complaints(logging.Handler):
    """Collects what must not be logged: errors, and tracebacks at any level."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a complaint."""
        if record.exc_info or record.levelno >= logging.ERROR:
            cause = repr(record.exc_info[1])[:200] if record.exc_info else ""
            self.found.append(f"{record.getMessage()} {cause}".strip())


class HttpFuzzer(Fuzzer):
    """Judges answers: 200, 400, 403 or 413, nothing escapes, and the log stays clean."""

    def __init__(self, seed: int, houses: list[House], clock: _InputClock) -> None:
        super().__init__(seed)
        self._clock = clock
        self._houses = houses
        self.clients = [_client(create_app(house)) for house in houses]
        self._complaints = _Complaints()

    def _act(self, drawn: Drawn) -> str:
        self._clock.at = drawn.now
        response = self.clients[drawn.account].open(
            CALLBACK_PATH,
            method="GET" if drawn.is_challenge else "POST",
            query_string=_query_string(drawn.query),
            data=None if drawn.is_challenge else drawn.body,
            content_type=drawn.content_type or None,
        )
        for complaint in self._complaints.found:
            self._fail(f"logged {complaint}")
        self._complaints.found.clear()
        text = response.get_data()
        if response.status_code in _REFUSALS:
            if b"Traceback" in text or not text.startswith((b"callback_", b"<!doctype")):
                self._fail(f"a refusal with a strange body: {text[:100]!r}")
            return f"{response.status_code} {text.decode('utf-8', 'replace').split()[0][:40]}"
        if response.status_code != 200:
            self._fail(f"status {response.status_code}: {text[:100]!r}")
            return f"STATUS {response.status_code}"
        if drawn.is_challenge:
            return "200 echoed"
        return "200 success" if text == b"success" else "200 passive reply"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear everything that is logged meanwhile."""
        root = logging.getLogger()
        root.addHandler(self._complaints)
        try:
            yield
        finally:
            root.removeHandler(self._complaints)

    def close(self) -> None:
        """Let running handlers finish."""
        for client in self.clients:
            client.application.extensions["gongdian_callbacks"].receiver.close()

    def stored(self) -> int:
        """How many callbacks the databases hold."""
        count = 0
        for house in self._houses:
            with house.database.read() as session:
                count += session.execute(select(func.count()).select_from(callbacks)).scalar_one()
        return count


def _client(app: Flask) -> FlaskClient:
    return app.test_client()


def _query_string(query: Mapping[str, Any]) -> str:
    """As a hostile sender writes it: lists repeat a parameter, half characters stay bytes."""
    given = {name: value for name, value in query.items() if value is not None}
    return urlencode(given, doseq=True, errors="surrogatepass")


def _settings(account: CallbackAccount, folder: Path, keys: Mapping[str, Any]) -> Settings:
    templates = folder / "templates"
    templates.mkdir(parents=True)
    for path in TEMPLATES.glob("*.toml"):
        text = path.read_text("utf-8").replace(Settings().wechat_appid, account.appid)
        (templates / path.name).write_text(text, "utf-8")
    return Settings(
        data_dir=str(folder),
        templates_dir=str(templates),
        wechat_appid=account.appid,
        wechat_token=account.token,
        wechat_secret="no call is made",
        wechat_aes_key=account.aes_key,
        wechat_previous_aes_key=account.previous_aes_key,
        wechat_mode=account.mode,
        wechat_reply=_REPLIES[account.encrypt_replies],
        wechat_original_id=account.original_id,
        **keys,
    )


@contextmanager
def http_fuzzer(seed: int, folder: Path) -> Iterator[HttpFuzzer]:
    """A fuzzer over installations below ``folder``; they share their keys."""
    clock = _InputClock()
    # A process has one keyring; the houses of this one must not differ.
    names = ("session_key", "data_key", "index_key", "audit_key")
    keys = {name: secrets.token_bytes(32) for name in names}
    with ExitStack() as stack:
        houses = []
        for number, account in enumerate(ACCOUNTS):
            house = build_house(_settings(account, folder / f"house-{number}", keys), clock)
            stack.callback(house.close)
            upgrade_database(house.database)
            houses.append(house)
        fuzzer = HttpFuzzer(seed, houses, clock)
        stack.callback(fuzzer.close)
        stack.enter_context(fuzzer.listening())
        yield fuzzer
