"""The relay from end to end over a scripted platform: stops, outages, crashes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gongdian.accounts.queries import contact_by_id
from gongdian.accounts.service import follow
from gongdian.alarms import standing_alarms
from gongdian.clock import MovableClock
from gongdian.db import Database, Session
from gongdian.errors import OutcomeUnknownError, UpstreamError
from gongdian.outbox import delivery
from gongdian.outbox.delivery import Delivery
from gongdian.outbox.model import (
    ALL_SENDING,
    CHANNEL_TEMPLATE,
    SettleReport,
    Stop,
    channel_stop,
    kind_stop,
)
from gongdian.outbox.queries import count_by_state
from gongdian.outbox.switches import standing_stops, start_sending, stop_sending
from gongdian.ports import Acceptance, TemplateSend
from tests.factories import (
    ACCOUNT,
    OPENID,
    ScriptedWechat,
    a_relay,
    attempts_of,
    errcode,
    one_sweep,
    openid,
    queue,
    row_of,
    state_of,
)


def work(relay: Delivery, *, seconds: float = 20.0) -> None:
    """Step until there is nothing to do."""
    give_up = time.monotonic() + seconds
    while relay.step():
        assert time.monotonic() < give_up, "the relay found no end"


def wait_until(relay: Delivery, reached: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20.0
    while not reached():
        assert time.monotonic() < give_up, "it did not happen"
        relay.step()
        time.sleep(0.01)


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        return count_by_state(session)


def test_the_relay_sends_everything_once(database: Database, clock: MovableClock) -> None:
    for number in range(30):
        queue(database, clock.now(), openid=openid(number), recipient=f"c{number}")
    wechat = ScriptedWechat()
    with a_relay(database, wechat, clock) as relay:
        work(relay)
    assert counts(database) == {"accepted": 30}
    assert len(set(wechat.shown())) == len(wechat.shown()) == 30
    assert wechat.sent[0].data["thing1"] == "云溪恒源铸造有限公司"


def test_the_rate_bounds_what_is_sent_in_a_second(database: Database, clock: MovableClock) -> None:
    for number in range(12):
        queue(database, clock.now(), openid=openid(number), recipient=f"c{number}")
    wechat = ScriptedWechat()
    with a_relay(database, wechat, clock, per_second=5) as relay:
        work(relay)
        assert len(wechat.sent) == 5
        clock.move(timedelta(seconds=1))
        work(relay)
        assert len(wechat.sent) == 10


def test_each_outcome_of_a_call_leads_to_its_state(database: Database, clock: MovableClock) -> None:
    script: list[Any] = [
        errcode(47003, "data.thing1.value invalid"),
        OutcomeUnknownError("timeout"),
        UpstreamError("no_connection"),
        ValueError("a bug"),
        errcode(-1),
    ]
    keys = [
        queue(database, clock.now() - timedelta(seconds=9 - n), f"one#{n}", is_legal=True)
        for n in range(6)
    ]
    with a_relay(database, ScriptedWechat(script), clock, concurrency=1) as relay:
        work(relay)
    assert [attempts_of(database, key) for key in keys] == [
        ["refused"],
        ["unknown"],
        ["not_sent"],
        ["unknown"],
        ["refused"],
        ["accepted"],
    ]
    assert counts(database) == {"failed": 1, "queued": 4, "accepted": 1}


def test_a_recipient_who_does_not_follow_is_marked(database: Database, clock: MovableClock) -> None:
    contact = database.run(lambda s: follow(s, ACCOUNT, OPENID, "", clock.now()))
    queue(database, clock.now())
    with a_relay(database, ScriptedWechat([errcode(43004)]), clock) as relay:
        work(relay)
    with database.read() as session:
        assert contact_by_id(session, contact.id).state == "refused"


def test_a_used_up_day_stops_the_channel_and_raises_an_alarm(
    database: Database, clock: MovableClock
) -> None:
    queue(database, clock.now())
    with a_relay(database, ScriptedWechat([errcode(45009)]), clock) as relay:
        work(relay)
        late = queue(database, clock.now(), "two#1")
        work(relay)
        assert state_of(database, late) == "queued"
        clock.move(timedelta(hours=14))
        time.sleep(0.3)  # the stops are read again four times a second
        work(relay)
        assert counts(database) == {"accepted": 2}
    with database.read() as session:
        assert [alarm.key for alarm in standing_alarms(session)] == ["wechat_45009"]


def test_a_refused_template_stops_its_kind_and_nothing_else(
    database: Database, clock: MovableClock
) -> None:
    queue(database, clock.now())
    with a_relay(database, ScriptedWechat([errcode(40037)] * 2), clock) as relay:
        work(relay)
        clock.move(timedelta(minutes=5))
        work(relay)
        other = queue(database, clock.now(), "two#1", kind="supply_restored")
        same = queue(database, clock.now(), "three#1")
        wait_until(relay, lambda: state_of(database, other) == "accepted")
        assert state_of(database, same) == "queued"
    with database.read() as session:
        assert list(standing_stops(session, clock.now())) == [
            kind_stop(ACCOUNT, "arrears_bill", CHANNEL_TEMPLATE)
        ]


def test_the_switch_stops_at_the_next_step_and_claimed_messages_go_back_unsent(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_STOPS_EVERY_S", 0.0)
    for number in range(8):
        queue(database, clock.now(), openid=openid(number), recipient=f"c{number}")
    stop = Stop(ALL_SENDING, "wrong tariff")

    def stop_meanwhile(message: TemplateSend) -> Acceptance:
        database.run(lambda session: stop_sending(session, stop, "chen", clock.now()))
        time.sleep(0.3)
        return Acceptance("1")

    wechat = ScriptedWechat([stop_meanwhile])
    with a_relay(database, wechat, clock, concurrency=1) as relay:
        wait_until(relay, lambda: counts(database).get("accepted", 0) == 1)
        work(relay)
        assert len(wechat.sent) < 8
        sent = len(wechat.sent)
        for _ in range(3):
            clock.move(timedelta(minutes=1))
            relay.step()
        assert len(wechat.sent) == sent
        assert counts(database) == {"accepted": sent, "queued": 8 - sent}
        database.run(lambda session: start_sending(session, ALL_SENDING, "chen", clock.now()))
        wait_until(relay, lambda: counts(database) == {"accepted": 8})
    assert len(wechat.sent) == 8


def test_closing_gives_unsent_claims_back(database: Database, clock: MovableClock) -> None:
    for number in range(8):
        queue(database, clock.now(), openid=openid(number), recipient=f"c{number}")

    def slow(message: TemplateSend) -> Acceptance:
        time.sleep(0.2)
        return Acceptance("1")

    wechat = ScriptedWechat([slow])
    with a_relay(database, wechat, clock, concurrency=1) as relay:
        relay.step()
    sent = len(wechat.sent)
    assert counts(database) == {"accepted": sent, "queued": 8 - sent}


def test_a_settlement_that_the_database_cannot_take_is_tried_again(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = queue(database, clock.now())
    real, failures = delivery.settle_attempts, [1, 2]

    def unwilling(*arguments: Any) -> Any:
        if failures:
            failures.pop()
            raise UpstreamError("database_unavailable", transient=False)
        return real(*arguments)

    monkeypatch.setattr(delivery, "settle_attempts", unwilling)
    wechat = ScriptedWechat()
    with a_relay(database, wechat, clock) as relay:
        wait_until(relay, lambda: not failures)
        work(relay)
    assert (state_of(database, key), len(wechat.sent)) == ("accepted", 1)


def test_a_settlement_whose_answer_was_lost_is_not_written_twice(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [queue(database, clock.now(), f"one#{number}") for number in range(3)]
    real, losses, batches = database.run, [1, 2], []

    def forgetful(work: Callable[[Session], Any]) -> Any:
        result = real(work)
        if isinstance(result, SettleReport):
            batches.append(result)
            if losses:
                losses.pop()
                raise UpstreamError("database_unavailable", transient=False)
        return result

    monkeypatch.setattr(database, "run", forgetful)
    with a_relay(database, ScriptedWechat(), clock, concurrency=1) as relay:
        work(relay)
    assert len(batches) > 2
    assert counts(database) == {"accepted": 3}
    assert [len(attempts_of(database, key)) for key in keys] == [1, 1, 1]


def test_one_attempt_that_cannot_be_written_does_not_hold_up_the_others(
    database: Database, clock: MovableClock
) -> None:
    def odd(message: TemplateSend) -> Acceptance:
        return Acceptance("1", "a request id that ends in a blank ")

    keys = [queue(database, clock.now() - timedelta(seconds=9 - n), f"one#{n}") for n in range(4)]
    with a_relay(database, ScriptedWechat([odd]), clock, concurrency=1) as relay:
        wait_until(relay, lambda: counts(database).get("accepted", 0) == 3)
    assert state_of(database, keys[0]) == "sending"
    one_sweep(database, clock.move(timedelta(seconds=61)))
    assert row_of(database, keys[0]).unknown_since is not None


def test_while_the_stops_cannot_be_read_nothing_is_sent(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(database, clock.now())

    def gone(*_: Any) -> Any:
        raise UpstreamError("database_unavailable")

    monkeypatch.setattr(delivery, "standing_stops", gone)
    wechat = ScriptedWechat()
    with a_relay(database, wechat, clock) as relay:
        assert not relay.step()
    assert wechat.sent == []


def test_a_second_try_does_not_go_out_after_the_platform_s_window(
    database: Database, clock: MovableClock
) -> None:
    key = queue(database, clock.now())
    first = clock.now()

    def dawdle(message: TemplateSend) -> Acceptance:
        clock.move(first + timedelta(minutes=9) - clock.now())
        return Acceptance("9")

    wechat = ScriptedWechat([OutcomeUnknownError("timeout"), dawdle])
    lease = timedelta(minutes=20)
    with a_relay(database, wechat, clock, concurrency=1, lease=lease) as relay:
        work(relay)
        clock.move(timedelta(minutes=8, seconds=50))
        queue(database, clock.now(), "urgent#1", kind="outage_fault")
        work(relay)
        work(relay)
    assert state_of(database, key) == "unknown"
    assert len(wechat.sent) == 2


def test_a_channel_stop_of_another_account_stops_nothing_here(
    database: Database, clock: MovableClock
) -> None:
    stop = Stop(channel_stop("wechat_template", "wxother"), "quota")
    database.run(lambda session: stop_sending(session, stop, "relay", clock.now()))
    queue(database, clock.now())
    with a_relay(database, ScriptedWechat(), clock) as relay:
        work(relay)
    assert counts(database) == {"accepted": 1}


def test_a_platform_that_does_not_answer_is_left_alone_and_tried_with_one_message(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_STOPS_EVERY_S", 0.0)
    for number in range(60):
        queue(database, clock.now(), openid=openid(number), recipient=f"c{number}")
    wechat = ScriptedWechat([OutcomeUnknownError("timeout")] * 11)
    with a_relay(database, wechat, clock, concurrency=1) as relay:
        work(relay)
        assert len(wechat.sent) == 10
        assert counts(database) == {"queued": 60}
        clock.move(timedelta(seconds=29))
        work(relay)
        assert len(wechat.sent) == 10
        clock.move(timedelta(seconds=1))
        work(relay)
        assert len(wechat.sent) == 11, "one tries, and finds silence again"
        for _ in range(10):
            clock.move(timedelta(seconds=31))
            work(relay)
        assert counts(database) == {"accepted": 60}
    assert len(set(wechat.shown())) == 60
    with database.read() as session:
        (alarm,) = standing_alarms(session)
    assert (alarm.key, alarm.times) == ("wechat_template_silent", 2)
    assert "微信接口连续10次没有应答" in alarm.text


def test_a_slow_database_does_not_look_like_the_end_of_the_work(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it answers all threads fall idle: the step must see that before it claims."""
    for number in range(60):
        queue(database, clock.now(), openid=openid(number), recipient=f"c{number}")
    real = delivery.standing_stops

    def slow(*arguments: Any) -> Any:
        time.sleep(0.15)
        return real(*arguments)

    monkeypatch.setattr(delivery, "standing_stops", slow)
    monkeypatch.setattr(delivery, "_STOPS_EVERY_S", 0.0)
    with a_relay(database, ScriptedWechat(), clock, concurrency=4) as relay:
        work(relay)
        assert counts(database) == {"accepted": 60}
