"""The SMS adapter against the sandbox's platform, over real sockets."""

from __future__ import annotations

import json
import queue
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from devtools.wechat_sandbox.fixture import running_sandbox
from gongdian.adapters.sms_aliyun import AliyunAccount, AliyunSms
from gongdian.channels import SmsSend, refusal_action
from gongdian.clock import SystemClock
from gongdian.errors import DeliveryError, OutcomeUnknownError, UpstreamError

NUMBER = "13800138000"
TEXT = "户号${no}本期电费${amount}，请于${due}前交清。"


@pytest.fixture
def running():
    with running_sandbox(sms_report_delay_s=0.02, sms_sign_name="云溪供电") as one:
        one.sandbox.channels.sms.register("SMS_1", TEXT)
        one.sandbox.add_phone("phone-1", "李女士", phone_number=NUMBER)
        yield one


@pytest.fixture
def sms(running):
    adapter = AliyunSms(_account(running.base_url), SystemClock())
    yield adapter
    adapter.close()


def _account(base_url: str, **changes) -> AliyunAccount:
    values = {"access_key_id": "sandboxkey", "access_key_secret": "sandboxsecret", "total_s": 1.0}
    return AliyunAccount(endpoint=f"{base_url}/sms", **{**values, **changes})


def _message(**changes) -> SmsSend:
    values = {
        "phone": NUMBER,
        "template_code": "SMS_1",
        "params": {"no": "9900001203457", "amount": "86.40元", "due": "11月25日"},
        "sign_name": "云溪供电",
        "out_id": "message-1",
        "text": "户号9900001203457本期电费86.40元，请于11月25日前交清。",
    }
    return SmsSend(**{**values, **changes})


def test_a_message_arrives_on_the_phone_with_that_number(running, sms):
    accepted = sms.send(_message())
    (shown,) = running.sandbox.phone("phone-1").text_messages()
    assert shown["text"] == "【云溪供电】户号9900001203457本期电费86.40元，请于11月25日前交清。"
    assert shown["extra"]["biz_id"] == accepted.biz_id
    assert shown["extra"]["out_id"] == "message-1"
    assert accepted.segments == 1
    assert accepted.request_id


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"phone": "12800138000"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"sign_name": "别的公司"}, "isv.SMS_SIGNATURE_ILLEGAL"),
        ({"template_code": "SMS_9"}, "isv.SMS_TEMPLATE_ILLEGAL"),
        ({"params": {"no": "1"}}, "isv.TEMPLATE_MISSING_PARAMETERS"),
        (
            {"params": {"no": "https://x.cn/1", "amount": "1元", "due": "今天"}},
            "isv.PARAM_NOT_SUPPORT_URL",
        ),
        ({"params": {"no": "9" * 36, "amount": "1元", "due": "今天"}}, "isv.PARAM_LENGTH_LIMIT"),
    ],
)
def test_the_platforms_refusals_come_back_with_their_codes(running, sms, changes, code):
    with pytest.raises(DeliveryError) as caught:
        sms.send(_message(**changes))
    assert caught.value.code == f"sms_{code}"
    assert running.sandbox.phone("phone-1").text_messages() == []


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ({"access_key_secret": "wrong"}, "SignatureDoesNotMatch"),
        ({"access_key_id": "wrong"}, "InvalidAccessKeyId.NotFound"),
    ],
)
def test_wrong_keys_stop_the_channel(running, account, code):
    adapter = AliyunSms(_account(running.base_url, **account), SystemClock())
    with pytest.raises(DeliveryError) as caught:
        adapter.send(_message())
    adapter.close()
    assert caught.value.code == f"sms_{code}"
    assert refusal_action(caught.value) == "stop_channel"


def test_a_server_whose_time_is_wrong_is_told_so(running, sms):
    running.sandbox.move_clock(16 * 60)
    with pytest.raises(DeliveryError, match="InvalidTimeStamp"):
        sms.send(_message())


def test_limits_of_the_account_and_of_one_number_are_told_apart(running, sms):
    running.sandbox.change(sms_number_daily_quota=1)
    sms.send(_message())
    with pytest.raises(DeliveryError) as caught:
        sms.send(_message())
    assert caught.value.code == "sms_isv.BUSINESS_LIMIT_CONTROL"
    assert caught.value.context["resume"] == "china_midnight"
    assert caught.value.context["only_recipient"] is True
    running.sandbox.change(sms_daily_quota=1)
    with pytest.raises(DeliveryError) as caught:
        sms.send(_message())
    assert caught.value.code == "sms_isv.DAY_LIMIT_CONTROL"
    running.sandbox.change(sms_daily_quota=0, sms_balance_is_empty=True)
    with pytest.raises(DeliveryError, match="AMOUNT_NOT_ENOUGH"):
        sms.send(_message())


@pytest.mark.parametrize("code", ["isp.SYSTEM_ERROR", "isv.BRAND_NEW_CODE"])
def test_an_injected_code_is_retried_later(running, sms, code):
    running.sandbox.faults.add("errcode", "/sms/", next_n=1, errmsg=code)
    with pytest.raises(DeliveryError) as caught:
        sms.send(_message())
    assert caught.value.code == f"sms_{code}"
    assert refusal_action(caught.value) == "retry_later"
    sms.send(_message())


@pytest.mark.parametrize("acts", [False, True])
@pytest.mark.parametrize("kind", ["timeout", "reset", "http_error"])
def test_no_answer_means_that_the_outcome_is_unknown(running, sms, kind, acts):
    running.sandbox.faults.add(kind, "/sms/", next_n=1, acts=acts, seconds=4.0)
    with pytest.raises(OutcomeUnknownError):
        sms.send(_message())
    assert len(running.sandbox.phone("phone-1").text_messages()) == acts


class _Broken(BaseHTTPRequestHandler):
    """Answers each request with the server's ``status`` and ``code``."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls += 1
        told = {"Code": self.server.code, "Message": "x", "RequestId": "R"}
        answer = json.dumps(told | self.server.more).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@contextmanager
def _answering(status, code, **more):
    with HTTPServer(("127.0.0.1", 0), _Broken) as server:
        server.calls, server.status, server.code, server.more = 0, status, code, more
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        adapter = AliyunSms(_account(f"http://127.0.0.1:{server.server_port}"), SystemClock())
        yield server, adapter
        adapter.close()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "code", "is_doubtful"),
    [
        (500, "InternalError", True),
        (503, "ServiceUnavailable", True),
        (503, "Throttling", False),
        (400, "SignatureNonceUsed", False),
    ],
)
def test_a_breakdown_in_the_middle_is_no_reason_to_send_again(status, code, is_doubtful):
    with _answering(status, code) as (server, adapter):
        with pytest.raises(OutcomeUnknownError if is_doubtful else DeliveryError):
            adapter.send(_message())
        assert server.calls == 1


@pytest.mark.parametrize(
    ("told", "kept"), [("9^0", "9^0"), (None, ""), (9, ""), ("9" * 33, ""), ("9 ", ""), ("号", "")]
)
def test_an_id_that_cannot_be_kept_counts_as_none(told, kept):
    with _answering(200, "OK", BizId=told) as (_, adapter):
        assert adapter.send(_message()).biz_id == kept


def test_an_http_error_of_the_caller_without_a_code_was_not_acted_on(running, sms):
    running.sandbox.faults.add("http_error", "/sms/", next_n=1, status=403)
    with pytest.raises(UpstreamError) as caught:
        sms.send(_message())
    assert not isinstance(caught.value, OutcomeUnknownError)


def test_a_platform_that_is_not_there_was_surely_not_asked():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        adapter = AliyunSms(_account(f"http://127.0.0.1:{port}"), SystemClock())
        with pytest.raises(UpstreamError) as caught:
            adapter.send(_message())
        adapter.close()
    assert not isinstance(caught.value, OutcomeUnknownError)


class _Reports(BaseHTTPRequestHandler):
    """Keeps what is pushed; answers 500 as long as it was told to."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refusals > 0
        self.server.refusals -= refused
        # before the answer: who waits for its end looks here
        self.server.pushed.put((refused, json.loads(body)))
        answer = b"{}" if refused else b'{"code": 0, "msg": "ok"}'
        self.send_response(500 if refused else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    server = HTTPServer(("127.0.0.1", 0), _Reports)
    server.pushed, server.refusals = queue.Queue(), 0
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_delivery_reports_are_pushed_and_pushed_again_until_they_are_taken(running, sms, receiver):
    url = f"http://127.0.0.1:{receiver.server_port}/report"
    running.sandbox.change(sms_report_url=url, callback_retry_pause_s=0.02)
    receiver.refusals = 1
    accepted = sms.send(_message())
    assert running.sandbox.drain(5)
    first, second = receiver.pushed.get(timeout=5), receiver.pushed.get(timeout=5)
    assert (first[0], second[0]) == (True, False)
    assert first[1] == second[1]
    (report,) = second[1]
    assert report["biz_id"] == accepted.biz_id
    assert (report["success"], report["err_code"]) == (True, "DELIVERED")
    assert report["out_id"] == "message-1"


def test_a_number_that_nobody_has_is_reported_as_failed(running, sms, receiver):
    running.sandbox.change(sms_report_url=f"http://127.0.0.1:{receiver.server_port}/report")
    sms.send(_message(phone="13900139000"))
    _, (report,) = receiver.pushed.get(timeout=5)
    assert (report["success"], report["err_code"]) == (False, "MOBILE_NOT_ON_SERVICE")


def test_report_faults_change_double_and_lose_reports(running, sms, receiver):
    running.sandbox.change(sms_report_url=f"http://127.0.0.1:{receiver.server_port}/report")
    running.sandbox.faults.add("report_code", next_n=1, receipt_status="MOBILE_SEND_LIMIT")
    running.sandbox.faults.add("duplicate_callback", "SmsReport", next_n=1)
    running.sandbox.faults.add("lost_callback", "SmsReport", next_n=1)
    sms.send(_message())
    sms.send(_message())
    assert running.sandbox.drain(5)
    reports = []
    while not receiver.pushed.empty():
        reports += receiver.pushed.get()[1]
    assert [one["err_code"] for one in reports] == ["MOBILE_SEND_LIMIT"] * 2
    assert len(running.sandbox.phone("phone-1").text_messages()) == 1
