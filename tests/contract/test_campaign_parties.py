"""One person, one day, one card; and nobody misses a stage that another's card takes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gongdian.arrears.campaigns import Scope
from gongdian.clock import MovableClock
from gongdian.db import Database
from tests.account_factories import a_customer, a_person
from tests.campaign_scene import COMING, CampaignScene

FIRM, SECOND, THIRD = "9900001203457", "9900001203999", "9900001204001"
PARTY = "K100200300"
ONE, OTHER = "城关供电所", "云岭供电所"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    return CampaignScene(database, clock)


def days_later(scene: CampaignScene, days: int) -> None:
    scene.clock.move(timedelta(days=days))
    scene.fresh()


def test_campaigns_of_two_days_that_run_on_one_tell_a_person_once(scene: CampaignScene) -> None:
    scene.firm(FIRM, party_no=PARTY, station=ONE)
    scene.firm(SECOND, party_no=PARTY, station=OTHER, debt=50_000)
    scene.follower(FIRM, SECOND)
    scene.prepared("one", Scope(stations=(ONE,)))
    days_later(scene, 1)
    scene.prepared("two", Scope(stations=(OTHER,)))
    for code in ("one", "two"):
        scene.approve(code)
        scene.run(code)
    (message,) = scene.messages()
    assert message.occasion == "day#20261124"
    assert scene.reasons("two") == {SECOND: "told_today"}
    assert len(scene.steps()) == 1


def test_what_one_person_must_wait_for_all_of_the_party_do(scene: CampaignScene) -> None:
    scene.firm(FIRM, party_no=PARTY)
    scene.firm(SECOND, party_no=PARTY, debt=None)
    scene.bill(SECOND, 50_000, due_on=COMING, period="202611")
    boss, clerk = scene.follower(FIRM, SECOND), scene.follower(SECOND)
    scene.told("one")
    assert [message.recipient for message in scene.messages()] == [boss]
    assert scene.reasons("one") == {SECOND: "next_window"}
    days_later(scene, 1)
    scene.told("two")
    assert [message.recipient for message in scene.messages()[1:]] == [boss, clerk]


def test_who_cannot_be_told_of_the_urgent_debt_holds_up_nobody(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone for which this installation has no text of the kind is no way to tell."""
    for number in (FIRM, SECOND):
        person = a_person(number, phone="13800000077")
        scene.customers(a_customer(number, party_no=PARTY), person)
    scene.bill(FIRM, 50_000)
    scene.bill(SECOND, 50_000, due_on=COMING, period="202611")
    monkeypatch.setattr(
        "gongdian.arrears.planning.Ground.has_text",
        lambda _self, _channel, kind: kind != "arrears_overdue",
    )
    scene.told()
    assert [message.kind for message in scene.messages()] == ["arrears_due_soon"]
    assert scene.reasons() == {FIRM: "unreachable"}


def test_a_stage_of_a_changed_card_is_left_to_the_next_run_for_everybody(
    scene: CampaignScene,
) -> None:
    """The boss's card is another since; the clerk's would take the stage that it was to tell."""
    scene.firm(FIRM, party_no=PARTY)
    scene.firm(SECOND, party_no=PARTY, debt=50_000)
    scene.firm(THIRD, party_no=PARTY, debt=50_000)
    scene.follower(FIRM, SECOND)
    scene.follower(SECOND, THIRD)
    scene.prepared()
    scene.approve()
    scene.do(
        lambda s: s.exec_driver_sql(
            "UPDATE arrears_recipients SET stage = 1 WHERE customer_no = '9900001203457'"
        )
    )
    scene.run()
    assert (scene.messages(), scene.steps()) == ([], [])
    assert scene.reasons() == {FIRM: "stage_changed", SECOND: "next_window"}
