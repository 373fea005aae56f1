"""Example 1: test an ordinary Flask application on wechatpy, in secure mode.

``app_url`` starts the application and is all that you write for your own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from devtools.wechat_sandbox.examples.flask_wechatpy_app import BILL, HELP, create_app, make_client
from devtools.wechat_sandbox.fixture import RunningSandbox


@pytest.fixture
def sandbox_settings() -> dict[str, Any]:
    return {"mode": "secure", "receipt_delay_s": 0.05}


@pytest.fixture
def app_url(wechat_sandbox: RunningSandbox) -> Iterator[str]:
    sandbox = wechat_sandbox.sandbox
    sandbox.register_template("BILL", "电费账单", {"amount1": "应交电费"})
    account = sandbox.settings
    client = make_client(account.appid, account.secret, wechat_sandbox.base_url)
    app = create_app(client, account.token, account.aes_key, "BILL")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/wechat"
    sandbox.change(callback_url=url)
    yield url
    server.shutdown()
    server.server_close()
    client._http.close()


def test_bill_is_answered_and_the_card_arrives(
    wechat_sandbox: RunningSandbox, app_url: str
) -> None:
    sandbox = wechat_sandbox.sandbox
    assert sandbox.verify_callback()
    phone = sandbox.add_phone(name="李女士")
    sandbox.wait(phone.follow())
    sandbox.wait(phone.say("电费"))
    assert phone.texts() == [HELP, BILL]
    (card,) = phone.cards()
    assert [(line["label"], line["value"]) for line in card["fields"]] == [("应交电费", "88.60")]
    assert sandbox.drain(10)
    assert sandbox.stats()["callbacks"]["malformed"] == 0


def test_forged_callback_is_refused(wechat_sandbox: RunningSandbox, app_url: str) -> None:
    phone = wechat_sandbox.sandbox.add_phone(following=True)
    wechat_sandbox.sandbox.change(callback_retries=0)
    wechat_sandbox.sandbox.faults.add("bad_signature", next_n=1)
    delivery = wechat_sandbox.sandbox.wait(phone.say("电费"))
    assert delivery.statuses == [403]
    assert phone.cards() == []
