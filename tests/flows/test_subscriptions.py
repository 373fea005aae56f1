"""Subscriptions from the phone to the credits: popup, settings, results, in every form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from devtools.demo.stage import Stage
from gongdian.accounts.model import SubscriptionCredit
from gongdian.accounts.queries import contact_id_of
from gongdian.accounts.subscriptions import NONE, credits_of
from gongdian.accounts.tables import contacts
from gongdian.db import Session
from gongdian.wechat_ports import SubscriptionSend
from tests.flows.wechat_sandbox.receiver import running_receiver

StartStage = Callable[..., Stage]
FORMS = [("xml", "secure"), ("json", "secure"), ("xml", "plain"), ("json", "compatible")]


def _credit(stage: Stage, openid: str, template_id: str) -> SubscriptionCredit:
    def read(session: Session) -> SubscriptionCredit:
        contact_id = contact_id_of(session, stage.house.account, openid)
        return NONE if contact_id is None else credits_of(session, contact_id, template_id)

    with stage.house.database.read() as session:
        return read(session)


def _stage(start_stage: StartStage, form: str, mode: str, **settings: str) -> Stage:
    told = {"format": form, "mode": mode, "receipt_delay_s": 0.05}
    stage = start_stage(sandbox_settings=told, **settings)
    for template_id in ("T1", "T2", "T3"):
        stage.sandbox.register_template(template_id, "停电通知", {"thing1": "地址"})
    return stage


@pytest.mark.parametrize(("form", "mode"), FORMS)
def test_yes_and_no_in_popups_of_one_and_of_several_templates_are_kept(
    start_stage: StartStage, form: str, mode: str
) -> None:
    stage = _stage(start_stage, form, mode)
    phone = stage.sandbox.add_phone()
    stage.sandbox.wait(phone.answer_popup({"T1": "accept"}))
    stage.sandbox.wait(phone.answer_popup({"T1": "accept", "T2": "accept", "T3": "reject"}))

    stage.wait_for(lambda: _credit(stage, phone.openid, "T1").credits == 2, "two yes")
    assert _credit(stage, phone.openid, "T2").credits == 1
    refused = _credit(stage, phone.openid, "T3")
    assert refused.refused_at is not None
    assert not refused.may_send


@pytest.mark.parametrize(("form", "mode"), FORMS)
def test_a_delivered_notification_uses_a_credit_and_the_settings_end_them(
    start_stage: StartStage, form: str, mode: str
) -> None:
    stage = _stage(start_stage, form, mode)
    phone = stage.sandbox.add_phone(following=True)
    stage.sandbox.wait(phone.answer_popup({"T1": "accept", "T2": "accept"}))
    stage.wait_for(lambda: _credit(stage, phone.openid, "T1").credits == 1, "the yes")

    message = SubscriptionSend(phone.openid, "T1", {"thing1": "云溪路12号"})
    stage.house.desk.subscriptions.send(message)
    stage.wait_for(lambda: _credit(stage, phone.openid, "T1").credits == 0, "the delivery")

    stage.sandbox.wait(phone.refuse_in_settings(["T1", "T2"]))
    stage.wait_for(lambda: _credit(stage, phone.openid, "T2").credits == 0, "the refusal")


def test_a_failed_delivery_uses_no_credit(start_stage: StartStage) -> None:
    stage = _stage(start_stage, "xml", "secure")
    phone = stage.sandbox.add_phone()
    stage.sandbox.wait(phone.answer_popup({"T1": "accept"}))
    phone.receipts_say("failed: system failed")
    stage.wait_for(lambda: _credit(stage, phone.openid, "T1").credits == 1, "the yes")

    stage.house.desk.subscriptions.send(SubscriptionSend(phone.openid, "T1", {"thing1": "路"}))

    assert stage.sandbox.drain(10)
    assert _credit(stage, phone.openid, "T1").credits == 1


def test_a_popup_that_is_told_twice_counts_once(start_stage: StartStage) -> None:
    stage = _stage(start_stage, "json", "secure")
    stage.sandbox.faults.add("duplicate_callback", "subscribe_msg_popup_event", next_n=1)
    phone = stage.sandbox.add_phone()
    stage.sandbox.wait(phone.answer_popup({"T1": "accept"}))
    assert stage.sandbox.drain(10)

    stage.wait_for(lambda: _credit(stage, phone.openid, "T1").credits, "the yes")
    stage.sandbox.wait(phone.answer_popup({"T2": "accept"}))
    stage.wait_for(lambda: _credit(stage, phone.openid, "T2").credits, "the next one")
    assert _credit(stage, phone.openid, "T1").credits == 1


def test_a_long_term_template_needs_one_yes(start_stage: StartStage) -> None:
    stage = _stage(start_stage, "xml", "secure", long_term_templates="T9, T1")
    phone = stage.sandbox.add_phone()
    stage.sandbox.wait(phone.answer_popup({"T1": "accept"}))

    stage.wait_for(lambda: _credit(stage, phone.openid, "T1").is_long_term, "the yes")
    assert _credit(stage, phone.openid, "T1").may_send


def test_a_result_or_refusal_of_a_stranger_makes_no_contact(start_stage: StartStage) -> None:
    stage = _stage(start_stage, "xml", "secure")
    stranger = stage.sandbox.add_phone()
    stage.sandbox.wait(stranger.refuse_in_settings(["T1"]))
    known = stage.sandbox.add_phone()
    stage.sandbox.wait(known.answer_popup({"T1": "accept"}))

    stage.wait_for(lambda: _credit(stage, known.openid, "T1").credits, "the later event")
    with stage.house.database.read() as session:
        assert session.execute(select(func.count()).select_from(contacts)).scalar() == 1


def test_one_entry_comes_as_an_object_and_several_as_a_list_in_json(
    start_stage: StartStage,
) -> None:
    stage = _stage(start_stage, "json", "plain")
    phone = stage.sandbox.add_phone()
    with running_receiver("json") as receiver:
        stage.sandbox.change(callback_url=receiver.url)
        stage.sandbox.wait(phone.answer_popup({"T1": "accept"}))
        stage.sandbox.wait(phone.refuse_in_settings(["T1", "T2"]))
        one, several = receiver.messages()

    assert one["List"]["TemplateId"] == "T1"
    assert [entry["TemplateId"] for entry in several["List"]] == ["T1", "T2"]
    assert "SubscribeMsgPopupEvent" not in one
