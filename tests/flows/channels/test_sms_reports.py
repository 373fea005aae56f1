"""Delivery reports all the way: from the sandbox's platform to the endpoint that takes them."""

from __future__ import annotations

import threading

import pytest
from flask import Flask
from werkzeug.serving import make_server

from devtools.wechat_sandbox.fixture import running_sandbox
from gongdian.adapters.sms_aliyun import AliyunAccount, AliyunSms
from gongdian.channels import SmsSend
from gongdian.clock import SystemClock
from gongdian.errors import ConflictError
from server.receipts import receipts_blueprint

TOKEN = "0123456789abcdef"


class Ledger:
    """Applies receipts once each; fails as often as it was told to."""

    def __init__(self) -> None:
        self.failures = 0
        self.calls = 0
        self.by_key = {}

    def apply(self, receipts):
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise ConflictError("database_busy")
        for receipt in receipts:
            self.by_key.setdefault(receipt.dedupe, receipt)


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def url(ledger):
    app = Flask("test")
    app.register_blueprint(receipts_blueprint(TOKEN, ledger.apply, SystemClock()))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/receipts/sms/{TOKEN}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_message_gets_its_receipt_once_in_spite_of_faults(url, ledger):
    with running_sandbox(
        sms_report_url=url, sms_report_delay_s=0.02, callback_retry_pause_s=0.02
    ) as running:
        sandbox = running.sandbox
        sandbox.channels.sms.register("SMS_1", "应缴${amount}")
        sandbox.faults.add("duplicate_callback", "SmsReport", percent=30)
        sandbox.faults.add("report_code", percent=20, receipt_status="MOBILE_SEND_LIMIT")
        ledger.failures = 2
        sms = AliyunSms(
            AliyunAccount("sandboxkey", "sandboxsecret", f"{running.base_url}/sms"), SystemClock()
        )
        sent = {}
        for number in range(60):
            phone = f"138001380{number:02d}"
            sandbox.add_phone(phone_number=phone)
            params = {"amount": "86.40元"}
            accepted = sms.send(SmsSend(phone, "SMS_1", params, "云溪供电", f"message-{number}"))
            sent[f"message-{number}"] = accepted.biz_id
        sms.close()
        assert sandbox.drain(10)
        shown = sum(len(sandbox.inbox(one.openid)) for one in sandbox.phones.listed())
    receipts = ledger.by_key.values()
    assert {one.out_id: one.biz_id for one in receipts} == sent
    assert len(receipts) == 60
    delivered = sum(one.is_delivered for one in receipts)
    assert 0 < delivered == shown < 60
