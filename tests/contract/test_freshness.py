"""Feeds that do not come: an alarm, the messages stopped that rely on them, lifted again."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gongdian.alarms import standing_alarms
from gongdian.clock import MovableClock
from gongdian.db import Database, Session
from gongdian.feeds import FeedState, note_feed
from gongdian.outbox.model import Stop, kind_stop
from gongdian.outbox.switches import standing_stops, stop_sending
from gongdian.sources.freshness import BLOCKED_KINDS, Health, check_freshness, feed_health
from tests.factories import ACCOUNT
from tests.import_stage import ImportStage
from tests.unit.sources.feed_files import CUSTOMER

DAY = timedelta(days=1)


class Feeds:
    """Notes feeds, checks them, tells what is stopped."""

    def __init__(self, database: Database, clock: MovableClock) -> None:
        self.database = database
        self.clock = clock

    def note(self, *feeds: str, as_of: datetime | None = None) -> None:
        def work(session: Session) -> None:
            now = self.clock.now()
            for feed in feeds:
                note_feed(session, FeedState(feed, as_of or now, now, 1, DAY, DAY / 2))

        self.database.run(work)

    def check(self) -> list[str]:
        now = self.clock.now()
        return self.database.run(lambda session: check_freshness(session, ACCOUNT, now))

    def stops(self) -> dict[str, str]:
        with self.database.read() as session:
            found = standing_stops(session, self.clock.now())
        return {name.rpartition(":")[2]: stop.reason for name, stop in found.items()}

    def alarms(self) -> dict[str, str]:
        with self.database.read() as session:
            return {one.key: one.text for one in standing_alarms(session)}

    def health(self) -> dict[str, Health]:
        with self.database.read() as session:
            return {one.feed: one.health for one in feed_health(session, self.clock.now())}


@pytest.fixture
def feeds(database: Database, clock: MovableClock) -> Feeds:
    return Feeds(database, clock)


@pytest.fixture
def stage(database: Database, clock: MovableClock, tmp_path: Path) -> ImportStage:
    return ImportStage(database, clock, tmp_path)


def test_before_any_customer_nothing_is_stale(feeds: Feeds) -> None:
    assert feeds.check() == []
    assert feeds.stops() == {}
    assert set(feeds.health().values()) == {Health.ABSENT}


def test_with_customers_a_feed_that_never_came_stops_its_messages(
    feeds: Feeds, stage: ImportStage
) -> None:
    stage.customers()
    assert feeds.check() == ["bills", "payments"]
    assert set(feeds.stops()) == set(BLOCKED_KINDS["bills"])
    assert "从未导入" in feeds.alarms()["feed_stale_bills"]
    assert feeds.health()["balances"] is Health.ABSENT  # nobody is prepaid


def test_balances_are_needed_once_somebody_is_prepaid(feeds: Feeds, stage: ImportStage) -> None:
    path = stage.file("customers_20261101.csv", "customers", [dict(CUSTOMER, 费控标志="是")])
    stage.load("customers", path)
    feeds.note("bills", "payments")
    assert feeds.check() == ["balances"]
    assert list(feeds.stops()) == ["balance_low"]


def test_healthchecks_915_a_late_feed_in_its_grace_is_told_and_stops_nothing(
    feeds: Feeds, stage: ImportStage
) -> None:
    stage.customers()
    feeds.note("bills", "payments")
    assert feeds.health()["payments"] is Health.FRESH
    feeds.clock.move(DAY + timedelta(minutes=1))
    assert feeds.health()["payments"] is Health.LATE
    assert feeds.check() == []
    assert feeds.stops() == {}


def test_a_stale_payment_feed_alarms_and_stops_reminders_but_no_new_bill(
    feeds: Feeds, stage: ImportStage
) -> None:
    stage.customers()
    feeds.note("bills", "payments")
    feeds.clock.move(DAY)
    feeds.note("bills")
    feeds.clock.move(DAY / 2 + timedelta(minutes=1))
    assert feeds.check() == ["payments"]
    assert feeds.stops().keys() == {"arrears_due_soon", "arrears_overdue", "cutoff_notice"}
    assert feeds.stops()["cutoff_notice"].startswith("feed_stale:payments")
    text = feeds.alarms()["feed_stale_payments"]
    assert "交费记录数据过期：只到2026-11-23 10:00，应在2026-11-24 10:00前更新" in text


def test_the_stops_are_lifted_when_the_feed_comes_and_follow_which_feed_it_is(
    feeds: Feeds, stage: ImportStage
) -> None:
    stage.customers()
    feeds.note("bills", "payments")
    feeds.clock.move(2 * DAY)
    feeds.check()
    assert feeds.stops()["cutoff_notice"].startswith("feed_stale:bills,payments")
    feeds.note("bills")
    feeds.check()
    assert feeds.stops()["cutoff_notice"].startswith("feed_stale:payments")
    assert "arrears_bill" not in feeds.stops()
    feeds.note("payments")
    feeds.check()
    assert feeds.stops() == {}


def test_what_an_operator_stopped_stays_stopped(feeds: Feeds, stage: ImportStage) -> None:
    stage.customers()
    feeds.note("bills", "payments")
    name = kind_stop(ACCOUNT, "arrears_overdue")
    now = feeds.clock.now()
    feeds.database.run(lambda session: stop_sending(session, Stop(name, "节日"), "李班长", now))
    feeds.clock.move(2 * DAY)
    feeds.check()
    assert feeds.stops()["arrears_overdue"] == "节日"
    feeds.note("bills", "payments")
    feeds.check()
    assert feeds.stops() == {"arrears_overdue": "节日"}


def test_a_stop_that_an_operator_takes_over_is_theirs(feeds: Feeds, stage: ImportStage) -> None:
    stage.customers()
    feeds.check()
    name = kind_stop(ACCOUNT, "arrears_overdue")
    now = feeds.clock.now()
    feeds.database.run(lambda session: stop_sending(session, Stop(name, "节日"), "李班长", now))
    feeds.note("bills", "payments")
    feeds.check()
    assert feeds.stops() == {"arrears_overdue": "节日"}


def test_looking_again_changes_nothing(feeds: Feeds, stage: ImportStage) -> None:
    stage.customers()
    feeds.check()
    before = feeds.stops()
    feeds.clock.move(timedelta(minutes=1))
    feeds.check()
    assert feeds.stops() == before
