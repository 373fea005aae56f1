"""What a campaign leaves to people, on both databases: all of it, and nothing that is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gongdian.alarms import standing_alarms
from gongdian.arrears import service
from gongdian.arrears.campaigns import CampaignState
from gongdian.arrears.closing import campaigns_to_look_at
from gongdian.arrears.worklist import add_items
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError
from tests.account_factories import a_customer
from tests.campaign_scene import CampaignScene

FIRM, SECOND, HOME = "9900001203457", "9900001203999", "9900000345812"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    return CampaignScene(database, clock)


def test_a_campaign_with_work_only_is_not_over_before_the_work_is_handed_over(
    scene: CampaignScene,
) -> None:
    scene.firm(FIRM)
    scene.prepared()
    with pytest.raises(ConflictError, match="campaign_state"):
        scene.do(lambda s: service.finish_campaign(s, "nov23", scene.now))
    scene.approve()
    scene.run()
    assert scene.items() == [("unreachable", FIRM)]
    assert scene.reasons() == {FIRM: "unreachable"}


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("settled", lambda s: s.pay(FIRM, 900_000)),
        ("dispute", lambda s: s.hold(FIRM, "dispute")),
        ("below_minimum", lambda s: s.pay(FIRM, 899_950)),
        ("reachable_again", lambda s: s.follower(FIRM)),
        ("stale_feed", lambda s: s.clock.move(timedelta(days=2))),
    ],
)
def test_what_changed_since_the_preparation_makes_no_work(
    scene: CampaignScene, reason: str, change: Callable[[CampaignScene], Any]
) -> None:
    scene.firm(FIRM)
    scene.prepared()
    scene.approve()
    change(scene)
    scene.run()
    assert (scene.items(), scene.reasons()) == ([], {FIRM: reason})
    assert [line.state for line in scene.lines()] == ["left_out"]
    with scene.database.read() as session:
        alarms = [alarm.key for alarm in standing_alarms(session)]
    assert alarms == (["campaign_stale_nov23"] if reason == "stale_feed" else [])


def test_work_about_a_debt_of_a_former_holder_is_dropped(scene: CampaignScene) -> None:
    scene.firm(FIRM)
    scene.prepared()
    scene.approve()
    scene.customers(a_customer(FIRM, party_no="P999999", name="李四"))
    scene.run()
    assert ("unreachable", FIRM) not in scene.items()
    assert scene.reasons() == {FIRM: "transfer"}


def test_a_payment_that_comes_while_work_is_handed_over_waits_and_ends_it(
    scene: CampaignScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.firm(FIRM)
    scene.prepared()
    scene.approve()
    looked, go_on = threading.Event(), threading.Event()
    real = add_items

    def slowly(*arguments: Any) -> Any:
        looked.set()
        assert go_on.wait(20)
        return real(*arguments)

    monkeypatch.setattr("gongdian.arrears.running.add_items", slowly)
    runner = threading.Thread(target=scene.run)
    payer = threading.Thread(target=lambda: scene.pay(FIRM, 900_000))
    runner.start()
    assert looked.wait(20)
    payer.start()
    payer.join(0.5)
    assert payer.is_alive()
    go_on.set()
    runner.join()
    payer.join()
    assert scene.items() == []


def test_the_queued_lines_of_a_campaign_that_failed_half_way_are_watched(
    scene: CampaignScene,
) -> None:
    scene.household(HOME)
    scene.told()
    scene.do(lambda s: service.fail_campaign(s, "nov23", "a_bug", scene.now))
    scene.pay(HOME, 8_640)
    closer = scene.closer()
    while closer.step():
        pass
    assert [(line.state, line.reason) for line in scene.lines()] == [("closed", "withdrawn")]
    assert scene.campaign().state is CampaignState.FAILED


def test_a_campaign_is_watched_from_its_approval_on(scene: CampaignScene) -> None:
    def watched() -> list[int]:
        with scene.database.read() as session:
            return campaigns_to_look_at(session, scene.now)

    scene.household(HOME)
    scene.prepared()
    assert watched() == []
    scene.approve()
    assert watched() == [scene.campaign().id]
