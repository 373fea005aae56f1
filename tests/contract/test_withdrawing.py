"""A clerk takes reminders back: what is not out ends, the stage may come again, others stay."""

from __future__ import annotations

import pytest

from gongdian.arrears.withdrawing import withdraw_reminders
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import InputError, NotFoundError
from tests.account_factories import HOME
from tests.campaign_scene import CampaignScene

OTHER = "9900000345999"


def withdraw(scene: CampaignScene, customer_no: str, reason: str = "金额待核") -> int:
    return scene.do(lambda s: withdraw_reminders(s, customer_no, reason, "li", scene.now))


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    """Two households, both told of their debt and neither message out."""
    made = CampaignScene(database, clock)
    made.household(HOME)
    made.household(OTHER)
    made.told()
    return made


def test_a_withdrawn_reminder_gives_its_stage_back_and_the_others_stay(
    scene: CampaignScene,
) -> None:
    assert len(scene.messages("queued")) == 2
    assert len(scene.steps()) == 2
    assert withdraw(scene, HOME) == 1
    assert [row.reason for row in scene.messages("withdrawn")] == ["withdrawn_by_clerk"]
    assert len(scene.messages("queued")) == 1
    assert len(scene.steps()) == 1


def test_withdrawing_twice_finds_nothing_the_second_time(scene: CampaignScene) -> None:
    assert withdraw(scene, HOME) == 1
    assert withdraw(scene, HOME) == 0


def test_the_next_campaign_tells_again_under_a_key_of_its_own(scene: CampaignScene) -> None:
    withdraw(scene, HOME)
    scene.told("again")
    keys = {row.key for row in scene.messages("queued") if row.subject == f"P{HOME[-6:]}"}
    assert len(keys) == 1
    assert not keys & {row.key for row in scene.messages("withdrawn")}
    assert len(scene.steps()) == 2


def test_a_reason_and_a_known_customer_are_asked_for(scene: CampaignScene) -> None:
    with pytest.raises(InputError, match="no_reason"):
        withdraw(scene, HOME, " ")
    with pytest.raises(NotFoundError, match="no_customer"):
        withdraw(scene, "9900000000000")
