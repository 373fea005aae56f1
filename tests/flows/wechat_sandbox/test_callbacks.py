"""Callbacks over real sockets: messages, receipts, replies, retries, faults."""

from __future__ import annotations

import threading
import time

import pytest

from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.sandbox import SERVICE_FAULT
from tests.flows.wechat_sandbox.client import Api
from tests.flows.wechat_sandbox.receiver import Receiver, running_receiver, text_reply


def test_receipt_comes_after_the_delay_with_the_status_of_the_phone(
    api: Api, receiver: Receiver
) -> None:
    phone = api.sandbox.add_phone(following=True)
    accepted = api.send(phone.openid, client_msg_id="m1")
    assert api.sandbox.drain(10)
    (receipt,) = receiver.messages()
    assert (receipt["Event"], receipt["Status"]) == ("TEMPLATESENDJOBFINISH", "success")
    assert receipt["MsgID"] == str(accepted["msgid"])
    assert receipt["FromUserName"] == phone.openid
    api.sandbox.change(receipt_msgid_zero=True)
    phone.receipts_say("failed:user block")
    api.send(phone.openid, client_msg_id="m2")
    assert api.sandbox.drain(10)
    assert receiver.messages()[-1]["MsgID"] == "0"
    assert receiver.messages()[-1]["Status"] == "failed:user block"
    assert len(phone.cards()) == 1


def test_receipt_on_the_movable_clock_waits_for_the_clock(api: Api, receiver: Receiver) -> None:
    api.sandbox.change(receipt_on_clock=True, receipt_delay_s=3600)
    api.send(api.sandbox.add_phone(following=True).openid)
    assert not api.sandbox.drain(0.1)
    api.sandbox.move_clock(3600)
    assert api.sandbox.drain(10)
    assert len(receiver.messages()) == 1


def test_everything_that_a_phone_can_do_arrives(api: Api, receiver: Receiver) -> None:
    phone, sandbox = api.sandbox.add_phone(), api.sandbox
    assert sandbox.verify_callback()
    deliveries = [
        phone.scan("door"),
        phone.scan("door"),
        phone.say("绑定"),
        phone.photo(),
        phone.voice(),
        phone.video(),
        phone.location(30.25, 120.16, "武林广场"),
        phone.link("标题", "说明", "http://h/"),
        phone.report_location(30.25, 120.16),
        phone.click("BILL"),
        phone.view("http://h/bill"),
        phone.view_miniprogram("pages/bill"),
        phone.scan_code("METER", "NO-1", waits=True),
        phone.pick_photos("PICS", ["a", "b"]),
        phone.select_location("WHERE", 30.25, 120.16, "武林广场", "电杆"),
        phone.event("user_info_modified", {"OpenID": phone.openid}),
        phone.unfollow(),
    ]
    for delivery in deliveries:
        assert sandbox.wait(delivery).state == "acknowledged"
    by_name = {str(m.get("Event") or m["MsgType"]): m for m in receiver.messages()}
    assert set(by_name) == {
        *("subscribe", "SCAN", "text", "image", "voice", "video", "location", "link"),
        *("LOCATION", "CLICK", "VIEW", "view_miniprogram", "scancode_waitmsg", "pic_sysphoto"),
        *("location_select", "user_info_modified", "unsubscribe"),
    }
    assert by_name["subscribe"]["EventKey"] == "qrscene_door"
    assert by_name["SCAN"]["EventKey"] == "door"
    assert by_name["text"]["Content"] == "绑定"
    assert by_name["location"]["Location_X"] == "30.25"
    assert by_name["scancode_waitmsg"]["ScanCodeInfo"]["ScanResult"] == "NO-1"
    assert api.client.send("GET", by_name["image"]["PicUrl"]).status == 200
    assert not phone.following
    with pytest.raises(Exception, match="does not follow"):
        phone.say("还在吗")


def test_passive_reply_shows_on_the_phone(api: Api, receiver: Receiver) -> None:
    receiver.answer = lambda fields, number: (200, text_reply(fields, "请输入户号"), 0)
    phone = api.sandbox.add_phone(following=True)
    delivery = api.sandbox.wait(phone.say("绑定"))
    assert delivery.reply is not None
    assert [(item["kind"], item["text"]) for item in phone.inbox()] == [
        ("sent", "绑定"),
        ("reply", "请输入户号"),
    ]


def test_malformed_answer_shows_the_fault_notice_and_is_not_retried(
    api: Api, receiver: Receiver
) -> None:
    receiver.answer = lambda fields, number: (200, b'{"oops": 1}', 0)
    phone = api.sandbox.add_phone(following=True)
    assert api.sandbox.wait(phone.say("你好")).state == "malformed"
    assert phone.inbox()[-1]["text"] == SERVICE_FAULT
    assert len(receiver.requests) == 1


def test_failing_server_is_tried_four_times_in_all(api: Api, receiver: Receiver) -> None:
    receiver.answer = lambda fields, number: (500, b"", 0)
    phone = api.sandbox.add_phone(following=True)
    delivery = api.sandbox.wait(phone.say("你好"))
    assert (delivery.state, delivery.statuses) == ("given_up", [500] * 4)
    assert len({message["MsgId"] for message in receiver.messages()}) == 1
    assert [item["kind"] for item in phone.inbox()] == ["sent", "notice"]
    callbacks = api.sandbox.stats()["callbacks"]
    assert (callbacks["sent"], callbacks["retried"], callbacks["given_up"]) == (4, 3, 1)


def test_late_answer_is_dropped_and_the_retry_is_answered(api: Api, receiver: Receiver) -> None:
    api.sandbox.change(callback_timeout_s=0.5)
    receiver.answer = lambda fields, number: (
        200,
        text_reply(fields, f"第{number}次"),
        0.8 if number == 1 else 0,
    )
    phone = api.sandbox.add_phone(following=True)
    delivery = api.sandbox.wait(phone.say("你好"))
    assert delivery.statuses == [0, 200]
    assert phone.texts() == ["第2次"]


def test_broken_connection_is_retried(api: Api, receiver: Receiver) -> None:
    receiver.answer = lambda fields, number: (0 if number == 1 else 200, b"", 0)
    delivery = api.sandbox.wait(api.sandbox.add_phone(following=True).click("K"))
    assert delivery.state == "acknowledged"
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("form", ["xml", "json"])
@pytest.mark.parametrize("mode", ["compatible", "secure"])
def test_encrypted_modes_reach_the_server(mode: str, form: str) -> None:
    with running_receiver(form) as receiver, running_sandbox(mode=mode, format=form) as running:
        running.sandbox.change(callback_url=receiver.url)
        phone = running.sandbox.add_phone(following=True)
        assert running.sandbox.wait(phone.say("你好")).state == "acknowledged"
        (message,) = receiver.messages()
        assert message["Encrypt"]
        assert receiver.requests[0].query["encrypt_type"] == "aes"


def test_callback_faults_duplicate_delay_forge_and_lose(api: Api, receiver: Receiver) -> None:
    receiver.answer = lambda fields, number: (200, text_reply(fields, f"第{number}次"), 0)
    sandbox, phone = api.sandbox, api.sandbox.add_phone(following=True)
    sandbox.faults.add("duplicate_callback", "text", next_n=1)
    phone.say("一")
    assert sandbox.drain(10)
    assert len({message["MsgId"] for message in receiver.messages()}) == 1
    assert len(receiver.requests) == 2
    assert len(phone.texts()) == 1
    sandbox.faults.add("late_callback", next_n=1, seconds=0.2)
    started = time.monotonic()
    sandbox.wait(phone.say("二"))
    assert time.monotonic() - started >= 0.2
    sandbox.faults.add("bad_signature", next_n=1)
    sandbox.wait(phone.say("三"))
    sandbox.faults.add("lost_callback", next_n=1)
    assert phone.say("四").state == "lost"
    sandbox.faults.add("duplicate_receipt", next_n=1)
    api.send(phone.openid)
    assert sandbox.drain(10)
    assert [m.get("Event") for m in receiver.messages()][-2:] == ["TEMPLATESENDJOBFINISH"] * 2
    assert sandbox.faults.hits() == {
        "duplicate_callback": 2,
        "late_callback": 1,
        "bad_signature": 1,
        "lost_callback": 1,
    }


def test_two_thousand_receipts_are_all_delivered_by_a_bounded_pool(
    api: Api, receiver: Receiver
) -> None:
    openids = api.sandbox.add_phones(50)
    before = threading.active_count()
    for number in range(2000):
        api.send(openids[number % 50], client_msg_id=str(number))
    assert api.sandbox.drain(60)
    callbacks = api.sandbox.stats()["callbacks"]
    assert (callbacks["acknowledged"], callbacks["waiting"]) == (2000, 0)
    assert len({message["MsgID"] for message in receiver.messages()}) == 2000
    assert threading.active_count() <= before + 10
