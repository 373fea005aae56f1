"""Settling: what each outcome makes of a message, lost leases and late reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from gongdian.clock import MovableClock, next_china_midnight
from gongdian.db import Database
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.holding import Selection, hold_messages, withdraw_messages
from gongdian.outbox.model import (
    CHANNEL_TEMPLATE,
    MessageState,
    SendingPolicy,
    channel_stop,
    kind_stop,
)
from tests.factories import (
    ACCOUNT,
    NOT_SENT,
    OPENID,
    UNKNOWN,
    accepted,
    an_outbox,
    attempts_of,
    claim,
    one_sweep,
    queue,
    refused,
    row_of,
    settle,
    state_of,
)

CHANNEL = channel_stop("wechat_template", ACCOUNT)
LEASE = timedelta(seconds=61)


def test_an_acceptance_is_not_a_delivery(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    report = settle(database, now, (claimed, accepted("77")))
    row = row_of(database, key)
    assert (row.state, row.platform_msgid, row.accepted_at) == ("accepted", "77", now)
    assert (row.closed_at, row.lease_until, row.claimed_by) == (None, None, None)
    assert report.states == {MessageState.ACCEPTED: 1}


def test_a_busy_platform_is_asked_again_later_and_later(
    database: Database, clock: MovableClock
) -> None:
    policy = SendingPolicy(account=ACCOUNT, max_attempts=8)
    now = clock.now()
    key = queue(database, now)
    waits = []
    for _ in range(7):
        [claimed] = claim(database, now)
        settle(database, now, (claimed, refused(-1)), policy=policy)
        row = row_of(database, key)
        assert (row.state, row.reason) == ("queued", "wechat_-1")
        waits.append((row.not_before - now).total_seconds())
        now = row.not_before
    assert all(later >= 1.9 * sooner for sooner, later in pairwise(waits))
    [claimed] = claim(database, now)
    report = settle(database, now, (claimed, refused(-1)), policy=policy)
    row = row_of(database, key)
    assert (row.state, row.attempts, row.closed_at) == ("failed", 8, now)
    assert report.alarms == ["gave_up_wechat_-1"]
    assert attempts_of(database, key) == ["refused"] * 8


def test_what_was_surely_not_sent_is_tried_again_without_counting(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    for _ in range(20):
        [claimed] = claim(database, now)
        settle(database, now, (claimed, NOT_SENT))
        now = row_of(database, key).not_before
    assert (row_of(database, key).attempts, state_of(database, key)) == (0, "queued")


def test_a_used_up_minute_pauses_the_channel_until_the_next(
    database: Database, clock: MovableClock
) -> None:
    clock.move(timedelta(seconds=12))
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    report = settle(database, now, (claimed, refused(45011)))
    next_minute = now + timedelta(seconds=48)
    [stop] = report.stops
    assert (stop.name, stop.until, report.alarms) == (CHANNEL, next_minute, [])
    row = row_of(database, key)
    assert (row.state, row.not_before, row.attempts) == ("queued", next_minute, 0)


def test_a_used_up_day_stops_the_channel_until_midnight_in_china_with_an_alarm(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    report = settle(database, now, (claimed, refused(45009)))
    midnight = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
    assert midnight == next_china_midnight(now)
    assert [(stop.name, stop.until) for stop in report.stops] == [(CHANNEL, midnight)]
    assert report.alarms == ["wechat_45009"]
    row = row_of(database, key)
    # An operator who had the quota raised lifts the stop: then it goes out the same day.
    assert (row.state, row.attempts) == ("queued", 0)
    assert row.not_before < now + timedelta(seconds=10)


@pytest.mark.parametrize("errcode", [40013, 40125, 40164, 48001, 48004, 50002])
def test_a_fault_of_the_account_stops_the_channel_until_an_operator_lifts_it(
    database: Database, clock: MovableClock, errcode: int
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    report = settle(database, now, (claimed, refused(errcode)))
    assert [(stop.name, stop.until) for stop in report.stops] == [(CHANNEL, None)]
    assert report.alarms == [f"wechat_{errcode}"]
    row = row_of(database, key)
    assert (row.state, row.attempts) == ("queued", 0)


def test_a_bad_token_is_tried_again_with_an_alarm(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    report = settle(database, now, (claimed, refused(40001)))
    assert (report.alarms, report.stops) == (["wechat_40001"], [])
    assert state_of(database, key) == "queued"


@pytest.mark.parametrize("errcode", [40003, 43004, 43019, 43101])
def test_a_refused_recipient_ends_the_message_and_is_reported(
    database: Database, clock: MovableClock, errcode: int
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    report = settle(database, now, (claimed, refused(errcode)))
    row = row_of(database, key)
    assert (row.state, row.reason, row.closed_at) == ("failed", f"wechat_{errcode}", now)
    [person] = report.refused
    assert (person.account, person.address_hash) == (ACCOUNT, address_hash(OPENID))


@pytest.mark.parametrize("errcode", [40036, 41030, 45002, 47001, 47003])
def test_a_refused_message_ends_without_touching_others(
    database: Database, clock: MovableClock, errcode: int
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    report = settle(database, now, (claimed, refused(errcode)))
    assert state_of(database, key) == "failed"
    assert (report.stops, report.alarms, report.refused) == ([], [], [])


def test_a_wrong_template_is_tried_once_again_then_its_kind_stops(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    first = settle(database, now, (claimed, refused(40037)))
    assert (first.stops, state_of(database, key)) == ([], "queued")
    later = row_of(database, key).not_before
    assert later == now + timedelta(minutes=5)
    [claimed] = claim(database, later)
    second = settle(database, later, (claimed, refused(40037)))
    assert [stop.name for stop in second.stops] == [
        kind_stop(ACCOUNT, "arrears_bill", CHANNEL_TEMPLATE)
    ]
    assert second.alarms == ["wechat_40037_arrears_bill"]
    assert state_of(database, key) == "failed"


def test_a_wrong_template_after_another_trouble_still_gets_its_second_try(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, refused(-1)))
    now = row_of(database, key).not_before
    [claimed] = claim(database, now)
    report = settle(database, now, (claimed, refused(40037)))
    assert (report.stops, state_of(database, key)) == ([], "queued")


def test_an_unknown_outcome_is_tried_again_within_the_platform_s_window_only(
    database: Database, clock: MovableClock
) -> None:
    now = first = clock.now()
    key = queue(database, now)
    while state_of(database, key) == "queued":
        assert now < first + timedelta(minutes=9)
        [claimed] = claim(database, now)
        settle(database, now, (claimed, UNKNOWN))
        row = row_of(database, key)
        assert row.unknown_since == first
        now = row.not_before
    row = row_of(database, key)
    assert row.state == "unknown"
    assert 1 < row.attempts < 8
    assert claim(database, now) == []


def test_a_try_that_was_surely_not_sent_does_not_prolong_the_doubt(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    late = now + timedelta(minutes=8, seconds=58)
    [claimed] = claim(database, late)
    settle(database, late, (claimed, NOT_SENT))
    assert state_of(database, key) == "unknown"


def test_a_message_that_cannot_be_retried_in_time_expires(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now, expires_at=now + timedelta(seconds=4))
    [claimed] = claim(database, now)
    settle(database, now, (claimed, refused(-1)))
    assert state_of(database, key) == "expired"


def test_a_lost_lease_is_an_unknown_outcome(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    [lost] = claim(database, now, worker="gone")
    assert one_sweep(database, now + timedelta(seconds=60))["lost"] == 0
    assert one_sweep(database, now + LEASE)["lost"] == 1
    row = row_of(database, key)
    assert (row.state, row.reason, row.unknown_since) == ("queued", "worker_lost", now)
    assert attempts_of(database, key) == ["unknown"]
    [again] = claim(database, row.not_before)
    assert again.fence > lost.fence
    assert again.client_msg_id == lost.client_msg_id


def test_a_late_acceptance_counts(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    [slow] = claim(database, now)
    one_sweep(database, now + LEASE)
    report = settle(database, now + LEASE, (slow, accepted("88")))
    row = row_of(database, key)
    assert (row.state, row.platform_msgid, row.reason, report.late) == ("accepted", "88", "", 1)
    assert claim(database, now + timedelta(minutes=5)) == []


def test_a_late_acceptance_counts_after_giving_up_and_while_held(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    given_up, held = queue(database, now, "one#1"), queue(database, now, "one#2")
    slow = claim(database, now)
    one_sweep(database, now + LEASE)
    database.run(lambda session: hold_messages(session, Selection(key=held), "wait", None, now))
    database.run(lambda session: withdraw_messages(session, Selection(key=given_up), "no", now))
    assert (state_of(database, given_up), state_of(database, held)) == ("unknown", "held")
    settle(database, now + LEASE, (slow[0], accepted("88")), (slow[1], accepted("89")))
    assert state_of(database, given_up) == "accepted"
    assert state_of(database, held) == "accepted"
    assert row_of(database, given_up).closed_at is None


def test_a_late_refusal_changes_nothing(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    [slow] = claim(database, now)
    one_sweep(database, now + LEASE)
    settle(database, now + LEASE, (slow, refused(-1)))
    row = row_of(database, key)
    assert (row.state, row.reason, row.attempts) == ("queued", "worker_lost", 1)
    assert attempts_of(database, key) == ["unknown", "refused"]


def test_a_late_acceptance_under_the_next_try_is_not_forgotten_when_that_fails(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [slow] = claim(database, now)
    one_sweep(database, now + LEASE)
    later = row_of(database, key).not_before
    [again] = claim(database, later)
    settle(database, later, (slow, accepted("88")))
    assert state_of(database, key) == "sending"
    settle(database, later, (again, refused(43004)))
    row = row_of(database, key)
    assert (row.state, row.platform_msgid) == ("accepted", "88")


def test_settling_the_same_batch_twice_changes_nothing_more(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    taken, busy = queue(database, now, "one#1"), queue(database, now, "one#2")
    first, second = claim(database, now)
    for _ in range(2):
        settle(database, now, (first, accepted("1")), (second, refused(-1)))
    assert (state_of(database, taken), state_of(database, busy)) == ("accepted", "queued")
    assert row_of(database, busy).attempts == 1


def test_a_batch_settles_each_message_by_itself(database: Database, clock: MovableClock) -> None:
    now, policy = clock.now(), an_outbox(contact_daily_cap=99).policy
    keys = [queue(database, now, f"one#{number}") for number in range(6)]
    outcomes = [accepted("1"), refused(-1), refused(47003), UNKNOWN, NOT_SENT, accepted("2")]
    claimed = claim(database, now, policy=policy)
    settle(database, now, *zip(claimed, outcomes, strict=True), policy=policy)
    states = [state_of(database, key) for key in keys]
    assert states == ["accepted", "queued", "failed", "queued", "queued", "accepted"]
