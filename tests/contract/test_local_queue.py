"""The local queue, on every database: once for each key, hidden while read, seen again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from gongdian.adapters.queue_local import LARGEST_BODY, LocalQueue
from gongdian.adapters.queue_tables import queue_messages
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import InputError

HALF_A_MINUTE = timedelta(seconds=30)


@pytest.fixture
def queue(database: Database, clock: MovableClock) -> LocalQueue:
    return LocalQueue(database, clock)


def bodies(queue: LocalQueue, name: str = "work") -> list[str]:
    return [one.body for one in queue.receive(name, most=10, hidden_for=HALF_A_MINUTE)]


def test_the_same_key_is_the_same_message(queue: LocalQueue) -> None:
    first = queue.send("work", "一", key="k1", attributes={"a": "b"})
    assert queue.send("https://sqs.x/0/work", "另一", key="k1", attributes={}) == first
    assert queue.send("work", "二", key="k2", attributes={}) != first
    assert bodies(queue) == ["一", "二"]
    assert bodies(queue, "other") == []


def test_a_message_is_hidden_while_it_is_read_and_seen_again(
    queue: LocalQueue, clock: MovableClock
) -> None:
    queue.send("work", "x", key="k", attributes={"kind": "bill"})
    (message,) = queue.receive("work", most=1, hidden_for=HALF_A_MINUTE)
    assert message.attributes == {"kind": "bill"}
    assert bodies(queue) == []
    clock.move(HALF_A_MINUTE)
    assert bodies(queue) == ["x"]


def test_only_the_last_reader_deletes(
    queue: LocalQueue, clock: MovableClock, database: Database
) -> None:
    queue.send("work", "x", key="k", attributes={})
    (old,) = queue.receive("work", most=1, hidden_for=HALF_A_MINUTE)
    clock.move(HALF_A_MINUTE)
    (new,) = queue.receive("work", most=1, hidden_for=HALF_A_MINUTE)
    queue.delete("work", old.receipt)
    clock.move(HALF_A_MINUTE)
    (newest,) = queue.receive("work", most=1, hidden_for=HALF_A_MINUTE)
    assert newest.id == new.id
    queue.delete("work", newest.receipt)
    clock.move(HALF_A_MINUTE)
    assert bodies(queue) == []
    queue.send("work", "x", key="k", attributes={})  # sent again after a crash: still done
    assert bodies(queue) == []
    with database.read() as session:
        row = session.execute(select(queue_messages)).one()
    assert (row.body, row.attributes) == (None, None)


def test_what_nobody_takes_is_forgotten_but_for_its_key(
    queue: LocalQueue, clock: MovableClock
) -> None:
    queue.send("work", "old", key="k1", attributes={})
    clock.move(timedelta(days=15))
    queue.send("work", "new", key="k2", attributes={})
    assert queue.prune(clock.now() - timedelta(days=14)) == 1
    assert queue.prune(clock.now() - timedelta(days=14)) == 0
    queue.send("work", "old", key="k1", attributes={})
    assert bodies(queue) == ["new"]


@pytest.mark.parametrize("body", ["", "x" * (LARGEST_BODY + 1)])
def test_bodies_have_a_size(queue: LocalQueue, body: str) -> None:
    with pytest.raises(InputError, match="bad_message"):
        queue.send("work", body, key="k", attributes={})


@pytest.mark.parametrize("receipt", ["", "1", "x:y", "1:"])
def test_a_strange_receipt_is_refused(queue: LocalQueue, receipt: str) -> None:
    with pytest.raises(InputError, match="bad_receipt"):
        queue.delete("work", receipt)
