"""Example 2: test a backend that has no framework at all, in plain mode."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from devtools.wechat_sandbox.examples.standard_library_app import create_app
from devtools.wechat_sandbox.fixture import RunningSandbox
from devtools.wechat_sandbox.sandbox import Sandbox


class Quiet(WSGIRequestHandler):
    """Writes no access log."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def sandbox(wechat_sandbox: RunningSandbox) -> Iterator[Sandbox]:
    server = make_server(
        "127.0.0.1", 0, create_app(wechat_sandbox.sandbox.settings.token), handler_class=Quiet
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    wechat_sandbox.sandbox.change(callback_url=url)
    yield wechat_sandbox.sandbox
    server.shutdown()
    server.server_close()


def test_backend_says_back_what_it_hears(sandbox: Sandbox) -> None:
    assert sandbox.verify_callback()
    phone = sandbox.add_phone(following=True)
    delivery = sandbox.wait(phone.say("<你好> & 再见"))
    assert delivery.state == "acknowledged"
    assert phone.texts() == ["您说：<你好> & 再见"]


def test_repeated_message_is_answered_twice_because_nobody_dedupes(sandbox: Sandbox) -> None:
    """The sandbox shows a fault of the example: a real backend keeps the MsgId."""
    sandbox.faults.add("duplicate_callback", scope="text", next_n=1)
    phone = sandbox.add_phone(following=True)
    phone.say("一次")
    assert sandbox.drain(10)
    assert sandbox.stats()["callbacks"]["acknowledged"] == 2
