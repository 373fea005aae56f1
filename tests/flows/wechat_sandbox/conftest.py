"""A running sandbox with one template, and a developer's server that it calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devtools.wechat_sandbox.fixture import running_sandbox
from tests.flows.wechat_sandbox.client import Api
from tests.flows.wechat_sandbox.receiver import Receiver, running_receiver


@pytest.fixture
def api() -> Iterator[Api]:
    settings = {"receipt_delay_s": 0.02, "callback_retry_pause_s": 0.02}
    with running_sandbox(**settings) as running:
        running.sandbox.register_template("T1", "停电通知", {"thing1": "地址"})
        made = Api(running)
        made.login()
        yield made
        made.client.close()


@pytest.fixture
def receiver(api: Api) -> Iterator[Receiver]:
    with running_receiver() as made:
        api.sandbox.change(callback_url=made.url)
        yield made
