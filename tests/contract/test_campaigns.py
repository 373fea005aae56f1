"""Campaigns on both databases: who is told what, once, and what happens meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gongdian.arrears import preparing
from gongdian.arrears.campaigns import CampaignState, Scope
from gongdian.arrears.preparing import prepare_batch
from gongdian.arrears.queries import lines_of, preview, watch
from gongdian.arrears.running import run_batch
from gongdian.arrears.service import StartCampaign, start_campaign
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError, PermissionDeniedError
from gongdian.outbox.model import MessageState
from tests.account_factories import a_customer, a_firm, a_person
from tests.campaign_scene import (
    COMING,
    CampaignScene,
    card_of,
    fields_of,
    numbers,
    together,
)
from tests.factories import accepted, claim, receipt, report, settle

FIRM, SECOND, THIRD = "9900001203457", "9900001203999", "9900001204001"
HOME = "9900000345812"
PARTY = "K100200300"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    return CampaignScene(database, clock)


# preparing


def test_every_customer_with_a_debt_has_one_line(scene: CampaignScene) -> None:
    homes = numbers(7)
    for number in homes:
        scene.household(number)
    scene.household("9900000000099", debt=None)
    campaign = scene.prepared(limit=2)
    assert [line.customer_no for line in scene.lines()] == list(homes)
    assert (campaign.state, campaign.planned, campaign.left_out) == (CampaignState.PREPARED, 7, 0)
    assert campaign.rules.startswith("arrears_stages v")


def test_a_card_says_what_the_reviewed_samples_say(scene: CampaignScene) -> None:
    scene.firm(FIRM, debt=18_645_237)
    scene.follower(FIRM)
    scene.household(HOME, debt=None)
    scene.bill(HOME, 8_640, due_on=COMING)
    scene.prepared()
    cards = {line.customer_no: (line.kind, fields_of(line)) for line in scene.lines()}
    assert cards[FIRM] == (
        "arrears_overdue",
        {
            "customer_name": "云溪恒源铸造有限公司",
            "customer_no": FIRM,
            "principal": "186452.37元",
            "overdue_days": "8",
            "tip": "违约金另计，有疑问请点此反馈",
        },
    )
    assert cards[HOME] == (
        "arrears_due_soon",
        {
            "customer_name": "张*",
            "customer_no": HOME,
            "amount_due": "86.40元",
            "due_at": "2026年11月25日 23:59",
            "tip": "如已交费请忽略本提醒",
        },
    )


def test_a_batch_that_is_broken_off_leaves_no_line_twice_and_nobody_out(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in numbers(9):
        scene.household(number)
    campaign, real, calls = scene.start(), preparing.update, [0]

    def unwilling(table: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise RuntimeError("the machine goes down after the lines were written")
        return real(table)

    monkeypatch.setattr(preparing, "update", unwilling)
    with pytest.raises(RuntimeError):
        scene.prepare(limit=4)
    assert scene.campaign().planned == len(scene.lines()) == 4
    monkeypatch.undo()
    scene.prepare(limit=4)
    scene.prepare(limit=4)
    assert [line.customer_no for line in scene.lines()] == list(numbers(9))
    assert scene.campaign().planned == 9
    assert campaign.code == "nov23"


def test_two_preparers_at_once_plan_everybody_once(scene: CampaignScene) -> None:
    for number in numbers(30):
        scene.household(number)
    campaign = scene.start()

    def prepare() -> None:
        while not scene.do(
            lambda s: prepare_batch(s, scene.outbox, campaign.id, 3, scene.now)
        ).is_done:
            pass

    together(prepare, prepare)
    assert [line.customer_no for line in scene.lines()] == list(numbers(30))
    assert scene.campaign().planned == 30


def test_who_is_left_out_stands_with_a_reason(scene: CampaignScene) -> None:
    homes = iter(numbers(20))
    expected = {}

    def home(reason: str, **changes: Any) -> str:
        number = next(homes)
        scene.household(number, **changes)
        expected[number] = reason
        return number

    for kind in ("hold", "dispute", "claimed_paid"):
        scene.hold(home(kind), kind)
    scene.pay(home("in_flight"), 8_640, state="in_flight", expected_on=COMING)
    home("below_minimum", debt=99)
    home("closed_customer", state="closed")
    home("unrenderable", debt=10_000_000_050)
    told = home("not_yet", debt=None)
    scene.bill(told, 8_640, due_on=COMING + timedelta(days=30))
    scene.told("announced", Scope(stages=(0,)))
    nobody = next(homes)
    scene.customers(a_customer(nobody))
    scene.bill(nobody, 8_640)
    expected[nobody] = "unreachable"
    scene.prepared()
    assert scene.reasons() == expected
    assert scene.campaign().left_out == len(expected)


def test_a_stale_feed_leaves_everybody_out(scene: CampaignScene) -> None:
    scene.household(HOME)
    scene.clock.move(timedelta(days=2))
    scene.prepared()
    assert scene.reasons() == {HOME: "stale_feed"}


def test_a_campaign_keeps_to_its_scope(scene: CampaignScene) -> None:
    one, two, three = numbers(3)
    scene.household(one, station="城东供电所")
    scene.household(two)
    scene.firm(three, station="城东供电所")
    scene.follower(three)
    east = Scope(stations=("城东供电所",))
    scene.prepared("east", scope=east)
    assert [line.customer_no for line in scene.lines("east")] == [one, three]
    scene.prepared("homes", scope=Scope(classes=("residential",)))
    assert [line.customer_no for line in scene.lines("homes")] == [one, two]
    scene.prepared("later", scope=Scope(stages=(3, 4)))
    assert scene.lines("later") == []


# one message per person


def test_several_supply_points_of_one_party_are_one_message(scene: CampaignScene) -> None:
    for number in (FIRM, SECOND, THIRD):
        scene.firm(number, debt=10_050, party_no=PARTY)
    boss = scene.follower(FIRM, SECOND, THIRD)
    scene.told()
    (message,) = scene.messages()
    assert message.key == f"arrears:{PARTY}:day#20261123:{boss}"
    card = card_of(message)
    assert (card["户名"], card["户号"]) == ("云溪恒源铸造有限公司等3户", FIRM)
    assert (card["欠费本金"], card["提示"]) == ("301.50元", "共3户合计，违约金另计")
    assert len(scene.steps()) == 3


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_a_party_is_planned_whole_however_small_the_batch(scene: CampaignScene, limit: int) -> None:
    scene.household("9900000000001", party_no="K000000001")
    for number in (FIRM, SECOND, THIRD):
        scene.firm(number, debt=10_050, party_no=PARTY)
    scene.follower(FIRM, SECOND, THIRD)
    scene.household("9900000000002", party_no="K999999999")
    scene.prepared(limit=limit)
    scene.approve()
    scene.run(limit=limit)
    parties = [message.subject for message in scene.messages()]
    assert parties == ["K000000001", PARTY, "K999999999"]
    assert card_of(scene.messages()[1])["欠费本金"] == "301.50元"


def test_one_phone_on_file_for_three_supply_points_hears_once(scene: CampaignScene) -> None:
    for number in (FIRM, SECOND, THIRD):
        scene.customers(a_firm(number, party_no=PARTY), a_person(number, phone="13900007777"))
        scene.bill(number, 10_050)
    scene.told()
    (message,) = scene.messages()
    assert "共3户合计" in message.content["text"]


def test_a_phone_that_is_also_somebodys_second_channel_hears_once(scene: CampaignScene) -> None:
    for number in (FIRM, SECOND):
        scene.customers(a_firm(number, party_no=PARTY), a_person(number, phone="13900007777"))
        scene.bill(number, 10_050)
    follower = scene.follower(FIRM)
    line = f"UPDATE customer_contacts SET contact_id = {follower[1:]} WHERE customer_no = '{FIRM}'"
    scene.do(lambda s: s.exec_driver_sql(line))
    scene.told()
    assert [message.recipient for message in scene.messages()] == [follower]


def test_who_is_a_contact_of_one_supply_point_hears_of_that_one_only(scene: CampaignScene) -> None:
    scene.firm(FIRM, debt=10_000, party_no=PARTY)
    scene.firm(SECOND, debt=20_000, party_no=PARTY)
    boss, clerk = scene.follower(FIRM, SECOND), scene.follower(SECOND)
    scene.told()
    told = {message.recipient: card_of(message)["欠费本金"] for message in scene.messages()}
    assert told == {boss: "300.00元", clerk: "200.00元"}
    assert len(scene.steps()) == 2


def test_contacts_of_a_higher_level_hear_from_a_later_stage(scene: CampaignScene) -> None:
    scene.firm(FIRM)
    first, second = scene.follower(FIRM, level=1), scene.follower(FIRM, level=2)
    scene.told()
    assert [message.recipient for message in scene.messages()] == [first]
    scene.clock.move(timedelta(days=3))
    scene.fresh()
    scene.told("nov26")
    later = [message.recipient for message in scene.messages() if "20261126" in message.key]
    assert sorted(later) == sorted([first, second])
    assert [stage for _, stage in scene.steps()] == [2, 3]


def test_what_is_not_due_is_not_added_to_what_is_overdue(scene: CampaignScene) -> None:
    scene.firm(FIRM, debt=10_000, party_no=PARTY)
    scene.firm(SECOND, debt=None, party_no=PARTY)
    scene.bill(SECOND, 20_000, due_on=COMING)
    scene.follower(FIRM, SECOND)
    scene.told()
    (message,) = scene.messages()
    assert card_of(message)["欠费本金"] == "100.00元"
    assert scene.reasons() == {SECOND: "next_window"}
    scene.clock.move(timedelta(days=1))
    scene.fresh()
    scene.told("nov24")
    assert card_of(scene.messages()[-1])["应缴"] == "200.00元"


# approval


def test_a_large_campaign_needs_a_second_person(scene: CampaignScene) -> None:
    for number in numbers(3):
        scene.household(number)
    scene.prepared()
    for same in ("chen", " Chen "):
        with pytest.raises(PermissionDeniedError) as refused:
            scene.approve(by=same, above=2)
        assert refused.value.code == "second_person_needed"
    assert scene.campaign().state is CampaignState.PREPARED
    assert scene.approve(by="li", above=2).approved_by == "li"
    assert scene.approve(by="li", above=2).state is CampaignState.APPROVED
    with pytest.raises(ConflictError):
        scene.approve(by="wang", above=2)


def test_the_maker_may_approve_a_small_campaign(scene: CampaignScene) -> None:
    scene.household(HOME)
    scene.prepared()
    assert scene.approve(by="chen", above=1).approved_by == "chen"


def test_nothing_runs_before_the_approval(scene: CampaignScene) -> None:
    scene.household(HOME)
    campaign = scene.start()
    with pytest.raises(ConflictError):
        scene.approve()
    scene.prepare()
    with pytest.raises(ConflictError):
        scene.do(lambda s: run_batch(s, scene.outbox, campaign.id, 10, scene.now))
    assert scene.messages() == []


def test_a_code_names_one_campaign_for_ever(scene: CampaignScene) -> None:
    first = scene.start("nov23")
    assert scene.start("nov23").id == first.id
    with pytest.raises(ConflictError):
        scene.start("nov23", by="wang")
    assert [intent.kind for intent in scene.intents()] == ["workflow_start"]
    for bad in (
        StartCampaign("x", "chen"),
        StartCampaign("a b c", "chen"),
        StartCampaign("abc", ""),
    ):
        with pytest.raises(InputError):
            scene.do(lambda s: start_campaign(s, bad, scene.now))  # noqa: B023


# what staff see


def test_a_preview_counts_cards_and_shows_each_as_it_will_be_read(scene: CampaignScene) -> None:
    one, two, three = numbers(3)
    scene.household(one, station="城东供电所")
    scene.household(two)
    scene.firm(FIRM)
    scene.follower(FIRM)
    scene.customers(a_customer(three))
    scene.bill(three, 8_640)
    scene.prepared()
    with scene.database.read() as session:
        found = preview(session, "nov23")
        lines = lines_of(session, scene.outbox, "nov23")
        rest = lines_of(session, scene.outbox, "nov23", after=lines[0].id, limit=1)
    assert found.by_stage() == {(2, "arrears_overdue"): 3}
    assert found.by_station() == {"城东供电所": 1, "城关供电所": 2}
    assert found.left_out == {"unreachable": 1}
    cards = {line.customer_no: (line.channel_labels, line.card) for line in lines}
    assert cards[one][0] == "短信"
    assert f"户号{one}的电费本金86.40元已逾期8天" in cards[one][1]
    assert cards[FIRM][0] == "微信"
    assert "欠费本金  9000.00元" in cards[FIRM][1]
    assert [line.customer_no for line in rest] == [lines[1].customer_no]


def test_novu_1247_accepted_is_not_delivered_and_a_later_bounce_shows(scene: CampaignScene) -> None:
    """novu #1247: the provider reported a bounce later, the product still said success."""
    scene.firm(FIRM)
    scene.follower(FIRM)
    scene.told()
    (message,) = claim(scene.database, scene.now)
    settle(scene.database, scene.now, (message, accepted()))
    with scene.database.read() as session:
        assert watch(session, "nov23").messages == {MessageState.ACCEPTED: 1}
    scene.look()
    assert [line.state for line in scene.lines()] == ["queued"]
    failed = receipt("1001", scene.now, "failed: system failed", person=message.address)
    report(scene.database, failed)
    scene.look()
    with scene.database.read() as session:
        seen = watch(session, "nov23")
    assert seen.messages == {MessageState.FAILED: 1}
    assert scene.items() == [("unreachable", FIRM)]
    assert [(line.state, line.reason) for line in scene.lines()] == [("closed", "unreachable")]
