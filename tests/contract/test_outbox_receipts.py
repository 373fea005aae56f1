"""Receipts: matched by MsgID, else by person and time; early, late, double, foreign ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.outbox import settling
from gongdian.outbox.tables import pending_receipts
from tests.factories import (
    UNKNOWN,
    accepted,
    claim,
    events_of,
    one_sweep,
    openid,
    queue,
    receipt,
    refused,
    report,
    row_of,
    settle,
    state_of,
)

GRACE = timedelta(seconds=30)
SOON = timedelta(seconds=3)


def waiting(database: Database) -> int:
    with database.read() as session:
        query = select(func.count()).select_from(pending_receipts)
        return int(session.execute(query).scalar_one())


def send(database: Database, now: Any, msgid: str, occasion: str = "one#1", **changes: Any) -> str:
    """Queue one message and let the platform accept it."""
    key = queue(database, now, occasion, **changes)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, accepted(msgid)))
    return key


def test_a_receipt_finds_its_message_by_msgid(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = send(database, now, "77")
    assert report(database, receipt("77", now + SOON)) == 1
    row = row_of(database, key)
    assert (row.state, row.receipt_status, row.reason) == ("delivered", "success", "")
    assert (row.receipt_at, row.closed_at, waiting(database)) == (now + SOON, now + SOON, 0)


@pytest.mark.parametrize("status", ["failed:user block", "failed:system failed", "failed:freq"])
def test_a_failed_receipt_fails_the_message_with_its_reason(
    database: Database, clock: MovableClock, status: str
) -> None:
    now = clock.now()
    key = send(database, now, "77")
    report(database, receipt("77", now + SOON, status))
    row = row_of(database, key)
    assert (row.state, row.reason) == ("failed", "receipt_" + status.removeprefix("failed:"))


def test_a_receipt_that_comes_before_the_answer_waits_for_it(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    assert report(database, receipt("77", now + SOON)) == 0
    assert (state_of(database, key), waiting(database)) == ("sending", 1)
    settle(database, now + 2 * SOON, (claimed, accepted("77")))
    assert (state_of(database, key), waiting(database)) == ("delivered", 0)


def test_a_receipt_that_was_stored_while_the_answer_was_is_matched_by_the_sweep(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither transaction sees the other: what the settlement looks up is not there yet.
    monkeypatch.setattr(settling, "match_pending", lambda *_: None)
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    report(database, receipt("77", now + SOON))
    settle(database, now + SOON, (claimed, accepted("77")))
    assert state_of(database, key) == "accepted"
    one_sweep(database, now + SOON + GRACE)
    assert (state_of(database, key), waiting(database)) == ("delivered", 0)


def test_without_a_msgid_the_oldest_open_message_of_the_person_gets_the_receipt(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    other = send(database, now, "0", recipient="c2", openid=openid(2))
    first = send(database, now, "0", "one#1")
    second = send(database, now + SOON, "0", "one#2")
    assert report(database, receipt("0", now + 2 * SOON)) == 0
    one_sweep(database, now + 2 * SOON)
    assert state_of(database, first) == "accepted", "the answer may still be on its way"
    one_sweep(database, now + 2 * SOON + GRACE)
    states = [state_of(database, key) for key in (first, second, other)]
    assert states == ["delivered", "accepted", "accepted"]
    assert events_of(database, first) == ["receipt_by_time"]
    report(database, receipt("0", now + 3 * SOON, no=2))
    one_sweep(database, now + 3 * SOON + GRACE)
    assert state_of(database, second) == "delivered"


def test_a_receipt_from_before_a_message_was_sent_is_not_its_own(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    report(database, receipt("0", now - SOON))
    key = send(database, now, "0")
    one_sweep(database, now + GRACE)
    assert state_of(database, key) == "accepted"


def test_a_receipt_settles_an_unknown_outcome(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    report(database, receipt("0", now + SOON))
    one_sweep(database, now + SOON + GRACE)
    assert state_of(database, key) == "delivered"


def test_a_receipt_with_an_id_waits_until_nobody_tries_any_more(
    database: Database, clock: MovableClock
) -> None:
    """It may be another system's: while the message is tried again, the answer tells."""
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    report(database, receipt("77", now + SOON))
    one_sweep(database, now + SOON + GRACE)
    assert state_of(database, key) == "queued"
    later = now + timedelta(minutes=10)
    one_sweep(database, later)
    assert state_of(database, key) == "unknown"
    one_sweep(database, later)
    assert state_of(database, key) == "delivered"
    assert claim(database, now + timedelta(minutes=5)) == []


def test_a_receipt_settles_even_what_was_given_up_as_unknown(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    one_sweep(database, now + timedelta(minutes=9))
    assert state_of(database, key) == "unknown"
    report(database, receipt("0", now + timedelta(minutes=10)))
    one_sweep(database, now + timedelta(minutes=11))
    assert state_of(database, key) == "delivered"


def test_the_same_receipt_twice_changes_nothing(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = send(database, now, "77")
    one = receipt("77", now + SOON)
    report(database, one)
    report(database, one, receipt("77", now + 2 * SOON, no=2))
    row = row_of(database, key)
    assert (row.state, row.receipt_at) == ("delivered", now + SOON)
    early = receipt("99", now)
    report(database, early, early)
    report(database, early)
    assert waiting(database) == 1


def test_the_first_of_two_conflicting_receipts_counts(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = send(database, now, "77")
    report(database, receipt("77", now + SOON))
    report(database, receipt("77", now + 2 * SOON, "failed:user block"))
    assert (state_of(database, key), row_of(database, key).receipt_status) == (
        "delivered",
        "success",
    )
    assert events_of(database, key) == ["receipt_again"]


def test_a_foreign_msgid_touches_no_accepted_message_and_is_forgotten_in_two_days(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = send(database, now, "77")
    report(database, receipt("4711", now + SOON), receipt("77", now + SOON, person=openid(9)))
    one_sweep(database, now + SOON + GRACE)
    assert (state_of(database, key), waiting(database)) == ("accepted", 2)
    one_sweep(database, now + timedelta(hours=48, seconds=4))
    assert waiting(database) == 0


def test_another_system_s_many_receipts_do_not_hide_ours(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    foreign = [receipt(str(9000 + n), now, person=openid(100 + n)) for n in range(400)]
    nameless = [receipt("0", now, person=openid(600 + n)) for n in range(200)]
    report(database, *foreign)
    report(database, *nameless)
    key = send(database, now, "0")
    report(database, receipt("0", now + SOON))
    one_sweep(database, now + SOON + GRACE)
    assert state_of(database, key) == "delivered"


def test_without_any_receipt_the_outcome_is_unknown_in_the_end(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = send(database, now, "77")
    one_sweep(database, now + timedelta(hours=48))
    assert state_of(database, key) == "accepted"
    one_sweep(database, now + timedelta(hours=48, seconds=1))
    row = row_of(database, key)
    assert (row.state, row.reason) == ("unknown", "no_receipt")
    report(database, receipt("77", now + timedelta(hours=49)))
    assert state_of(database, key) == "delivered", "a late word is better than none"


def test_a_receipt_does_not_revive_what_was_refused(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, refused(47003)))
    report(database, receipt("0", now + SOON))
    one_sweep(database, now + SOON + GRACE)
    assert state_of(database, key) == "failed"


def test_a_receipt_for_a_first_try_finds_the_message_that_a_second_try_settled(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = queue(database, now)
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    report(database, receipt("0", now + SOON))
    later = row_of(database, key).not_before
    [again] = claim(database, later)
    settle(database, later, (again, accepted("0")))
    one_sweep(database, later + GRACE)
    assert state_of(database, key) == "delivered"


def test_by_person_and_time_an_accepted_message_comes_before_a_doubtful_one(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    doubtful = queue(database, now, "one#1")
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    newer = send(database, now + SOON, "0", "one#2")
    report(database, receipt("0", now + 2 * SOON))
    one_sweep(database, now + 2 * SOON + GRACE)
    # The doubtful one was perhaps never shown.
    assert (state_of(database, doubtful), state_of(database, newer)) == ("queued", "delivered")


@pytest.mark.parametrize("msgid", ["0", "77"])
def test_a_receipt_that_may_be_for_two_doubtful_messages_waits_for_the_next_try(
    database: Database, clock: MovableClock, msgid: str
) -> None:
    now = clock.now()
    unseen, shown = queue(database, now, "one#1"), queue(database, now, "one#2")
    claimed = claim(database, now)
    settle(database, now, *((one, UNKNOWN) for one in claimed))
    report(database, receipt(msgid, now + SOON))
    one_sweep(database, now + SOON + GRACE)
    assert [state_of(database, key) for key in (unseen, shown)] == ["queued", "queued"]
    later = now + SOON + GRACE
    again = {one.key: one for one in claim(database, later)}
    settle(database, later, (again[shown], accepted(msgid)))
    one_sweep(database, later + SOON)
    assert [state_of(database, key) for key in (unseen, shown)] == ["sending", "delivered"]


def test_a_receipt_waits_while_another_message_to_the_person_is_being_sent(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    doubtful = queue(database, now, "one#1")
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    lost = queue(database, now, "one#2")
    claim(database, now)
    report(database, receipt("77", now + SOON))
    one_sweep(database, now + SOON + GRACE)
    assert (state_of(database, doubtful), state_of(database, lost)) == ("queued", "sending")
