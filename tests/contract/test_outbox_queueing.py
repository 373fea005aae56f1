"""Queueing: one message a key, nothing half written, newer news instead of older."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, insert, select, update

from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import InputError, NotFoundError
from gongdian.outbox.queueing import (
    Outbox,
    Queued,
    _insert_all,
    _rows,
    queue_message,
    queue_messages,
)
from gongdian.outbox.tables import messages
from tests.factories import (
    NOT_SENT,
    UNKNOWN,
    an_outbox,
    claim,
    command,
    events_of,
    openid,
    queue,
    row_of,
    settle,
    state_of,
)


def how_many(database: Database) -> int:
    with database.read() as session:
        return int(session.execute(select(func.count()).select_from(messages)).scalar_one())


def test_a_key_is_queued_once_for_ever(database: Database, clock: MovableClock) -> None:
    outbox, now = an_outbox(), clock.now()
    first = database.run(lambda session: queue_message(session, outbox, command(), now))
    again = database.run(
        lambda session: queue_message(
            session, outbox, command(openid=openid(2)), now + timedelta(1)
        )
    )
    assert first == Queued("arrears:9900001203457:one#1:c1", is_new=True)
    assert again == Queued(first.key, is_new=False)
    assert how_many(database) == 1
    assert row_of(database, first.key).queued_at == now


def test_two_threads_that_queue_the_same_key_make_one_message(
    database: Database, clock: MovableClock
) -> None:
    outbox, now, start = an_outbox(), clock.now(), threading.Barrier(4)
    results: list[Queued] = []

    def work() -> None:
        start.wait()
        for number in range(5):
            asked = command(f"one#{number}")
            results.extend(
                database.run(partial(queue_messages, outbox=outbox, commands=[asked], now=now))
            )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert how_many(database) == 5
    assert sorted(one.is_new for one in results) == [False] * 15 + [True] * 5


def test_a_message_that_its_template_does_not_take_leaves_nothing_behind(
    database: Database, clock: MovableClock
) -> None:
    outbox, now = an_outbox(), clock.now()
    good, bad = command("one#1"), command("two#1", values={"customer_name": "恒源铸造"})
    with pytest.raises(InputError) as refused:
        database.run(lambda session: queue_messages(session, outbox, [good, bad], now))
    assert refused.value.code == "message_fields_invalid"
    assert "amount_due" in str(refused.value)
    with pytest.raises(NotFoundError):
        database.run(
            lambda session: queue_message(session, outbox, replace(good, kind="rebate"), now)
        )
    assert how_many(database) == 0


def test_a_message_that_would_expire_before_it_may_go_is_refused(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    late = command(not_before=now + timedelta(hours=2), expires_at=now + timedelta(hours=1))
    with pytest.raises(InputError, match="expires_too_soon"):
        database.run(lambda session: queue_message(session, an_outbox(), late, now))


def test_five_hundred_are_queued_at_once_and_known_ones_are_told_apart(
    database: Database, clock: MovableClock
) -> None:
    outbox, now = an_outbox(), clock.now()
    queue(database, now, "bulk#7", "bulk#8")
    asked = [command(f"bulk#{number}") for number in range(500)]
    queued = database.run(lambda session: queue_messages(session, outbox, asked, now))
    assert sum(one.is_new for one in queued) == 498
    assert [one.key.split(":")[2] for one in queued if not one.is_new] == ["bulk#7", "bulk#8"]
    assert how_many(database) == 500
    with pytest.raises(InputError, match="too_many"):
        database.run(lambda session: queue_messages(session, outbox, [*asked, command()], now))


def test_a_key_that_another_transaction_took_leaves_the_others_of_the_bulk_new(
    database: Database, clock: MovableClock
) -> None:
    outbox, now = an_outbox(), clock.now()
    rows = [_rows(outbox, command(f"bulk#{number}"), now)[0] for number in range(3)]
    database.run(lambda session: session.execute(insert(messages).values(**rows[2])))
    known = database.run(lambda session: _insert_all(session, rows))
    assert known == {rows[2]["key"]}
    assert how_many(database) == 3


def test_newer_news_on_a_topic_supersedes_what_is_not_sent(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    sent = queue(database, now, "etr#1", topic="etr")
    [claimed] = claim(database, now)
    old = queue(database, now, "etr#2", topic="etr")
    other = queue(database, now, "etr#3", topic="etr", recipient="c2")
    new = queue(database, now, "etr#4", topic="etr")
    assert state_of(database, sent) == "sending"
    settle(database, now, (claimed, NOT_SENT))
    assert [state_of(database, key) for key in (sent, old)] == ["superseded"] * 2
    assert events_of(database, old) == ["superseded"]
    assert [state_of(database, key) for key in (other, new)] == ["queued"] * 2


def test_of_two_that_were_queued_at_the_same_time_only_the_newer_goes(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    first = queue(database, now, "etr#1", topic="etr")
    second = queue(database, now, "etr#2", topic="etr")
    # As if neither transaction had seen the other's row.
    unseen = {"state": "queued", "reason": "", "closed_at": None}
    database.run(lambda s: s.execute(update(messages).values(**unseen)))
    claimed = claim(database, now)
    assert [one.key for one in claimed] == [second]
    assert state_of(database, first) == "superseded"


def test_a_doubtful_message_is_not_called_superseded_but_not_tried_again(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    doubtful = queue(database, now, "etr#1", topic="etr")
    [claimed] = claim(database, now)
    settle(database, now, (claimed, UNKNOWN))
    queue(database, now, "etr#2", topic="etr")
    row = row_of(database, doubtful)
    assert (row.state, row.reason) == ("unknown", "superseded")


def test_queueing_the_same_news_again_supersedes_nothing(
    database: Database, clock: MovableClock
) -> None:
    now = clock.now()
    first = queue(database, now, "etr#1", topic="etr")
    second = queue(database, now, "etr#2", topic="etr")
    queue(database, now, "etr#1", topic="etr")
    assert (state_of(database, first), state_of(database, second)) == ("superseded", "queued")


def test_a_bulk_supersedes_too(database: Database, clock: MovableClock) -> None:
    outbox, now = an_outbox(), clock.now()
    old = queue(database, now, "etr#1", topic="etr")
    asked = [command("etr#2", topic="etr"), command("one#1")]
    database.run(lambda session: queue_messages(session, outbox, asked, now))
    assert state_of(database, old) == "superseded"


def test_a_card_s_link_carries_a_token_of_which_only_the_hash_is_stored(
    database: Database, clock: MovableClock
) -> None:
    outbox: Outbox = an_outbox()
    key = queue(database, clock.now(), outbox=outbox, link_path="/h5/binding")
    row = row_of(database, key)
    url = row.content["url"]
    assert url.startswith("https://example.invalid/h5/binding?m=")
    token = url.partition("m=")[2]
    assert token.encode() not in bytes(row.link_hash)
