"""Switches: what stops sending, for how long, and that it is audited."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from gongdian.audit import audit_rows
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.outbox.model import Stop
from gongdian.outbox.switches import standing_stops, start_sending, stop_sending

HOUR = timedelta(hours=1)


def stop(database: Database, until: datetime | None, now: datetime) -> None:
    database.run(lambda s: stop_sending(s, Stop("sending", "why", until), "chen", now))


def standing(database: Database, now: datetime) -> dict[str, Stop]:
    with database.read() as session:
        return standing_stops(session, now)


def test_a_stop_stands_until_it_is_lifted(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    stop(database, None, now)
    assert standing(database, now + timedelta(days=99)) == {"sending": Stop("sending", "why")}
    assert database.run(lambda s: start_sending(s, "sending", "chen", now))
    assert standing(database, now) == {}
    assert not database.run(lambda s: start_sending(s, "sending", "chen", now))


def test_a_stop_with_an_end_ends_by_itself(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    stop(database, now + HOUR, now)
    assert list(standing(database, now + HOUR - timedelta(microseconds=1))) == ["sending"]
    assert standing(database, now + HOUR) == {}


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [(None, 1, None), (5, 1, 5), (1, 5, 5), (1, None, None), (-1, 1, 1)],
)
def test_a_stop_is_prolonged_and_never_shortened(
    database: Database,
    clock: MovableClock,
    first: int | None,
    second: int | None,
    stands: int | None,
) -> None:
    now = clock.now()
    for hours in (first, second):
        stop(database, None if hours is None else now + hours * HOUR, now)
    until = standing(database, now)["sending"].until
    assert until == (None if stands is None else now + stands * HOUR)


def test_stopping_and_starting_leave_audit_rows(database: Database, clock: MovableClock) -> None:
    now = clock.now()
    stop(database, None, now)
    database.run(lambda s: start_sending(s, "sending", "li", now))
    with database.read() as session:
        query = select(audit_rows.c.actor, audit_rows.c.action).order_by(audit_rows.c.id)
        assert [tuple(row) for row in session.execute(query)] == [
            ("chen", "sending:switch:stopped"),
            ("li", "sending:switch:started"),
        ]
