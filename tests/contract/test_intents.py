"""Intents: written once, performed once, and never lost with their neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gongdian.alarms import standing_alarms
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import InputError, OutcomeUnknownError, UpstreamError
from gongdian.outbox import intents as module
from gongdian.outbox.intents import add_intent, perform_intents
from gongdian.outbox.model import ALL_SENDING, Stop
from gongdian.outbox.queries import count_intents
from gongdian.outbox.switches import start_sending, stop_sending
from gongdian.outbox.tables import intents
from tests.factories import errcode


class Performed:
    """Remembers what it was asked; fails as scripted."""

    def __init__(self, *script: Exception | None) -> None:
        self.script = list(script)
        self.texts: list[str] = []

    def __call__(self, payload: Mapping[str, Any]) -> None:
        self.texts.append(payload["text"])
        failure = self.script.pop(0) if self.script else None
        if failure is not None:
            raise failure


def add(
    database: Database,
    now: datetime,
    *texts: str,
    kind: str = "wechat_text",
    life: timedelta = timedelta(hours=1),
) -> None:
    for text in texts or ("hello",):
        payload = {"openid": "o1", "text": text}
        database.run(
            lambda s: add_intent(
                s,
                f"reply:{text}",  # noqa: B023
                kind,
                payload,  # noqa: B023
                now,
                expires_at=now + life,
            )
        )


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        return count_intents(session)


def alarms(database: Database) -> list[str]:
    with database.read() as session:
        return [alarm.key for alarm in standing_alarms(session)]


def test_an_intent_is_written_and_performed_once(database: Database, clock: MovableClock) -> None:
    now, send = clock.now(), Performed()
    add(database, now, "hello", "hello", "bye")
    assert [perform_intents(database, {"wechat_text": send}, now) for _ in range(3)] == [1, 1, 0]
    assert (send.texts, counts(database)) == (["hello", "bye"], {"done": 2})


def test_a_passing_fault_brings_an_intent_back_later_and_later(
    database: Database, clock: MovableClock
) -> None:
    send = Performed(*[UpstreamError("down")] * 9)
    add(database, clock.now())
    for wait in (5, 10, 20, 40, 80):
        assert perform_intents(database, {"wechat_text": send}, clock.now()) == 1
        clock.move(timedelta(seconds=wait - 1))
        assert perform_intents(database, {"wechat_text": send}, clock.now()) == 0
        clock.move(timedelta(seconds=1))
    perform_intents(database, {"wechat_text": send}, clock.now())
    assert counts(database) == {"failed": 1}
    assert len(send.texts) == 6
    assert alarms(database) == ["intent_failed_wechat_text"]


def test_a_refusal_of_the_whole_channel_waits_and_raises_an_alarm(
    database: Database, clock: MovableClock
) -> None:
    send = Performed(*[errcode(40164)] * 9)
    add(database, clock.now())
    for _ in range(9):
        assert perform_intents(database, {"wechat_text": send}, clock.now()) == 1
        assert perform_intents(database, {"wechat_text": send}, clock.now()) == 0
        clock.move(timedelta(minutes=5))
    assert (counts(database), alarms(database)) == ({"pending": 1}, ["wechat_40164"])
    perform_intents(database, {"wechat_text": send}, clock.now())
    assert counts(database) == {"done": 1}


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (InputError("too_long"), "failed"),
        (OutcomeUnknownError("timeout"), "unknown"),
        (ValueError("a bug"), "unknown"),
    ],
)
def test_a_fault_for_good_ends_an_intent_and_not_its_neighbours(
    database: Database, clock: MovableClock, failure: Exception, state: str
) -> None:
    now, send = clock.now(), Performed(failure)
    add(database, now, "one", "two")
    for _ in range(2):
        perform_intents(database, {"wechat_text": send}, now)
    assert counts(database) == {state: 1, "done": 1}


def test_a_kind_that_nothing_performs_fails(database: Database, clock: MovableClock) -> None:
    add(database, clock.now(), kind="carrier_pigeon")
    perform_intents(database, {}, clock.now())
    assert counts(database) == {"failed": 1}


def test_an_intent_that_waited_too_long_is_not_performed(
    database: Database, clock: MovableClock
) -> None:
    send = Performed()
    add(database, clock.now())
    assert perform_intents(database, {"wechat_text": send}, clock.move(timedelta(hours=1))) == 0
    assert counts(database) == {"expired": 1}


def test_an_intent_whose_worker_is_gone_ends_unknown(
    database: Database, clock: MovableClock
) -> None:
    class Killed(BaseException):
        pass

    send = Performed(Killed())  # type: ignore[arg-type]
    add(database, clock.now())
    with pytest.raises(Killed):
        perform_intents(database, {"wechat_text": send}, clock.now())
    perform_intents(database, {"wechat_text": send}, clock.move(timedelta(seconds=61)))
    assert (counts(database), len(send.texts)) == ({"unknown": 1}, 1)


def test_when_the_database_goes_meanwhile_the_others_are_still_performed(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = module._settle, [1]

    def unwilling(*arguments: Any) -> None:
        if failures:
            failures.pop()
            raise UpstreamError("database_unavailable", transient=False)
        real(*arguments)

    monkeypatch.setattr(module, "_settle", unwilling)
    send = Performed()
    add(database, clock.now(), "one", "two")
    for _ in range(2):
        perform_intents(database, {"wechat_text": send}, clock.now())
    assert send.texts == ["one", "two"]
    assert counts(database) == {"claimed": 1, "done": 1}


def test_the_switch_that_stops_all_sending_stops_texts_too(
    database: Database, clock: MovableClock
) -> None:
    now, send, other = clock.now(), Performed(), Performed()
    database.run(lambda s: stop_sending(s, Stop(ALL_SENDING, "why"), "chen", now))
    add(database, now, "hello")
    add(database, now, "start", kind="workflow_start")
    performers = {"wechat_text": send, "workflow_start": other}
    perform_intents(database, performers, now)
    assert (send.texts, other.texts) == ([], ["start"])
    database.run(lambda s: start_sending(s, ALL_SENDING, "chen", now))
    perform_intents(database, performers, now)
    assert send.texts == ["hello"]


def test_what_an_intent_carries_is_encrypted(database: Database, clock: MovableClock) -> None:
    add(database, clock.now(), "meet me at the substation")
    with database.engine.connect() as connection:
        raw = connection.exec_driver_sql("SELECT payload FROM intents").scalar_one()
        assert b"substation" not in bytes(raw)
        assert connection.execute(select(intents.c.payload)).scalar_one()["openid"] == "o1"


class Killed(BaseException):
    """The worker goes down."""


def test_what_is_idempotent_comes_back_when_its_worker_is_gone(
    database: Database, clock: MovableClock
) -> None:
    start = Performed(Killed())  # type: ignore[arg-type]
    add(database, clock.now(), kind="workflow_start")
    with pytest.raises(Killed):
        perform_intents(database, {"workflow_start": start}, clock.now())
    assert perform_intents(database, {"workflow_start": start}, clock.now()) == 0
    clock.move(timedelta(seconds=61))
    assert perform_intents(database, {"workflow_start": start}, clock.now()) == 1
    assert (counts(database), len(start.texts)) == ({"done": 1}, 2)


def test_what_kills_every_worker_is_given_up(database: Database, clock: MovableClock) -> None:
    start = Performed(*[Killed()] * 99)  # type: ignore[arg-type]
    add(database, clock.now(), kind="workflow_token")
    for _ in range(6):
        with pytest.raises(Killed):
            perform_intents(database, {"workflow_token": start}, clock.now())
        clock.move(timedelta(seconds=61))
    assert perform_intents(database, {"workflow_token": start}, clock.now()) == 0
    assert counts(database) == {"unknown": 1}


def test_the_token_of_a_workflow_is_kept_while_its_engine_is_away(
    database: Database, clock: MovableClock
) -> None:
    finish = Performed(*[UpstreamError("down")] * 30)
    add(database, clock.now(), kind="workflow_token", life=timedelta(days=1))
    for tries in range(1, 31):
        assert perform_intents(database, {"workflow_token": finish}, clock.now()) == 1
        assert alarms(database) == (["intent_failed_workflow_token"] if tries >= 6 else [])
        clock.move(timedelta(minutes=10))
    assert counts(database) == {"pending": 1}
    perform_intents(database, {"workflow_token": finish}, clock.now())
    assert counts(database) == {"done": 1}


def test_a_worker_that_goes_down_in_a_long_outage_loses_no_token(
    database: Database, clock: MovableClock
) -> None:
    finish = Performed(*[UpstreamError("down")] * 9, Killed())  # type: ignore[arg-type]
    add(database, clock.now(), kind="workflow_token", life=timedelta(days=1))
    for _ in range(9):
        perform_intents(database, {"workflow_token": finish}, clock.now())
        clock.move(timedelta(minutes=10))
    with pytest.raises(Killed):
        perform_intents(database, {"workflow_token": finish}, clock.now())
    clock.move(timedelta(seconds=61))
    assert perform_intents(database, {"workflow_token": finish}, clock.now()) == 1
    assert counts(database) == {"done": 1}


def test_a_token_is_not_kept_beyond_its_life(database: Database, clock: MovableClock) -> None:
    finish = Performed(*[UpstreamError("down")] * 99)
    add(database, clock.now(), kind="workflow_token", life=timedelta(hours=2))
    while perform_intents(database, {"workflow_token": finish}, clock.now()):
        clock.move(timedelta(minutes=10))
    assert counts(database) == {"expired": 1}
    assert len(finish.texts) == 12


@pytest.mark.parametrize("failure", [OutcomeUnknownError("timeout"), ValueError("a bug")])
def test_what_is_idempotent_is_tried_again_after_a_doubtful_end(
    database: Database, clock: MovableClock, failure: Exception
) -> None:
    start = Performed(failure)
    add(database, clock.now(), kind="workflow_start")
    perform_intents(database, {"workflow_start": start}, clock.now())
    assert counts(database) == {"pending": 1}
    perform_intents(database, {"workflow_start": start}, clock.move(timedelta(seconds=5)))
    assert counts(database) == {"done": 1}


def test_a_worker_that_comes_back_late_does_not_end_what_another_has_taken(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    add(database, now, kind="workflow_start")
    late = database.run(lambda s: module._claim(s, now))
    assert late is not None
    clock.move(timedelta(seconds=61))
    again = database.run(lambda s: module._claim(s, clock.now()))
    assert again is not None
    assert again.fence == late.fence + 1
    end = module._End(module.FAILED, "too late")
    database.run(lambda s: module._settle(s, late, end, clock.now()))
    assert counts(database) == {"claimed": 1}
