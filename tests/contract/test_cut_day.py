"""The day in the card of a served letter (拟停电时间): lawful, and never one that has passed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import update

from gongdian.arrears.letters import (
    ApproveLetter,
    RecordService,
    approve_letter,
    prepare_letter,
    record_service,
)
from gongdian.arrears.rules import notice_of
from gongdian.clock import MovableClock
from gongdian.db import Database, Session
from gongdian.outbox.tables import messages
from tests.campaign_scene import CampaignScene, fields_of

FIRM = "9900001203457"


@pytest.fixture
def scene(database: Database, clock: MovableClock) -> CampaignScene:
    """A firm up to the served letter: 逾期提醒, 再次提醒, 催告 have arrived."""
    scene = CampaignScene(database, clock)
    scene.firm(FIRM, debt=None)
    scene.follower(FIRM)
    scene.bill(FIRM, 900_000, due_on=date(2026, 10, 1), period="202609")
    for number in range(4):
        scene.told(f"run{number}")
        at = scene.now
        arrived = update(messages).where(messages.c.closed_at.is_(None))
        values = {"state": "delivered", "receipt_at": at, "closed_at": at}
        scene.do(lambda s: s.execute(arrived.values(**values)))  # noqa: B023
        scene.clock.move(timedelta(days=4))
        scene.fresh()

    def serve(session: Session) -> None:
        notice = notice_of(session, FIRM, scene.now)
        number = prepare_letter(session, FIRM, notice, "li", scene.now).number
        approve_letter(session, ApproveLetter(number, "wu", ("wu",), b"%PDF"), scene.now)
        record_service(session, RecordService(number, "signed", "x", scene.now, "li"), scene.now)

    scene.do(serve)
    return scene


def test_the_card_names_the_earliest_lawful_day(scene: CampaignScene) -> None:
    scene.told("notice")
    (line,) = scene.lines("notice")
    assert (line.kind, line.state) == ("cutoff_notice", "queued")
    assert fields_of(line)["cutoff_at"] == "2026年12月16日 09:00", (
        "seven days after the service on 9 December"
    )


def test_a_day_that_has_passed_is_not_told_but_left_to_people(scene: CampaignScene) -> None:
    scene.clock.move(timedelta(days=20))
    scene.fresh()
    scene.told("late")
    assert [(line.state, line.reason) for line in scene.lines("late")] == [
        ("left_out", "day_passed")
    ]
    assert ("overdue", FIRM) in scene.items()
