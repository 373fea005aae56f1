"""Receipts of text messages and mails, from the provider's words to the state of the message."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from devtools.demo.stage import Stage
from gongdian.channels import BounceOfMail
from gongdian.outbox.model import FallbackStep, MessageState, QueueMessage
from gongdian.outbox.queries import message_timeline
from gongdian.outbox.queueing import queue_message
from server.channel_receipts import apply_bounces

StartStage = Callable[..., Stage]
NUMBER, ADDRESS = "13800001111", "Li.Na@Example.COM"


def _queue(stage: Stage, *steps: FallbackStep) -> str:
    house = stage.house
    values = house.outbox.registry.kind("outage_fault").samples()
    command = QueueMessage(
        *("outage", "o1", "fault#1", "c1", "", "outage_fault", values),
        link_path="/h5/outage",
        fallbacks=steps,
    )
    now = stage.clock.now()
    return house.database.run(lambda s: queue_message(s, house.outbox, command, now).key)


def _state(stage: Stage, key: str) -> MessageState:
    with stage.house.database.read() as session:
        return message_timeline(session, key).state


def _bounce(message_id: str, recipient: str = "li.na@example.com") -> list[BounceOfMail]:
    return [BounceOfMail(message_id, recipient, "5.1.1", is_permanent=True)]


def _sent_mail(stage: Stage) -> tuple[str, str]:
    """The key of a mail that the mail server took, and its Message-ID."""
    phone = stage.sandbox.add_phone(mail_address=ADDRESS)
    key = _queue(stage, FallbackStep("mail", ADDRESS))
    stage.wait_for(lambda: _state(stage, key) is MessageState.ACCEPTED, "the mail")
    (mail,) = phone.mails()
    return key, mail["extra"]["message_id"]


@pytest.mark.parametrize("recipient", ["li.na@example.com", ADDRESS, "forwarded@elsewhere.example"])
def test_a_returned_mail_finds_its_message_however_the_address_is_written(
    start_stage: StartStage, recipient: str
) -> None:
    stage = start_stage()
    key, message_id = _sent_mail(stage)
    for _ in range(2):
        assert apply_bounces(stage.house, _bounce(message_id, recipient)) == 1
    assert _state(stage, key) is MessageState.FAILED


def test_a_message_id_that_was_worked_out_from_the_key_returns_nothing(
    start_stage: StartStage,
) -> None:
    stage = start_stage()
    key, message_id = _sent_mail(stage)
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    forged = f"<gd.{digest}@{message_id.rpartition('@')[2]}"
    apply_bounces(stage.house, _bounce(forged, ADDRESS))
    assert _state(stage, key) is MessageState.ACCEPTED


def test_a_text_message_whose_answer_was_lost_gets_its_report_by_our_own_id(
    start_stage: StartStage,
) -> None:
    stage = start_stage()
    phone = stage.sandbox.add_phone(phone_number=NUMBER)
    stage.sandbox.faults.add("reset", "/sms/", next_n=1, acts=True)
    key = _queue(stage, FallbackStep("sms", NUMBER))
    stage.wait_for(lambda: _state(stage, key) is MessageState.DELIVERED, "the report")
    assert len(phone.text_messages()) == 1
