"""Holding, releasing, withdrawing; expiry; what a sweep ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from gongdian.clock import CHINA, MovableClock
from gongdian.db import Database
from gongdian.errors import InputError, UpstreamError
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.answers import mark_answered, mark_opened
from gongdian.outbox.holding import (
    Selection,
    erase_addresses,
    hold_messages,
    release_messages,
    withdraw_messages,
)
from gongdian.outbox.model import Attempt, SendingPolicy
from gongdian.outbox.queries import (
    count_by_state,
    message_of_link,
    message_timeline,
    next_occasion,
    oldest_due,
)
from gongdian.outbox.settling import settle_attempts
from tests.factories import (
    ACCOUNT,
    OPENID,
    UNKNOWN,
    accepted,
    an_outbox,
    claim,
    events_of,
    one_sweep,
    openid,
    queue,
    refused,
    row_of,
    settle,
    state_of,
)

POLICY = SendingPolicy(account=ACCOUNT)


def test_a_held_message_waits_until_it_is_released(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    held = database.run(lambda s: hold_messages(s, Selection(key=key), "check", None, now))
    assert (held, state_of(database, key)) == (1, "held")
    one_sweep(database, now + timedelta(days=1))
    assert claim(database, now + timedelta(days=1)) == []
    assert database.run(lambda s: release_messages(s, Selection(key=key), now)) == 1
    assert [one.key for one in claim(database, now)] == [key]
    assert events_of(database, key) == ["held", "released"]


def test_a_hold_with_an_end_ends_by_itself(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    until = now + timedelta(hours=2)
    database.run(lambda s: hold_messages(s, Selection(key=key), "check", until, now))
    assert one_sweep(database, until - timedelta(seconds=1))["released"] == 0
    assert one_sweep(database, until)["released"] == 1
    assert (state_of(database, key), row_of(database, key).held_until) == ("queued", None)


def test_messages_are_chosen_by_subject_or_address_but_never_all(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    mine = queue(database, now, "one#1")
    other = queue(database, now, "one#1", subject="9900000345812", openid=openid(2))
    bill = Selection(flow="arrears", subject="9900001203457")
    person = Selection(person_hash=address_hash(openid(2)))
    assert database.run(lambda s: hold_messages(s, bill, "check", None, now)) == 1
    assert (state_of(database, mine), state_of(database, other)) == ("held", "queued")
    assert database.run(lambda s: withdraw_messages(s, person, "left", now)) == 1
    assert state_of(database, other) == "withdrawn"
    with pytest.raises(InputError, match="empty_selection"):
        database.run(lambda s: withdraw_messages(s, Selection(), "oops", now))


def test_what_is_queued_or_held_is_withdrawn_at_once(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    queued, held = queue(database, now, "one#1"), queue(database, now, "one#2")
    database.run(lambda s: hold_messages(s, Selection(key=held), "check", None, now))
    bill = Selection(flow="arrears", subject="9900001203457")
    assert database.run(lambda s: withdraw_messages(s, bill, "paid", now)) == 2
    for key in (queued, held):
        row = row_of(database, key)
        assert (row.state, row.reason, row.closed_at) == ("withdrawn", "paid", now)
    assert claim(database, now) == []


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(accepted(), "accepted"), (refused(-1), "withdrawn"), (UNKNOWN, "unknown")],
)
def test_a_message_being_sent_is_withdrawn_if_its_attempt_fails(
    database: Database, clock: MovableClock, outcome: Any, state: str
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    assert database.run(lambda s: withdraw_messages(s, Selection(key=key), "paid", now)) == 0
    assert state_of(database, key) == "sending"
    settle(database, now, (claimed, outcome))
    assert state_of(database, key) == state
    assert claim(database, now + timedelta(minutes=5)) == []


def test_a_withdrawn_message_whose_worker_is_gone_ends_unknown(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    claim(database, now)
    database.run(lambda s: withdraw_messages(s, Selection(key=key), "paid", now))
    one_sweep(database, now + timedelta(seconds=61))
    assert state_of(database, key) == "unknown"


def test_a_doubtful_message_that_is_withdrawn_ends_unknown(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    database.run(lambda s: withdraw_messages(s, Selection(key=key), "paid", now))
    assert state_of(database, key) == "unknown"


@pytest.mark.mariadb
def test_a_message_that_comes_back_from_sending_meanwhile_does_not_escape_a_withdrawal(
    empty_mariadb_url: str, clock: MovableClock
) -> None:
    database, now = Database(empty_mariadb_url, patience_s=1), clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    other, looks = Database(empty_mariadb_url, patience_s=1), []
    attempt, policy = Attempt(claimed, refused(-1), now, now), an_outbox().policy

    def come_back(*_: Any) -> None:
        looks.append(1)
        if len(looks) == 1:
            try:
                with other.begin() as session:  # one try only
                    settle_attempts(session, [attempt], policy, now)
            except UpstreamError:
                looks.append(1)  # the withdrawal holds the row: the relay settles afterwards

    def withdraw(session: Any) -> None:
        event.listen(session, "after_cursor_execute", come_back)
        withdraw_messages(session, Selection(key=key), "paid", now)
        event.remove(session, "after_cursor_execute", come_back)

    database.run(withdraw)  # whoever loses a deadlock runs again
    if state_of(database, key) == "sending":
        settle(database, now, (claimed, refused(-1)))
    assert state_of(database, key) == "withdrawn"
    database.close()
    other.close()


def test_an_unsent_message_expires_and_a_doubtful_one_ends_unknown(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    end = now + timedelta(minutes=3)
    plain = queue(database, now, "one#1", expires_at=end)
    held = queue(database, now, "one#2", expires_at=end)
    doubtful = queue(database, now, "one#3", expires_at=end)
    database.run(lambda s: hold_messages(s, Selection(key=plain), "check", None, now))
    claimed = {one.key: one for one in claim(database, now)}
    settle(database, now, (claimed[doubtful], UNKNOWN), (claimed[held], refused(-1)))
    database.run(lambda s: hold_messages(s, Selection(key=held), "check", None, now))
    assert one_sweep(database, end)["expired"] == 3
    assert [state_of(database, key) for key in (plain, held, doubtful)] == [
        "expired",
        "expired",
        "unknown",
    ]


def test_a_doubtful_message_ends_unknown_when_the_window_closes_even_while_held(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    database.run(lambda s: hold_messages(s, Selection(key=key), "check", None, now))
    one_sweep(database, now + timedelta(minutes=9))
    row = row_of(database, key)
    assert (row.state, row.reason) == ("unknown", "unknown_too_long")


def test_a_person_s_address_is_erased_from_every_message(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    done, other = queue(database, now, "one#1"), queue(database, now, "one#2", openid=openid(2))
    sending = queue(database, now, "one#3")
    [first, *_] = [one for one in claim(database, now) if one.key == done]
    settle(database, now, (first, accepted()))
    person = address_hash(OPENID)

    def leave(session: Any) -> None:
        withdraw_messages(session, Selection(person_hash=person), "left", now)
        erase_addresses(session, person)

    database.run(leave)
    assert [row_of(database, key).address for key in (done, other, sending)] == ["", openid(2), ""]


def test_opening_and_answering_are_noted_once(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    number = row_of(database, key).id
    assert database.run(lambda s: mark_opened(s, number, now))
    assert not database.run(lambda s: mark_opened(s, number, now + timedelta(1)))
    assert database.run(lambda s: mark_answered(s, number, "paid", now))
    assert not database.run(lambda s: mark_answered(s, number, "doubt", now))
    row = row_of(database, key)
    assert (row.opened_at, row.answer) == (now, "paid")
    assert events_of(database, key) == ["opened", "answered"]


def test_the_timeline_tells_everything_in_order(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, clock.move(timedelta(seconds=1)), (claimed, refused(-1)))
    later = clock.move(timedelta(minutes=1))
    [claimed] = claim(database, later)
    settle(database, later, (claimed, accepted("77")))
    with database.read() as session:
        timeline = message_timeline(session, key)
    whats = [entry.what for entry in timeline.entries]
    assert whats == [
        "queued",
        "attempt_started",
        "attempt_refused",
        "attempt_started",
        "attempt_accepted",
    ]
    refusal = timeline.entries[2]
    assert (refusal.errcode, refusal.rid, refusal.detail) == (-1, "aa-bb", "system busy")
    assert timeline.platform_msgid == "77"


def test_queries_count_and_find(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    queue(database, now, "request#1", "request#2", "other#1", outbox=an_outbox())
    with database.read() as session:
        assert count_by_state(session) == {"queued": 3}
        assert oldest_due(session, POLICY, now + timedelta(minutes=3)) == 180
        assert oldest_due(session, POLICY, now - timedelta(minutes=3)) == 0
        occasion = next_occasion(session, "arrears", "9900001203457", "c1", "request")
        assert occasion == "request#3"
    key = queue(database, now, "link#1", link_path="/h5/binding")
    token = row_of(database, key).content["url"].partition("m=")[2]
    with database.read() as session:
        assert message_of_link(session, token).key == key


def test_what_quiet_hours_hold_back_is_not_late(database: Database, clock: MovableClock) -> None:
    evening = datetime(2026, 11, 21, 21, 29, tzinfo=CHINA)
    policy = replace(POLICY, quiet_hours=(time(21, 30), time(8, 0)))
    queue(database, evening)
    morning = datetime(2026, 11, 22, 8, 5, tzinfo=CHINA)
    with database.read() as session:
        assert oldest_due(session, policy, evening + timedelta(seconds=30)) == 30
        assert oldest_due(session, policy, evening + timedelta(hours=3)) == 0
        assert oldest_due(session, policy, morning) == 300
    queue(database, evening, "fault#1", kind="outage_fault")
    with database.read() as session:
        assert oldest_due(session, policy, evening + timedelta(hours=3)) == 3 * 3600
