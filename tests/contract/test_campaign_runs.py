"""Running a campaign on both databases: facts that change meanwhile; twice, and at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gongdian.arrears import card_queue, running
from gongdian.arrears.campaigns import CampaignState
from gongdian.arrears.running import run_batch
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import InputError
from tests.account_factories import a_customer
from tests.campaign_scene import (
    COMING,
    CampaignScene,
    card_of,
    fields_of,
    numbers,
    together,
)

FIRM, SECOND, THIRD = "9900001203457", "9900001203999", "9900001204001"
HOME = "9900000345812"
PARTY = "K100200300"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    return CampaignScene(database, clock)


# facts change between preparing, queueing and sending


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("settled", lambda s: s.pay(HOME, 8_640)),
        ("in_flight", lambda s: s.pay(HOME, 8_640, state="in_flight", expected_on=COMING)),
        ("hold", lambda s: s.hold(HOME, "hold")),
        ("dispute", lambda s: s.hold(HOME, "dispute")),
        ("transfer", lambda s: s.customers(a_customer(HOME, party_no="P999999", name="李四"))),
        ("closed_customer", lambda s: s.customers(a_customer(HOME, state="closed"))),
        pytest.param(
            "settled", lambda s: s.bill(HOME, 0, version=2, kind="reversal"), id="reversed"
        ),
        ("below_minimum", lambda s: s.pay(HOME, 8_600)),
        ("stale_feed", lambda s: s.clock.move(timedelta(days=2))),
    ],
)
def test_what_has_changed_since_the_preparation_is_dropped_with_its_reason(
    scene: CampaignScene, reason: str, change: Callable[[CampaignScene], Any]
) -> None:
    scene.household(HOME)
    scene.prepared()
    scene.approve()
    change(scene)
    scene.run()
    assert (scene.messages(), scene.reasons(), scene.steps()) == ([], {HOME: reason}, [])
    assert (scene.campaign().queued, scene.campaign().dropped) == (0, 1)


def test_a_partial_payment_changes_the_card_before_it_is_queued(scene: CampaignScene) -> None:
    scene.firm(FIRM, debt=10_000)
    scene.follower(FIRM)
    scene.prepared()
    scene.approve()
    scene.pay(FIRM, 2_500)
    scene.run()
    (message,) = scene.messages()
    assert card_of(message)["欠费本金"] == "75.00元"
    assert fields_of(scene.lines()[0])["principal"] == "75.00元"


def test_one_of_several_supply_points_is_paid_meanwhile(scene: CampaignScene) -> None:
    for number in (FIRM, SECOND):
        scene.firm(number, debt=10_000, party_no=PARTY)
    scene.follower(FIRM, SECOND)
    scene.prepared()
    scene.approve()
    scene.pay(FIRM, 10_000)
    scene.run()
    (message,) = scene.messages()
    card = card_of(message)
    assert (card["户名"], card["户号"], card["欠费本金"]) == (
        "云溪恒源铸造有限公司",
        SECOND,
        "100.00元",
    )
    assert len(scene.steps()) == 1


def test_a_payment_after_queueing_withdraws_the_message_at_once(scene: CampaignScene) -> None:
    scene.household(HOME)
    scene.told()
    scene.pay(HOME, 8_640)
    (message,) = scene.messages()
    assert (message.state, message.reason) == ("withdrawn", "settled")
    scene.look()
    assert [(line.state, line.reason) for line in scene.lines()] == [("closed", "withdrawn")]
    assert scene.items() == []


def test_a_stage_that_was_not_approved_is_not_sent(scene: CampaignScene) -> None:
    scene.household(HOME, debt=None)
    scene.bill(HOME, 8_640, due_on=COMING)
    scene.prepared()
    scene.approve()
    scene.clock.move(timedelta(days=4))
    scene.fresh()
    scene.run()
    assert (scene.messages(), scene.reasons()) == ([], {HOME: "stage_changed"})


def test_a_contact_who_left_meanwhile_is_dropped(scene: CampaignScene) -> None:
    scene.firm(FIRM)
    scene.follower(FIRM)
    scene.prepared()
    scene.approve()
    scene.do(lambda s: s.exec_driver_sql("UPDATE contacts SET state = 'left', openid = NULL"))
    scene.run()
    assert (scene.messages(), scene.reasons()) == ([], {FIRM: "unreachable"})


# twice, and at once


def test_openpanel_452_a_run_that_breaks_off_tells_nobody_twice(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """openpanel #452: the mark was written after all sends; here it is written with each."""
    for number in numbers(10):
        scene.household(number)
    campaign = scene.prepared()
    scene.approve()
    scene.do(lambda s: run_batch(s, scene.outbox, campaign.id, 4, scene.now))
    monkeypatch.setattr("gongdian.arrears.running._save", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scene.run(limit=4)
    assert len(scene.messages()) == 4
    monkeypatch.undo()
    scene.run(limit=4)
    scene.run(limit=4)
    assert [message.subject for message in scene.messages()] == [
        line.party_no for line in scene.lines()
    ]
    assert len(scene.messages()) == len(scene.steps()) == 10


def test_two_runners_at_once_send_nothing_twice(scene: CampaignScene) -> None:
    for number in numbers(30):
        scene.household(number)
    campaign = scene.prepared()
    scene.approve()

    def run() -> None:
        while not scene.do(lambda s: run_batch(s, scene.outbox, campaign.id, 4, scene.now)).is_done:
            pass

    together(run, run)
    assert len(scene.messages()) == len(scene.steps()) == 30
    done = scene.campaign()
    assert (done.state, done.queued, done.dropped) == (CampaignState.SENT, 30, 0)


def test_novu_2569_two_campaigns_of_one_instant_send_one_message(scene: CampaignScene) -> None:
    """novu #2569: several events in one second gave two mails; a unique key forbids it here."""
    for number in numbers(20):
        scene.household(number)
    codes = ("one", "two")
    for code in codes:
        scene.prepared(code)
        scene.approve(code)
    together(*(lambda code=code: scene.run(code, limit=4) for code in codes))
    assert len(scene.messages()) == len(scene.steps()) == 20
    dropped = [line.reason for code in codes for line in scene.lines(code, "dropped")]
    assert len(dropped) == 20
    assert set(dropped) <= {"gap", "told_today", "already_taken"}


def test_novu_12373_every_step_delivered_twice_loses_nobody(scene: CampaignScene) -> None:
    """novu #12373: a job that ran again merged with itself, and its batch was never sent."""
    for number in numbers(6):
        scene.household(number)
    for _ in range(2):
        scene.start()
    for _ in range(2):
        scene.prepare(limit=2)
    for _ in range(2):
        scene.approve()
    for _ in range(2):
        scene.run(limit=2)
    assert len(scene.messages("queued")) == len(scene.steps()) == 6
    assert [line.state for line in scene.lines()] == ["queued"] * 6


def test_bytedeck_2510_one_card_that_cannot_be_queued_stops_nobody_else(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bytedeck #2510: one refusal aborted the whole batch."""
    homes = numbers(5)
    for number in homes:
        scene.household(number)
    real_many, real_one = card_queue.queue_messages, card_queue.queue_message

    def refuse(command: Any) -> None:
        if command.values["customer_no"] == homes[2]:
            raise InputError("no_address")

    def many(session: Any, outbox: Any, commands: Any, now: Any) -> Any:
        for command in commands:
            refuse(command)
        return real_many(session, outbox, commands, now)

    def one(session: Any, outbox: Any, command: Any, now: Any) -> Any:
        refuse(command)
        return real_one(session, outbox, command, now)

    monkeypatch.setattr(card_queue, "queue_messages", many)
    monkeypatch.setattr(card_queue, "queue_message", one)
    scene.told()
    assert scene.reasons() == {homes[2]: "no_address"}
    assert len(scene.messages()) == len(scene.steps()) == 4


def test_of_one_party_the_cards_that_can_go_do(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.firm(FIRM, debt=10_000, party_no=PARTY)
    scene.firm(SECOND, debt=20_000, party_no=PARTY)
    boss, clerk = scene.follower(FIRM, SECOND), scene.follower(SECOND)
    real = card_queue.queue_message

    def one(session: Any, outbox: Any, command: Any, now: Any) -> Any:
        if command.recipient == boss:
            raise InputError("no_address")
        return real(session, outbox, command, now)

    def many(*_: Any) -> Any:
        raise InputError("no_address")

    monkeypatch.setattr(card_queue, "queue_messages", many)
    monkeypatch.setattr(card_queue, "queue_message", one)
    scene.told()
    assert [message.recipient for message in scene.messages()] == [clerk]
    # Nobody heard of the first 户号: its stage is still to come.
    assert len(scene.steps()) == 1
    assert [line.reason for line in scene.lines("nov23", "dropped")] == ["no_address"]


def test_a_payment_that_comes_while_a_batch_is_queued_waits_and_withdraws(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.household(HOME)
    scene.prepared()
    scene.approve()
    rechecked, go_on = threading.Event(), threading.Event()
    real = running.queue_cards

    def slowly(*arguments: Any) -> None:
        rechecked.set()
        assert go_on.wait(20)
        real(*arguments)

    monkeypatch.setattr(running, "queue_cards", slowly)
    runner = threading.Thread(target=scene.run)
    payer = threading.Thread(target=lambda: scene.pay(HOME, 8_640))
    runner.start()
    assert rechecked.wait(20)
    payer.start()
    payer.join(0.5)
    assert payer.is_alive()
    go_on.set()
    runner.join()
    payer.join()
    assert [(message.state, message.reason) for message in scene.messages()] == [
        ("withdrawn", "settled")
    ]
