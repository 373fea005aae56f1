"""Claiming: who goes first, when, and how many, with several workers at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import select

from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.outbox.claiming import count_due
from gongdian.outbox.model import Priority, Stop, channel_stop, kind_stop
from gongdian.outbox.queueing import queue_messages
from gongdian.outbox.rates import DatabaseRate
from gongdian.outbox.tables import contact_days, daily_budgets
from tests.factories import (
    ACCOUNT,
    NOT_SENT,
    UNKNOWN,
    an_outbox,
    claim,
    command,
    openid,
    queue,
    refused,
    row_of,
    settle,
    state_of,
)

NIGHTLY = (time(21, 30), time(8, 0))
EVENING = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)  # 22:00 in China
NEXT_EIGHT = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)


def used_budget(database: Database) -> int:
    with database.read() as session:
        return session.execute(select(daily_budgets.c.used)).scalar() or 0


def used_cap(database: Database) -> int:
    with database.read() as session:
        return session.execute(select(contact_days.c.used)).scalar() or 0


def test_urgent_classes_go_first_and_older_ones_within_a_class(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    for priority in (Priority.LOW, Priority.NORMAL, Priority.CRITICAL, Priority.HIGH):
        queue(database, now, f"{priority.name}#2", priority=priority)
        queue(database, now - timedelta(minutes=1), f"{priority.name}#1", priority=priority)
    claimed = claim(database, now, wanted=7)
    assert [one.key.split(":")[2] for one in claimed] == [
        "CRITICAL#1",
        "CRITICAL#2",
        "HIGH#1",
        "HIGH#2",
        "NORMAL#1",
        "NORMAL#2",
        "LOW#1",
    ]


def test_what_is_in_doubt_goes_before_a_long_queue_of_its_class_but_not_before_urgent_news(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    doubtful = queue(database, now, "one#1")
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    queue(database, now, "two#1", "three#1")
    urgent = queue(database, now, "four#1", priority=Priority.CRITICAL)
    later = now + timedelta(seconds=10)
    assert [one.key for one in claim(database, later, wanted=2)] == [urgent, doubtful]


def test_nothing_goes_before_its_time_or_after_its_end(
    database: Database, clock: MovableClock
) -> None:
    now, policy = clock.now(), an_outbox().policy
    queue(database, now, not_before=now + timedelta(hours=1), expires_at=now + timedelta(hours=2))
    for moment, found in ((0, 0), (59, 0), (60, 1), (119, 1), (120, 0)):
        with database.read() as session:
            at = now + timedelta(minutes=moment)
            assert count_due(session, policy, {}, at, 10) == found, moment
    assert claim(database, now) == []


def test_a_claim_wants_what_it_asks_for_and_no_more(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    queue(database, now, "one#1", "one#2", "one#3")
    assert claim(database, now, wanted=0) == []
    assert len(claim(database, now, wanted=2)) == 2
    assert len(claim(database, now, wanted=2)) == 1


def test_at_night_only_urgent_news_and_kinds_without_quiet_hours_go(
    database: Database, clock: MovableClock
) -> None:
    outbox = an_outbox(quiet_hours=NIGHTLY)
    plain = queue(database, EVENING, "plain#1", outbox=outbox)
    queue(database, EVENING, "urgent#1", outbox=outbox, priority=Priority.CRITICAL)
    queue(database, EVENING, "back#1", outbox=outbox, kind="supply_restored")
    assert row_of(database, plain).not_before == NEXT_EIGHT
    went = claim(database, EVENING, policy=outbox.policy)
    assert [one.key.split(":")[2] for one in went] == ["urgent#1", "back#1"]
    midnight = EVENING + timedelta(hours=2)
    assert claim(database, midnight, policy=outbox.policy) == []
    assert [one.key for one in claim(database, NEXT_EIGHT, policy=outbox.policy)] == [plain]


def test_what_was_due_before_the_night_and_retries_wait_for_the_morning(
    database: Database,
) -> None:
    outbox = an_outbox(quiet_hours=NIGHTLY)
    dusk = EVENING - timedelta(minutes=31)  # 21:29 in China
    waiting = queue(database, dusk, "waiting#1", outbox=outbox)
    retried = queue(database, dusk - timedelta(minutes=1), "retried#1", outbox=outbox)
    [claimed] = claim(database, dusk, wanted=1, policy=outbox.policy)
    settle(database, dusk, (claimed, refused(-1)), policy=outbox.policy)
    assert state_of(database, retried) == "queued"
    assert claim(database, EVENING, policy=outbox.policy) == []
    morning = claim(database, NEXT_EIGHT, policy=outbox.policy)
    assert {one.key for one in morning} == {waiting, retried}


def test_a_class_may_use_its_part_of_the_day_s_quota(
    database: Database, clock: MovableClock
) -> None:
    now, outbox = clock.now(), an_outbox(daily_quota=10, contact_daily_cap=100)
    for priority in Priority:
        queue(database, now, *(f"{priority.name}#{n}" for n in range(8)), priority=priority)
    low = an_outbox(daily_quota=10, contact_daily_cap=100)
    went = claim(database, now, wanted=100, policy=low.policy)
    assert [one.key.split(":")[2].split("#")[0] for one in went] == ["CRITICAL"] * 8 + ["HIGH"] * 2
    assert claim(database, now, policy=outbox.policy) == []
    assert used_budget(database) == 10
    tomorrow = now + timedelta(days=1)
    went = claim(database, tomorrow, wanted=100, policy=outbox.policy)
    kinds = [one.key.split(":")[2].split("#")[0] for one in went]
    assert kinds == ["HIGH"] * 6 + ["NORMAL"] * 3


def test_low_priority_leaves_room_for_urgent_news(database: Database, clock: MovableClock) -> None:
    now, policy = clock.now(), an_outbox(daily_quota=10, contact_daily_cap=100).policy
    queue(database, now, *(f"low#{n}" for n in range(20)), priority=Priority.LOW)
    assert len(claim(database, now, policy=policy)) == 7
    queue(database, now, *(f"normal#{n}" for n in range(20)), priority=Priority.NORMAL)
    assert len(claim(database, now, policy=policy)) == 2
    queue(database, now, "urgent#1", priority=Priority.CRITICAL)
    assert len(claim(database, now, policy=policy)) == 1


def test_a_retry_on_the_same_day_is_counted_once(database: Database, clock: MovableClock) -> None:
    now, policy = clock.now(), an_outbox(contact_daily_cap=1).policy
    queue(database, now)
    [first] = claim(database, now, policy=policy)
    settle(database, now, (first, NOT_SENT), policy=policy)
    again = now + timedelta(seconds=5)
    assert len(claim(database, again, policy=policy)) == 1
    assert (used_budget(database), used_cap(database)) == (1, 1)


def test_a_used_up_budget_does_not_use_up_a_contact_s_day(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    full = an_outbox(daily_quota=0, contact_daily_cap=2).policy
    key = queue(database, now)
    for _ in range(5):
        assert claim(database, now, policy=full) == []
    assert used_cap(database) == 0
    assert row_of(database, key).reason == ""
    raised = an_outbox(daily_quota=10, contact_daily_cap=2).policy
    assert [one.key for one in claim(database, now, policy=raised)] == [key]


def test_a_capped_contact_does_not_use_the_budget(database: Database, clock: MovableClock) -> None:
    now, policy = clock.now(), an_outbox(contact_daily_cap=1).policy
    queue(database, now, "one#1", "one#2", "one#3")
    assert len(claim(database, now, policy=policy)) == 1
    assert used_budget(database) == 1


def test_over_the_daily_cap_a_message_waits_for_the_next_morning(
    database: Database, clock: MovableClock
) -> None:
    now, policy = clock.now(), an_outbox(contact_daily_cap=2, quiet_hours=NIGHTLY).policy
    keys = [queue(database, now, f"one#{number}") for number in range(3)]
    other = queue(database, now, "one#1", recipient="c2", openid=openid(2))
    assert {one.key for one in claim(database, now, policy=policy)} == {*keys[:2], other}
    row = row_of(database, keys[2])
    assert (row.state, row.reason) == ("queued", "contact_daily_cap")
    assert row.not_before == NEXT_EIGHT
    assert [one.key for one in claim(database, NEXT_EIGHT, policy=policy)] == [keys[2]]


def test_legal_and_critical_messages_are_exempt_from_the_cap(
    database: Database, clock: MovableClock
) -> None:
    now, policy = clock.now(), an_outbox(contact_daily_cap=1).policy
    queue(database, now, "one#1", "one#2", is_legal=True)
    queue(database, now, "two#1", "two#2", priority=Priority.CRITICAL)
    queue(database, now, "three#1", kind="cutoff_notice")
    assert len(claim(database, now, policy=policy)) == 5
    assert used_cap(database) == 0


def test_workers_at_once_never_claim_a_message_twice_nor_exceed_a_cap(
    database: Database, clock: MovableClock
) -> None:
    now, outbox = clock.now(), an_outbox(contact_daily_cap=3)
    asked = [
        command(f"one#{number}", recipient=f"c{number % 20}", openid=openid(number % 20))
        for number in range(100)
    ]
    database.run(lambda session: queue_messages(session, outbox, asked, now))
    start, claimed = threading.Barrier(3), []

    def work(worker: str) -> None:
        start.wait()
        for _ in range(12):
            claimed.extend(claim(database, now, wanted=7, worker=worker, policy=outbox.policy))

    threads = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [one.key for one in claimed]
    assert len(keys) == len(set(keys)) == 60
    by_person: dict[str, int] = {}
    for one in claimed:
        by_person[one.address] = by_person.get(one.address, 0) + 1
    assert set(by_person.values()) == {3}
    assert used_budget(database) == 60


@pytest.mark.parametrize("workers", [4])
def test_the_rate_of_a_second_is_shared(
    database: Database, clock: MovableClock, workers: int
) -> None:
    now, rate = clock.now(), DatabaseRate(database)
    granted: list[int] = []

    def work() -> None:
        for _ in range(6):
            granted.append(rate.take(ACCOUNT, 5, 50, now))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 50
    assert rate.take(ACCOUNT, 99, 50, now + timedelta(seconds=1)) == 50
    assert rate.take("wxother", 3, 50, now) == 3


def test_a_worker_whose_clock_is_a_little_behind_gets_no_second_of_its_own(
    database: Database, clock: MovableClock
) -> None:
    now, rate = clock.now(), DatabaseRate(database)
    behind = now - timedelta(seconds=1)
    assert rate.take(ACCOUNT, 50, 50, now) == 50
    assert rate.take(ACCOUNT, 50, 50, behind) == 0
    assert rate.take(ACCOUNT, 50, 50, now) == 0
    assert rate.take(ACCOUNT, 50, 50, now - timedelta(hours=1)) == 50, "a clock that was set back"


def test_stops_hold_back_a_kind_or_the_whole_channel(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    queue(database, now, "bill#1")
    queue(database, now, "back#1", kind="supply_restored")
    channel = channel_stop("wechat_template", ACCOUNT)
    assert claim(database, now, stops={channel: Stop(channel, "quota")}) == []
    kind = kind_stop(ACCOUNT, "arrears_bill")
    [claimed] = claim(database, now, stops={kind: Stop(kind, "wechat_40037")})
    assert claimed.kind == "supply_restored"
