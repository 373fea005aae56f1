"""The inbox: each callback once, its answer kept, handled by one worker."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError
from gongdian.inbox.service import (
    Arrived,
    StoredAnswer,
    claim_callbacks,
    count_callbacks,
    finish_claimed,
    finish_inline,
    postpone_claimed,
    prune_callbacks,
    store_callback,
    stored_answer,
)


def arrived(number: int, at: datetime, **changes: Any) -> Arrived:
    given: dict[str, Any] = {
        "dedupe": number.to_bytes(32, "big"),
        "account": "wx1",
        "kind": "text",
        "raw": b"<xml>made-up words</xml>",
        "is_json": False,
        "received_at": at,
    }
    return Arrived(**{**given, **changes})


def store(database: Database, *callbacks: Arrived) -> list[bool]:
    return database.run(lambda s: [store_callback(s, one) for one in callbacks])


def claim(database: Database, now: datetime, limit: int = 10) -> list[Any]:
    return database.run(lambda s: claim_callbacks(s, now, limit))


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        return count_callbacks(session)


def test_a_callback_is_stored_once(database: Database, clock: MovableClock) -> None:
    one = arrived(1, clock.now())
    assert store(database, one, one, arrived(2, clock.now())) == [True, False, True]
    [first, _] = claim(database, clock.now())
    assert (first.raw, first.dedupe) == (one.raw, one.dedupe)


def test_a_retry_gets_the_kept_answer(database: Database, clock: MovableClock) -> None:
    one, silent = arrived(1, clock.now(), is_inline=True), arrived(2, clock.now(), is_inline=True)
    store(database, one, silent)
    with database.read() as session:
        assert stored_answer(session, one.dedupe) == StoredAnswer(is_done=False, reply=None)
    reply = {"type": "text", "text": "您好"}
    database.run(lambda s: finish_inline(s, one.dedupe, reply, clock.now()))
    database.run(lambda s: finish_inline(s, silent.dedupe, None, clock.now()))
    with database.read() as session:
        assert stored_answer(session, one.dedupe) == StoredAnswer(is_done=True, reply=reply)
        assert stored_answer(session, silent.dedupe) == StoredAnswer(is_done=True, reply=None)
        assert stored_answer(session, b"?" * 32) == StoredAnswer(is_done=False, reply=None)


def test_the_worker_leaves_inline_callbacks_to_the_web_edge_for_ten_seconds(
    database: Database, clock: MovableClock
) -> None:
    one = arrived(1, clock.now(), is_inline=True)
    store(database, one)
    assert claim(database, clock.now()) == []
    assert len(claim(database, clock.move(timedelta(seconds=10)))) == 1
    with pytest.raises(ConflictError, match="callback_taken"):
        database.run(lambda s: finish_inline(s, one.dedupe, None, clock.now()))


def test_a_claim_that_is_not_settled_comes_back_and_the_first_claim_is_void(
    database: Database, clock: MovableClock
) -> None:
    store(database, arrived(1, clock.now()))
    first = claim(database, clock.now())
    assert claim(database, clock.now()) == []
    second = claim(database, clock.move(timedelta(seconds=60)))
    with pytest.raises(ConflictError):
        database.run(lambda s: finish_claimed(s, first, clock.now()))
    database.run(lambda s: finish_claimed(s, second, clock.now()))
    assert counts(database) == {"done": 1}


def test_a_failing_handler_is_tried_six_times(database: Database, clock: MovableClock) -> None:
    store(database, arrived(1, clock.now()))
    over = []
    for _ in range(6):
        [one] = claim(database, clock.now())
        over.append(
            database.run(lambda s: postpone_claimed(s, one, "boom", clock.now()))  # noqa: B023
        )
        clock.move(timedelta(hours=1))
    assert over == [False] * 5 + [True]
    assert claim(database, clock.now()) == []
    assert counts(database) == {"failed": 1}


@pytest.mark.parametrize("failures", [1, 6])
def test_what_was_handled_is_not_handled_again_after_a_failure_that_was_none(
    database: Database, clock: MovableClock, failures: int
) -> None:
    store(database, arrived(1, clock.now()))
    [one] = claim(database, clock.now())
    database.run(lambda s: finish_claimed(s, [one], clock.now()))
    one = replace(one, attempts=failures - 1)
    # The answer to the commit was lost: the worker takes it for a failure.
    assert not database.run(lambda s: postpone_claimed(s, one, "boom", clock.now()))
    assert counts(database) == {"done": 1}
    assert claim(database, clock.move(timedelta(days=1))) == []


def test_workers_at_once_share_the_callbacks(database: Database, clock: MovableClock) -> None:
    store(database, *(arrived(number, clock.now()) for number in range(60)))
    claimed: list[int] = []

    def work() -> None:
        for _ in range(6):
            claimed.extend(one.id for one in claim(database, clock.now(), 7))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 60


def test_old_callbacks_are_deleted_but_not_those_that_wait(
    database: Database, clock: MovableClock
) -> None:
    old = clock.now()
    store(database, arrived(1, old), arrived(2, old), arrived(3, old))
    done, failed, _ = claim(database, old)
    database.run(lambda s: finish_claimed(s, [done], old))
    for attempts in range(6):
        one = type(failed)(**{**_fields(failed), "attempts": attempts})
        database.run(lambda s: postpone_claimed(s, one, "boom", old))  # noqa: B023
    assert counts(database) == {"done": 1, "failed": 1, "new": 1}
    assert database.run(lambda s: prune_callbacks(s, old)) == 0
    assert database.run(lambda s: prune_callbacks(s, old + timedelta(seconds=1))) == 2
    assert counts(database) == {"new": 1}


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def test_what_people_wrote_is_encrypted(database: Database, clock: MovableClock) -> None:
    store(database, arrived(1, clock.now()))
    with database.engine.connect() as connection:
        raw = connection.exec_driver_sql("SELECT raw FROM callbacks").scalar_one()
    assert b"made-up" not in bytes(raw)
