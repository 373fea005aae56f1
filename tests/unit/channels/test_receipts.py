"""Delivery reports and returned mails: read what is sound, survive everything else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gongdian.clock import MovableClock
from gongdian.errors import InputError, UpstreamError
from server.bounces import parse_bounces
from server.receipts import LARGEST_PUSH, receipts_blueprint
from server.sms_reports import parse_reports

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
TOKEN = "0123456789abcdef"
# The fields of the provider's own example, with whole numbers.
REPORT = {
    "phone_number": "13800138000",
    "send_time": "2026-11-21 10:00:00",
    "report_time": "2026-11-21 10:00:05",
    "success": True,
    "err_code": "DELIVERED",
    "err_msg": "用户接收成功",
    "sms_size": "1",
    "biz_id": "900619746936498440^0",
    "out_id": "message-1",
}


def _parsed(*entries):
    return parse_reports(json.dumps(entries).encode(), NOW)


def test_a_report_is_read_with_its_time_in_china():
    (receipt,) = _parsed(REPORT).receipts
    assert receipt.is_delivered
    assert (receipt.out_id, receipt.biz_id) == ("message-1", "900619746936498440^0")
    assert (receipt.phone, receipt.code) == ("13800138000", "DELIVERED")
    assert receipt.at == datetime(2026, 11, 21, 2, 0, 5, tzinfo=UTC)


def test_a_failure_keeps_its_code_and_its_explanation():
    failed = REPORT | {"success": False, "err_code": "MOBILE_NOT_ON_SERVICE", "err_msg": "空号"}
    (receipt,) = _parsed(failed).receipts
    assert (receipt.is_delivered, receipt.code) == (False, "MOBILE_NOT_ON_SERVICE")
    assert receipt.explanation == "空号"


def test_a_batch_holds_each_report_once_and_skips_what_is_broken():
    other = REPORT | {"biz_id": "2^0", "out_id": "message-2"}
    reports = _parsed(REPORT, other, REPORT, {"biz_id": 1}, "text", REPORT | {"success": "maybe"})
    assert [one.out_id for one in reports.receipts] == ["message-1", "message-2"]
    assert reports.unreadable == 3


@pytest.mark.parametrize(
    "change",
    [
        {"biz_id": "\ud800^0"},
        {"phone_number": "\ud800"},
        {"biz_id": "9" * 33},
        {"biz_id": "8\x000"},
        {"biz_id": "1" * 31 + " x"},
        {"biz_id": "回执"},
        {"phone_number": "1380013\n8000"},
        {"phone_number": "1" * 41},
    ],
)
def test_an_entry_that_no_message_can_answer_to_is_skipped_and_the_rest_counts(change):
    reports = _parsed(REPORT | change, REPORT)
    assert [one.biz_id for one in reports.receipts] == [REPORT["biz_id"]]
    assert reports.unreadable == 1


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("空号", "UNKNOWN"),
        ("\udfff", "UNKNOWN"),
        ("MK:0001", "MK:0001"),
        ("E" * 56 + " x", "E" * 40),
        ("REJECT 12", "REJECT_12"),
        ("", "UNKNOWN"),
    ],
)
def test_a_reason_becomes_one_plain_word(told, code):
    (receipt,) = _parsed(REPORT | {"success": False, "err_code": told}).receipts
    assert (receipt.is_delivered, receipt.code) == (False, code)


@pytest.mark.parametrize("told", ["\ud800" * 3, "9" * 33, "a b", None, "回执"])
def test_an_id_that_is_not_ours_does_not_lose_the_report(told):
    (receipt,) = _parsed(REPORT | {"out_id": told}).receipts
    assert receipt.out_id == ""


@pytest.mark.parametrize("time", ["", "yesterday", None, "2026-13-40 00:00:00"])
def test_a_time_that_cannot_be_read_is_now(time):
    (receipt,) = _parsed(REPORT | {"report_time": time}).receipts
    assert receipt.at == NOW


def test_a_report_from_the_future_is_from_now():
    (receipt,) = _parsed(REPORT | {"report_time": "2027-01-01 00:00:00"}).receipts
    assert receipt.at == NOW


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[" * 100_000, b"null", b"[0]" * 2])
def test_what_is_no_array_is_refused(body):
    with pytest.raises(InputError):
        parse_reports(body, NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(REPORT)), inner),
    max_leaves=20,
)


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(JSON, max_size=8))
def test_any_array_is_read_without_an_accident(entries):
    reports = parse_reports(json.dumps(entries).encode(), NOW)
    assert len(reports.receipts) + reports.unreadable <= len(entries)
    for one in reports.receipts:
        assert one.at <= NOW
        assert 0 < len(one.biz_id) <= 32
        assert f"{one.dedupe} {one.out_id} {one.explanation}".encode()


@pytest.fixture
def applied():
    return []


@pytest.fixture
def client(applied):
    app = Flask("test")
    clock = MovableClock(NOW, running=False)
    app.register_blueprint(receipts_blueprint(TOKEN, applied.extend, clock))
    return app.test_client()


def test_reports_are_applied_and_answered_as_the_provider_asks(client, applied):
    answer = client.post(f"/receipts/sms/{TOKEN}", json=[REPORT, REPORT])
    assert (answer.status_code, answer.json["code"]) == (200, 0)
    assert [one.out_id for one in applied] == ["message-1"]


def test_a_full_push_is_taken_though_other_addresses_take_less(applied):
    app = Flask("test")
    app.config["MAX_CONTENT_LENGTH"] = 256 * 1024
    app.register_blueprint(receipts_blueprint(TOKEN, applied.extend, MovableClock(NOW)))
    many = [REPORT | {"biz_id": f"{number:020}^0"} for number in range(1000)]
    answer = app.test_client().post(f"/receipts/sms/{TOKEN}", json=many)
    assert (answer.status_code, answer.json["code"], len(applied)) == (200, 0, 1000)
    huge = b"[" + b" " * LARGEST_PUSH + b"]"
    assert app.test_client().post(f"/receipts/sms/{TOKEN}", data=huge).status_code == 413
    assert app.test_client().post("/receipts/sms/wrong", data=huge).status_code == 404


def test_one_bad_entry_is_logged_and_the_push_is_taken(client, applied, caplog):
    bad = REPORT | {"biz_id": "\ud800^0"}
    answer = client.post(f"/receipts/sms/{TOKEN}", json=[bad, REPORT])
    assert (answer.status_code, answer.json["code"]) == (200, 0)
    assert [one.biz_id for one in applied] == [REPORT["biz_id"]]
    (record,) = (one for one in caplog.records if one.message == "sms_reports_skipped")
    assert record.count == 1


def test_an_empty_push_is_taken(client, applied):
    assert client.post(f"/receipts/sms/{TOKEN}", json=[]).status_code == 200
    assert applied == []


@pytest.mark.parametrize("given_token", ["wrong", "0123456789abcdeg", "口令", TOKEN + "/x"])
def test_without_the_token_there_is_no_such_address(client, applied, given_token):
    assert client.post(f"/receipts/sms/{given_token}", json=[REPORT]).status_code == 404
    assert applied == []


def test_without_a_configured_token_nothing_is_taken(applied):
    app = Flask("test")
    app.register_blueprint(receipts_blueprint("", applied.extend, MovableClock(NOW)))
    assert app.test_client().post("/receipts/sms/x", json=[REPORT]).status_code == 404


def test_broken_content_is_refused_with_400(client):
    answer = client.post(f"/receipts/sms/{TOKEN}", data=b"nonsense")
    assert (answer.status_code, answer.json["code"]) == (400, 400)


def test_what_could_not_be_applied_is_asked_for_again():
    def fail(receipts):
        raise UpstreamError("database_gone")

    app = Flask("test")
    app.register_blueprint(receipts_blueprint(TOKEN, fail, MovableClock(NOW)))
    assert app.test_client().post(f"/receipts/sms/{TOKEN}", json=[REPORT]).status_code == 503


BOUNCE = """\
From: MAILER-DAEMON@mx.example.cn
To: notice@gd.example.cn
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

The mail could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.cn

Original-Recipient: rfc822;li@example.cn
Final-Recipient: rfc822; li@example.cn
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b
Content-Type: {enclosed}

Message-ID: <gd.0123@gd.example.cn>
Subject: bill

{body}
--b--
"""


def _bounce(action="failed", status="5.1.1", enclosed="message/rfc822", body="text"):
    text = BOUNCE.format(action=action, status=status, enclosed=enclosed, body=body)
    return text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("enclosed", ["message/rfc822", "text/rfc822-headers"])
def test_a_returned_mail_names_the_mail_the_recipient_and_the_reason(enclosed):
    (bounce,) = parse_bounces(_bounce(enclosed=enclosed))
    assert bounce.message_id == "<gd.0123@gd.example.cn>"
    assert bounce.recipient == "li@example.cn"
    assert (bounce.status, bounce.is_permanent) == ("5.1.1", True)
    assert bounce.detail == "550 5.1.1 no such user"


@pytest.mark.parametrize(
    ("action", "status", "is_permanent"),
    [("failed", "5.2.2", True), ("delayed", "4.4.1", False), ("failed", "4.4.7", False)],
)
def test_only_a_failure_of_class_5_is_final(action, status, is_permanent):
    (bounce,) = parse_bounces(_bounce(action, status))
    assert bounce.is_permanent is is_permanent


@pytest.mark.parametrize(("action", "status"), [("delivered", "2.0.0"), ("failed", "kaput")])
def test_what_reports_no_failure_is_no_bounce(action, status):
    assert parse_bounces(_bounce(action, status)) == []


def test_an_ordinary_mail_is_no_bounce():
    assert parse_bounces(b"From: a@b\r\nSubject: hello\r\n\r\nout of office\r\n") == []


@settings(deadline=None, database=None)
@given(st.binary(max_size=400), st.integers(0, 900))
def test_no_bytes_make_the_reader_fail(noise, at):
    whole = _bounce()
    for bounce in parse_bounces(noise) + parse_bounces(whole[:at] + noise + whole[at:]):
        assert f"{bounce.message_id}{bounce.recipient}{bounce.detail}".encode()


@pytest.mark.parametrize("enclosed", ["message/rfc822", "text/rfc822-headers"])
def test_bytes_that_are_no_text_are_replaced(enclosed):
    whole = _bounce(enclosed=enclosed).replace(b"li@", b"l\xff@").replace(b"gd.0123@", b"gd.\xe9@")
    (bounce,) = parse_bounces(whole)
    assert f"{bounce.message_id}{bounce.recipient}".encode()


def test_a_receipt_told_twice_is_recognisable():
    (first,), (second,) = _parsed(REPORT).receipts, _parsed(REPORT | {"sms_size": "2"}).receipts
    assert first.dedupe == second.dedupe
    late = _parsed(REPORT | {"success": False, "err_code": "UNDELIV"}).receipts[0]
    assert late.dedupe != first.dedupe
    assert NOW - first.at < timedelta(days=1)
