"""Fallback in the database: who moves to which channel when, and what late reports do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gongdian.clock import CHINA, MovableClock
from gongdian.db import Database
from gongdian.errors import InputError
from gongdian.outbox import settling
from gongdian.outbox.addresses import address_hash
from gongdian.outbox.claiming import count_due
from gongdian.outbox.costs import add_cost
from gongdian.outbox.holding import (
    Selection,
    erase_addresses,
    hold_messages,
    release_messages,
    withdraw_messages,
)
from gongdian.outbox.model import (
    ALL_SENDING,
    CHANNEL_MAIL,
    CHANNEL_SMS,
    CHANNEL_TEMPLATE,
    FallbackStep,
    Priority,
    Stop,
    channel_stop,
    kind_stop,
)
from gongdian.outbox.switches import standing_stops, start_sending, stop_sending
from gongdian.outbox.tables import message_steps
from tests.factories import (
    ACCOUNT,
    OPENID,
    UNKNOWN,
    accepted,
    claim,
    command,
    events_of,
    receipt,
    refused,
    report,
    row_of,
    settle,
    state_of,
)
from tests.fallback_factories import (
    LATE,
    MAIL_STEP,
    MAILS,
    PHONE,
    QUIET,
    SMS,
    SMS_STEP,
    WECHAT,
    claimed_sms,
    on_sms_after_silence,
    swept,
    told,
)


def test_who_left_gets_no_text_message_either(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = on_sms_after_silence(database, now, SMS_STEP, MAIL_STEP)
    person = Selection(person_hash=address_hash(OPENID))

    def leave(session: Any) -> None:
        withdraw_messages(session, person, "left", now + LATE)
        erase_addresses(session, address_hash(OPENID))

    database.run(leave)

    assert state_of(database, key) == "withdrawn"
    assert claimed_sms(database, now + LATE) == []
    with database.read() as session:
        steps = session.execute(select(message_steps.c.address)).scalars().all()
    assert (row_of(database, key).address, set(steps)) == ("", {""})


def test_a_late_failure_of_the_channel_before_does_not_end_the_text_message(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = on_sms_after_silence(database, now)
    report(database, receipt("77", now + LATE, "failed:system failed"))
    assert (state_of(database, key), events_of(database, key)[-1]) == ("queued", "receipt_past")
    assert [one.key for one in claimed_sms(database, now + LATE)] == [key]


@pytest.mark.parametrize("moment", ["waiting", "being_sent", "sent", "refused"])
def test_a_late_success_of_the_channel_before_counts_at_every_moment(
    database: Database, clock: MovableClock, moment: str
) -> None:
    now = clock.now()
    key, later = on_sms_after_silence(database, now), now + LATE
    if moment != "waiting":
        [text] = claimed_sms(database, later)
    if moment == "sent":
        settle(database, later, (text, accepted("biz^0")), policy=SMS)
    if moment == "refused":
        settle(database, later, (text, refused(47003)), policy=SMS)

    report(database, receipt("77", later))

    assert state_of(database, key) == "delivered"
    if moment == "being_sent":
        settle(database, later, (text, refused(47003)), policy=SMS)
    swept(database, later + LATE)
    row = row_of(database, key)
    assert (row.state, row.next_step, row.claimed_by) == ("delivered", None, None)
    assert claimed_sms(database, later + LATE) == []


def test_a_report_of_one_channel_is_not_for_another(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = told(database, now)
    [card] = claim(database, now)
    settle(database, now, (card, accepted("77")))
    report(database, replace(receipt("77", now), channel=CHANNEL_SMS))
    assert state_of(database, key) == "accepted"


def test_a_report_that_names_our_own_id_settles_a_text_message_in_doubt(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = told(database, now, openid="")
    [text] = claimed_sms(database, now)
    settle(database, now, (text, UNKNOWN), policy=SMS)
    assert state_of(database, key) == "unknown"
    ours = {"channel": CHANNEL_SMS, "client_msg_id": text.client_msg_id}
    report(database, replace(receipt("biz^0", now, person="13900002222"), **ours))
    assert state_of(database, key) == "unknown", "another phone"
    report(database, replace(receipt("biz^0", now, person=PHONE), **ours))
    assert state_of(database, key) == "delivered"


def test_a_report_that_came_while_the_text_was_being_sent_is_not_lost(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = told(database, now, openid="")
    [text] = claimed_sms(database, now)
    early = replace(receipt("biz^0", now, person=PHONE), channel=CHANNEL_SMS)
    report(database, replace(early, client_msg_id=text.client_msg_id))
    settle(database, now, (text, UNKNOWN), policy=SMS)
    swept(database, now)
    assert state_of(database, key) == "delivered"


def test_a_report_that_was_stored_while_the_answer_was_is_matched_by_the_sweep(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither transaction sees the other: what the settlement looks up is not there yet.
    monkeypatch.setattr(settling, "match_pending", lambda *_: None)
    now = clock.now()
    key = told(database, now, openid="")
    [text] = claimed_sms(database, now)
    early = replace(receipt("biz^0", now, person=PHONE), channel=CHANNEL_SMS)
    report(database, replace(early, client_msg_id=text.client_msg_id))
    settle(database, now, (text, accepted("biz^0")), policy=SMS)
    assert state_of(database, key) == "accepted"
    swept(database, now)
    assert state_of(database, key) == "delivered"


def test_a_template_that_is_stopped_does_not_stop_the_text_message(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = on_sms_after_silence(database, now)
    row = row_of(database, key)
    for name, expected in (
        (kind_stop(ACCOUNT, row.kind, CHANNEL_TEMPLATE), 1),
        (kind_stop(ACCOUNT, row.kind), 0),
    ):
        stops = {name: Stop(name, "test")}
        with database.begin() as session:
            assert count_due(session, SMS, stops, now + LATE, 10) == expected


def test_a_text_message_wakes_nobody_unless_it_is_critical(
    database: Database, clock: MovableClock
) -> None:
    night = datetime(2026, 11, 22, 2, 0, tzinfo=CHINA)
    quiet = replace(WECHAT, quiet_hours=QUIET)
    for number, priority in enumerate((Priority.HIGH, Priority.CRITICAL)):
        told(
            database,
            night,
            occasion=f"restored#{number}",
            priority=priority,
            kind="supply_restored",
            expires_at=night + timedelta(hours=12),
        )
    cards = claim(database, night, policy=quiet)
    settle(database, night, *((card, refused(43004)) for card in cards))
    swept(database, night, quiet)
    texts = claimed_sms(database, night + timedelta(minutes=1), quiet_hours=QUIET)
    assert [text.key.split(":")[2] for text in texts] == ["restored#1"]
    morning = datetime(2026, 11, 22, 8, 0, tzinfo=CHINA)
    assert len(claimed_sms(database, morning, quiet_hours=QUIET)) == 1


def test_old_news_does_not_follow_newer_news(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    old = told(database, now, occasion="etr#1", topic="etr")
    [card] = claim(database, now)
    settle(database, now, (card, accepted("77")))
    told(database, now, occasion="etr#2", topic="etr")
    swept(database, now + LATE)
    row = row_of(database, old)
    assert (row.channel, row.state, row.next_step) == (CHANNEL_TEMPLATE, "accepted", None)


def test_what_nobody_tried_is_not_moved_unless_its_channel_is_blocked(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = told(database, now)
    swept(database, now + LATE)
    assert row_of(database, key).channel == CHANNEL_TEMPLATE, "the worker was down"
    name = channel_stop(CHANNEL_TEMPLATE, ACCOUNT)
    everything = Stop(ALL_SENDING, "wrong tariff")
    database.run(lambda s: stop_sending(s, everything, "chen", now))
    database.run(lambda s: stop_sending(s, Stop(name, "quota"), "relay", now))
    swept(database, now + LATE)
    assert row_of(database, key).channel == CHANNEL_TEMPLATE, "all sending is stopped"
    database.run(lambda s: start_sending(s, ALL_SENDING, "chen", now))
    with database.read() as session:
        assert list(standing_stops(session, now)) == [name]
    swept(database, now + LATE)
    assert row_of(database, key).channel == CHANNEL_SMS


def test_a_class_without_quota_moves_on_too(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    key = told(database, now)
    swept(database, now + LATE, replace(WECHAT, daily_quota=0))
    assert row_of(database, key).channel == CHANNEL_SMS


def test_the_daily_cap_counts_a_person_on_all_channels(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    policy = {"contact_daily_cap": 1}
    told(database, now, occasion="one#1", is_legal=False)
    key = told(database, now, occasion="two#1", is_legal=False)
    first = claim(database, now, policy=replace(WECHAT, **policy))
    assert len(first) == 1
    settle(database, now, (first[0], refused(43004)))
    swept(database, now)
    assert [one.key for one in claimed_sms(database, now, **policy)] == [first[0].key]
    swept(database, now + LATE)
    assert row_of(database, key).reason == "contact_daily_cap"
    assert claimed_sms(database, now + LATE, **policy) == []


def test_urgent_text_messages_find_some_of_the_days_money_left(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    budget = replace(SMS, daily_cost_fen=100)
    low = told(database, now, openid="", occasion="low#1", priority=Priority.LOW)
    high = told(database, now, openid="", occasion="high#1", priority=Priority.HIGH)
    database.run(lambda session: add_cost(session, budget, 75, now))
    assert [one.key for one in claim(database, now, policy=budget)] == [high]
    assert state_of(database, low) == "queued"


@pytest.mark.parametrize(("priority", "moves"), [(Priority.LOW, False), (Priority.HIGH, True)])
def test_an_unknown_end_waits_as_long_as_silence_would(
    database: Database, clock: MovableClock, priority: Priority, moves: bool
) -> None:
    now = clock.now()
    key = told(database, now, priority=priority)
    [card] = claim(database, now)
    settle(database, now, (card, UNKNOWN))
    swept(database, now + timedelta(minutes=10))
    assert (row_of(database, key).channel, state_of(database, key)) == (
        CHANNEL_TEMPLATE,
        "unknown",
    )
    swept(database, now + LATE)
    assert (row_of(database, key).channel == CHANNEL_SMS) is moves


def test_nobody_reports_that_a_mail_arrived_so_silence_moves_nothing(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    far = now + timedelta(days=30)
    key = told(database, now, MAIL_STEP, SMS_STEP, openid="", expires_at=far)
    [mail] = claim(database, now, policy=MAILS)
    settle(database, now, (mail, accepted("a" * 32)), policy=MAILS)
    swept(database, now + timedelta(hours=5))
    assert state_of(database, key) == "accepted"
    swept(database, now + timedelta(hours=49))
    swept(database, now + timedelta(hours=50))
    row = row_of(database, key)
    assert (row.state, row.reason, row.channel) == ("unknown", "no_receipt", CHANNEL_MAIL)
    returned = replace(receipt("a" * 32, now, "failed:5.1.1"), channel=CHANNEL_MAIL)
    report(database, returned)
    swept(database, now + timedelta(hours=50))
    assert row_of(database, key).channel == CHANNEL_SMS


def test_a_held_message_goes_to_no_further_channel_until_released(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = told(database, now)
    [card] = claim(database, now)
    settle(database, now, (card, accepted("77")))
    chosen = Selection(key=key)
    assert database.run(lambda s: hold_messages(s, chosen, "check", None, now)) == 1
    swept(database, now + LATE)
    assert state_of(database, key) == "accepted"
    assert database.run(lambda s: release_messages(s, chosen, now + LATE)) == 1
    swept(database, now + LATE)
    assert row_of(database, key).channel == CHANNEL_SMS


def test_a_message_held_while_it_was_being_sent_comes_back_held(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = told(database, now)
    [card] = claim(database, now)
    chosen = Selection(key=key)
    assert database.run(lambda s: hold_messages(s, chosen, "check", None, now)) == 1
    settle(database, now, (card, refused(-1)))
    assert state_of(database, key) == "held"
    database.run(lambda s: release_messages(s, chosen, now))
    assert state_of(database, key) == "queued"


def test_a_late_acceptance_of_a_left_channel_is_remembered_for_its_report(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    key = told(database, now)
    [card] = claim(database, now)
    swept(database, now + timedelta(minutes=2))
    swept(database, now + timedelta(minutes=11))
    swept(database, now + LATE)
    assert row_of(database, key).channel == CHANNEL_SMS
    settle(database, now + LATE, (card, accepted("88")))
    assert state_of(database, key) == "queued"
    report(database, receipt("88", now + LATE))
    assert state_of(database, key) == "delivered"


def test_a_wait_of_nothing_is_a_wait_of_nothing(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    at_once = FallbackStep(CHANNEL_SMS, PHONE, timedelta(0))
    key = told(database, now, at_once, priority=Priority.LOW)
    assert row_of(database, key).switch_at == now


def test_too_many_channels_are_refused(database: Database, clock: MovableClock) -> None:
    with pytest.raises(InputError, match="too_many_channels"):
        told(database, clock.now(), *[SMS_STEP] * 6)
    assert command().fallbacks == ()


def test_the_person_of_a_message_stays_the_same(database: Database, clock: MovableClock) -> None:
    row = row_of(database, on_sms_after_silence(database, clock.now()))
    assert bytes(row.person_hash) == address_hash(OPENID)
    assert bytes(row.address_hash) == address_hash(PHONE)
