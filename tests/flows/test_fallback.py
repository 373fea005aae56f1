"""When WeChat refuses or stays silent: the next channel follows by rule, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.phone import Phone
from gongdian.accounts.channels import fallback_steps, set_channel
from gongdian.accounts.queries import contact_id_of
from gongdian.accounts.service import meet_contact
from gongdian.channels import BounceOfMail
from gongdian.db import Session
from gongdian.outbox.model import FallbackStep, MessageState, Priority, QueueMessage
from gongdian.outbox.queries import Timeline, message_timeline
from gongdian.outbox.queueing import queue_message
from server.channel_receipts import apply_bounces
from server.message_commands import timeline_text

SEND = "/cgi-bin/message/template/send"
FAULT = {
    "feeder": "10kV城东Ⅱ线512",
    "stage": "故障巡查",
    "outage_at": "2026年11月23日 09:32",
    "restore": "到场查明后尽快告知",
    "phone": "95598",
}


def a_customer(stage: Stage, *channels: str) -> Phone:
    """A following phone whose contact also has a number and a mail address, as asked for."""
    addresses = {"sms": "13800001111", "mail": "li@example.com"}
    phone = stage.sandbox.add_phone(
        name="李女士",
        following=True,
        phone_number=addresses["sms"],
        mail_address=addresses["mail"],
    )

    def work(session: Session) -> None:
        now = stage.clock.now()
        contact = meet_contact(session, stage.house.account, phone.openid, now)
        for position, channel in enumerate(channels):
            step = FallbackStep(channel, addresses[channel])
            set_channel(session, contact.id, step, position, now)

    stage.house.database.run(work)
    return phone


def tell(stage: Stage, phone: Phone, priority: Priority = Priority.HIGH) -> str:
    """Queue an outage message with the contact's own fallback steps; returns its key."""

    def work(session: Session) -> str:
        now = stage.clock.now()
        contact = meet_contact(session, stage.house.account, phone.openid, now)
        command = QueueMessage(
            flow="outage",
            subject="o1",
            occasion="fault#1",
            recipient=contact.number,
            openid=phone.openid,
            kind="outage_fault",
            values=FAULT,
            link_path="/h5/outage",
            priority=priority,
            fallbacks=fallback_steps(session, contact.id),
        )
        return queue_message(session, stage.house.outbox, command, now).key

    return stage.house.database.run(work)


def timeline(stage: Stage, key: str) -> Timeline:
    with stage.house.database.read() as session:
        return message_timeline(session, key)


def wait_for_state(stage: Stage, key: str, state: MessageState) -> Timeline:
    stage.wait_for(lambda: timeline(stage, key).state is state, f"{key} {state.value}")
    return timeline(stage, key)


def shown(phone: Phone, kind: str) -> list[str]:
    return [item["text"] for item in phone.inbox() if item["kind"] == kind]


@pytest.mark.parametrize("errcode", [43004, 43101, 40003, 43019])
def test_a_text_message_follows_a_refusal_once(
    start_stage: Callable[..., Stage], errcode: int
) -> None:
    stage = start_stage()
    phone = a_customer(stage, "sms")
    stage.sandbox.faults.add("errcode", SEND, next_n=1, errcode=errcode)

    key = tell(stage, phone)
    told = wait_for_state(stage, key, MessageState.DELIVERED)

    assert phone.cards() == []
    assert len(shown(phone, "sms")) == 1
    assert [entry.what for entry in told.entries].count("fallback") == 1
    assert [entry.errcode for entry in told.entries if entry.errcode] == [errcode]


def test_urgent_news_does_not_wait_for_the_next_days_quota(
    start_stage: Callable[..., Stage],
) -> None:
    stage = start_stage()
    phone = a_customer(stage, "sms")
    stage.sandbox.faults.add("errcode", SEND, errcode=45009, percent=100)

    key = tell(stage, phone, Priority.CRITICAL)
    stage.wait_for(lambda: stage.sandbox.faults.hits(), "the refusal")
    assert shown(phone, "sms") == []
    stage.move_clock(timedelta(minutes=3))

    wait_for_state(stage, key, MessageState.DELIVERED)
    assert len(shown(phone, "sms")) == 1


def test_a_receipt_that_says_blocked_leads_to_a_text_message(
    start_stage: Callable[..., Stage],
) -> None:
    stage = start_stage()
    phone = a_customer(stage, "sms")
    phone.receipts_say("failed:user block")

    wait_for_state(stage, tell(stage, phone), MessageState.DELIVERED)

    assert len(shown(phone, "sms")) == 1


def test_silence_leads_to_a_text_message_and_a_late_receipt_stops_nothing_sent(
    start_stage: Callable[..., Stage],
) -> None:
    stage = start_stage(sandbox_settings={"receipts": False})
    phone = a_customer(stage, "sms")

    key = tell(stage, phone)
    wait_for_state(stage, key, MessageState.ACCEPTED)
    stage.move_clock(timedelta(minutes=31))

    wait_for_state(stage, key, MessageState.DELIVERED)
    assert (len(phone.cards()), len(shown(phone, "sms"))) == (1, 1)


def test_the_order_is_the_contacts_own(start_stage: Callable[..., Stage]) -> None:
    stage = start_stage()
    phone = a_customer(stage, "mail", "sms")
    stage.sandbox.faults.add("errcode", SEND, percent=100, errcode=43004)

    key = tell(stage, phone)
    wait_for_state(stage, key, MessageState.ACCEPTED)

    assert len(shown(phone, "mail")) == 1
    assert shown(phone, "sms") == []


def test_a_refused_mail_is_final_and_the_text_message_follows(
    start_stage: Callable[..., Stage],
) -> None:
    stage = start_stage()
    phone = a_customer(stage, "mail", "sms")
    stage.sandbox.faults.add("errcode", SEND, percent=100, errcode=43004)
    stage.sandbox.faults.add("smtp_reply", "RCPT", next_n=1, status=550, errmsg="5.1.1 unknown")

    key = tell(stage, phone)
    told = wait_for_state(stage, key, MessageState.DELIVERED)

    assert shown(phone, "mail") == []
    assert len(shown(phone, "sms")) == 1
    assert [entry.what for entry in told.entries].count("fallback") == 2


def test_a_mail_that_is_put_off_is_tried_again(start_stage: Callable[..., Stage]) -> None:
    stage = start_stage()
    phone = a_customer(stage, "mail")
    stage.sandbox.faults.add("errcode", SEND, percent=100, errcode=43004)
    stage.sandbox.faults.add("smtp_reply", "RCPT", next_n=1, status=450, errmsg="4.2.1 later")

    key = tell(stage, phone)
    stage.wait_for(
        lambda: "attempt_refused" in [entry.what for entry in timeline(stage, key).entries][3:],
        "the put-off mail",
    )
    stage.move_clock(timedelta(minutes=1))

    wait_for_state(stage, key, MessageState.ACCEPTED)
    assert len(shown(phone, "mail")) == 1


def test_the_short_link_leads_to_the_messages_page(start_stage: Callable[..., Stage]) -> None:
    stage = start_stage()
    phone = a_customer(stage, "sms")
    stage.sandbox.faults.add("errcode", SEND, next_n=1, errcode=43004)

    wait_for_state(stage, tell(stage, phone), MessageState.DELIVERED)
    reference = shown(phone, "sms")[0].rpartition("/s/")[2]
    page = phone.open(f"{stage.web_url}/s/{reference}")

    assert any("/h5/outage?m=" in hop for hop in (*page.hops, page.url))
    assert phone.open(f"{stage.web_url}/s/nothing").status == 404


def test_staff_see_which_channel_did_what_and_what_it_cost(
    start_stage: Callable[..., Stage],
) -> None:
    stage = start_stage()
    phone = a_customer(stage, "sms")
    stage.sandbox.faults.add("errcode", SEND, next_n=1, errcode=43004)
    key = tell(stage, phone)
    told = wait_for_state(stage, key, MessageState.DELIVERED)

    text = timeline_text(told, stage.house)

    assert "平台拒绝  微信  errcode=43004" in text
    assert "改用备用渠道  微信→短信 wechat_43004" in text
    assert " 10分  MsgID" in text


def test_a_channel_that_this_installation_does_not_have_is_left_out(
    start_stage: Callable[..., Stage],
) -> None:
    stage = start_stage()
    phone = a_customer(stage, "mail", "sms")
    without = replace(stage.house.outbox, composers={})

    key = tell(replace(stage, house=replace(stage.house, outbox=without)), phone)

    wait_for_state(stage, key, MessageState.DELIVERED)
    assert len(phone.cards()) == 1


def test_a_mailbox_that_does_not_exist_is_nobodys_further_channel(
    start_stage: Callable[..., Stage],
) -> None:
    stage = start_stage()
    phone = a_customer(stage, "mail", "sms")
    stage.sandbox.faults.add("errcode", SEND, percent=100, errcode=43004)
    key = tell(stage, phone)
    wait_for_state(stage, key, MessageState.ACCEPTED)
    mail = next(item for item in phone.inbox() if item["kind"] == "mail")
    ours = mail["extra"]["message_id"]
    bounce = BounceOfMail(ours, "li@example.com", "5.1.1", is_permanent=True)

    assert apply_bounces(stage.house, [bounce]) == 1

    wait_for_state(stage, key, MessageState.DELIVERED)
    assert len(shown(phone, "sms")) == 1
    with stage.house.database.read() as session:
        contact = contact_id_of(session, stage.house.account, phone.openid)
        assert contact is not None
        assert [step.channel for step in fallback_steps(session, contact)] == ["sms"]
