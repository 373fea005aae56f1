"""What reaches a message that moves: receipts without an id, pages opened, addresses dropped."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gongdian.clock import CHINA, MovableClock
from gongdian.db import Database
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.answers import mark_opened
from gongdian.outbox.holding import (
    drop_address,
)
from gongdian.outbox.model import (
    CHANNEL_MAIL,
    CHANNEL_SMS,
    CHANNEL_TEMPLATE,
    Stop,
    kind_stop,
)
from gongdian.outbox.switches import stop_sending
from tests.factories import (
    ACCOUNT,
    OPENID,
    UNKNOWN,
    accepted,
    claim,
    receipt,
    refused,
    report,
    row_of,
    settle,
    state_of,
)
from tests.fallback_factories import (
    LATE,
    MAIL,
    MAIL_STEP,
    PHONE,
    QUIET,
    SMS_STEP,
    WECHAT,
    claimed_sms,
    on_sms_after_silence,
    swept,
    told,
)


@pytest.mark.parametrize("stored_at", [timedelta(seconds=3), LATE - timedelta(seconds=10)])
def test_a_receipt_without_an_id_that_lies_here_keeps_the_message_from_moving(
    database: Database, clock: MovableClock, stored_at: timedelta
) -> None:
    now = clock.now()
    key = told(database, now)
    [card] = claim(database, now)
    settle(database, now, (card, accepted("0")))
    report(database, receipt("0", now + stored_at))
    swept(database, now + LATE)
    assert row_of(database, key).channel == CHANNEL_TEMPLATE
    swept(database, now + LATE + timedelta(minutes=1))
    assert state_of(database, key) == "delivered"


def test_a_receipt_without_an_id_is_for_the_card_that_was_left_and_not_for_the_next_one(
    database: Database, clock: MovableClock
) -> None:
    now, grace = clock.now(), timedelta(minutes=1)
    left = told(database, now)
    [card] = claim(database, now)
    settle(database, now, (card, accepted("0")))
    swept(database, now + LATE)
    assert row_of(database, left).channel == CHANNEL_SMS
    newer = told(database, now + LATE, occasion="two#1")
    [card] = claim(database, now + LATE)
    settle(database, now + LATE, (card, accepted("0")))
    report(database, receipt("0", now + LATE + grace, "failed:user block"))
    swept(database, now + LATE + 2 * grace)
    assert (state_of(database, left), state_of(database, newer)) == ("queued", "accepted")
    report(database, receipt("0", now + LATE + 2 * grace))
    swept(database, now + LATE + 4 * grace)
    assert state_of(database, newer) == "delivered"


def test_a_kind_that_is_stopped_on_wechat_moves_on(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = told(database, now)
    stop = Stop(kind_stop(ACCOUNT, row_of(database, key).kind, CHANNEL_TEMPLATE), "40037")
    database.run(lambda s: stop_sending(s, stop, "relay", now))
    swept(database, now + LATE)
    assert row_of(database, key).channel == CHANNEL_SMS


def test_who_has_opened_the_page_gets_no_text_message(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = on_sms_after_silence(database, now)
    number = row_of(database, key).id
    database.run(lambda s: mark_opened(s, number, now + LATE))
    assert state_of(database, key) == "delivered"
    assert claimed_sms(database, now + LATE) == []


def test_an_address_that_is_dropped_gets_nothing_and_the_next_channel_does(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = on_sms_after_silence(database, now, SMS_STEP, MAIL_STEP)
    waiting = told(database, now + LATE, SMS_STEP, occasion="two#1")
    database.run(lambda s: drop_address(s, address_hash(OPENID), address_hash(PHONE), now + LATE))
    swept(database, now + LATE)
    assert (row_of(database, key).channel, row_of(database, key).address) == (CHANNEL_MAIL, MAIL)
    [card] = claim(database, now + LATE)
    settle(database, now + LATE, (card, refused(43004)))
    swept(database, now + LATE)
    row = row_of(database, waiting)
    assert (row.state, row.channel, row.next_step) == ("failed", CHANNEL_TEMPLATE, None)


def test_a_step_that_could_only_begin_too_late_is_passed_over(
    database: Database, clock: MovableClock
) -> None:
    evening = datetime(2026, 11, 21, 22, 0, tzinfo=CHINA)
    quiet = replace(WECHAT, quiet_hours=QUIET)
    end = evening + timedelta(hours=8)
    kind = {"kind": "supply_restored", "expires_at": end}
    both = told(database, evening, SMS_STEP, MAIL_STEP, **kind)
    only = told(database, evening, SMS_STEP, occasion="two#1", **kind)
    cards = claim(database, evening, policy=quiet)
    settle(database, evening, *((card, accepted(card.key[-7:])) for card in cards))
    swept(database, evening + LATE, quiet)
    assert row_of(database, both).channel == CHANNEL_MAIL
    row = row_of(database, only)
    assert (row.channel, row.state, row.next_step) == (CHANNEL_TEMPLATE, "accepted", None)


def test_receipts_of_other_systems_do_not_stand_in_the_way(
    database: Database, clock: MovableClock
) -> None:
    """A doubt of last week is no candidate: only what was tried within two days is."""
    week = clock.now() - timedelta(days=5)
    old = told(database, week, occasion="old#1")
    [card] = claim(database, week)
    settle(database, week, (card, UNKNOWN))
    swept(database, week + timedelta(minutes=10))
    assert state_of(database, old) == "unknown"
    now = clock.now()
    report(database, receipt("999", now))
    key = told(database, now)
    [card] = claim(database, now)
    settle(database, now, (card, UNKNOWN))
    report(database, receipt("0", now + timedelta(seconds=1)))
    swept(database, now + timedelta(minutes=1))
    assert (state_of(database, key), state_of(database, old)) == ("delivered", "unknown")
