"""What a clerk types may name somebody: no audit row and no readable column has it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from gongdian.arrears import service
from gongdian.arrears.holds import HoldCustomer, end_holds, hold
from gongdian.arrears.service import CancelCampaign
from gongdian.arrears.tables import holds
from gongdian.arrears.withdrawing import withdraw_reminders
from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import Database
from tests.account_factories import HOME
from tests.campaign_scene import CampaignScene

WORDS = "王小明来电说名单有误"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    made = CampaignScene(database, clock)
    made.household(HOME)
    return made


def is_readable(scene: CampaignScene, *tables: str) -> bool:
    """Whether the words stand in the audit, or as they are in one of these tables."""
    with scene.database.read() as session:
        text = "".join(row.details + row.subject for row in session.execute(select(audit_rows)))
        for table in tables:
            for row in session.exec_driver_sql(f"SELECT * FROM {table}"):
                text += "".join(str(value) for value in row if isinstance(value, str))
    return "王小明" in text or "\\u738b" in text


def test_the_reason_of_a_cancelled_campaign_is_for_those_who_look_at_it(
    scene: CampaignScene,
) -> None:
    scene.prepared()
    command = CancelCampaign("nov23", "li", WORDS)
    scene.do(lambda s: service.cancel_campaign(s, command, scene.now))
    assert scene.campaign().cancel_reason == WORDS
    assert not is_readable(scene, "arrears_campaigns")


def test_the_reasons_of_a_hold_and_its_end_are_encrypted(scene: CampaignScene) -> None:
    scene.do(lambda s: hold(s, HoldCustomer(HOME, WORDS, "li"), scene.now))
    scene.do(lambda s: end_holds(s, [HOME], ["hold"], "li", scene.now, reason=WORDS))
    with scene.database.read() as session:
        row = session.execute(select(holds.c.reason, holds.c.end_reason)).one()
    assert tuple(row) == (WORDS, WORDS)
    assert not is_readable(scene, "arrears_holds")


def test_the_reason_of_withdrawing_is_not_kept(scene: CampaignScene) -> None:
    scene.told()
    assert scene.do(lambda s: withdraw_reminders(s, HOME, WORDS, "li", scene.now)) == 1
    assert not is_readable(scene, "messages", "message_events")
