"""The audit chain: every tampering shows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update

from gongdian.audit import AuditReport, audit_heads, audit_rows, record_audit, seal_audit
from gongdian.audit import verify_audit as verify
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError

KEY = b"a" * 32


def record(database: Database, clock: MovableClock, *numbers: int) -> None:
    for number in numbers:
        database.run(
            lambda s: record_audit(
                s,
                clock.now(),
                "chen",
                "test:thing:changed",
                f"t{number}",  # noqa: B023
                {"n": number},  # noqa: B023
            )
        )


def seal(database: Database) -> tuple[int, bytes]:
    return database.run(lambda s: seal_audit(s, KEY))


def check(database: Database, clock: MovableClock, head: str = "", key: bytes = KEY) -> AuditReport:
    with database.read() as session:
        return verify(session, key, clock.now(), head)


@pytest.fixture
def five(database: Database, clock: MovableClock) -> Database:
    record(database, clock, 1, 2, 3, 4, 5)
    seal(database)
    return database


def run(database: Database, statement: Any) -> None:
    database.run(lambda session: session.execute(statement))


def third(database: Database) -> int:
    with database.read() as session:
        query = select(audit_rows.c.id).where(audit_rows.c.subject == "t3")
        return int(session.execute(query).scalar_one())


def test_a_chain_grows_and_is_sound(database: Database, clock: MovableClock) -> None:
    assert check(database, clock) == AuditReport(0, 0, "00" * 32, ())
    record(database, clock, 1, 2)
    assert check(database, clock).unsealed == 2
    assert seal(database)[0] == 2
    assert seal(database)[0] == 0
    record(database, clock, 3)
    count, head = seal(database)
    report = check(database, clock, head.hex())
    assert (count, report.sealed, report.head, report.findings) == (1, 3, head.hex(), ())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "li"),
        ("action", "test:thing:deleted"),
        ("subject", "t9"),
        ("details", "{}"),
        ("seal", b"x" * 32),
        ("seal_no", 77),
        ("seal_no", None),
    ],
)
def test_a_changed_column_shows(
    five: Database, clock: MovableClock, column: str, value: Any
) -> None:
    number = third(five)
    run(five, update(audit_rows).where(audit_rows.c.id == number).values(**{column: value}))
    assert check(five, clock).findings


def test_a_changed_instant_shows(five: Database, clock: MovableClock) -> None:
    moved = clock.now() + timedelta(microseconds=1)
    run(five, update(audit_rows).where(audit_rows.c.id == third(five)).values(at=moved))
    [finding, *_] = check(five, clock).findings
    assert "changed" in finding


def test_a_dropped_row_shows(five: Database, clock: MovableClock) -> None:
    run(five, delete(audit_rows).where(audit_rows.c.id == third(five)))
    assert check(five, clock).findings


def test_a_cut_tail_shows_by_the_head_and_else_by_the_log(
    five: Database, clock: MovableClock
) -> None:
    logged = check(five, clock).head
    run(five, delete(audit_rows).where(audit_rows.c.seal_no >= 4))
    assert "the head says 5 rows" in check(five, clock).findings[0]
    with five.read() as session:
        query = select(audit_rows.c.seal).where(audit_rows.c.seal_no == 3)
        last = session.execute(query).scalar_one()
    run(five, update(audit_heads).values(seal_no=3, seal=bytes(last)))
    assert check(five, clock).findings == ()
    assert "cut off" in check(five, clock, logged).findings[0]


def test_a_lost_head_and_a_wrong_key_show(five: Database, clock: MovableClock) -> None:
    assert len(check(five, clock, key=b"b" * 32).findings) == 5
    run(five, delete(audit_heads))
    assert "the head says 0 rows" in check(five, clock).findings[0]


@contextmanager
def sealing_between(database: Database, clock: MovableClock) -> Iterator[list[int]]:
    """Another session adds and seals a row before each statement of this thread's session."""
    sealed: list[int] = []
    is_busy = threading.Lock()

    def seal_one(*_: Any) -> None:
        if not is_busy.acquire(blocking=False):
            return  # a statement of the sealer itself
        try:
            record(database, clock, 100 + len(sealed))
            sealed.append(seal(database)[0])
        finally:
            is_busy.release()

    event.listen(database.engine, "before_cursor_execute", seal_one)
    try:
        yield sealed
    finally:
        event.remove(database.engine, "before_cursor_execute", seal_one)


def test_rows_sealed_while_verifying_are_no_finding(five: Database, clock: MovableClock) -> None:
    with sealing_between(five, clock) as sealed:
        report = check(five, clock)
    assert len(sealed) > 3
    assert set(sealed) == {1}
    assert report.findings == ()
    assert report.sealed >= 5
    assert check(five, clock).sealed == 5 + len(sealed)


def test_the_first_row_sealed_while_verifying_is_no_finding(
    database: Database, clock: MovableClock
) -> None:
    with sealing_between(database, clock):
        assert check(database, clock).findings == ()


def test_what_was_tampered_with_shows_while_others_seal(
    five: Database, clock: MovableClock
) -> None:
    run(five, update(audit_rows).where(audit_rows.c.id == third(five)).values(actor="li"))
    with sealing_between(five, clock):
        assert "changed" in check(five, clock).findings[0]


def test_rows_beyond_the_head_show(five: Database, clock: MovableClock) -> None:
    with five.read() as session:
        query = select(audit_rows.c.seal).where(audit_rows.c.seal_no == 3)
        early = bytes(session.execute(query).scalar_one())
    run(five, update(audit_heads).values(seal_no=3, seal=early))
    assert "the head says 3 rows, the chain has 5" in check(five, clock).findings[0]


def test_a_head_that_the_chain_does_not_hold_shows(five: Database, clock: MovableClock) -> None:
    run(five, update(audit_heads).values(seal=b"x" * 32))
    assert check(five, clock).findings == ("the head's seal is not that of row 5 of the chain",)


def test_two_sealers_at_once_make_one_chain(database: Database, clock: MovableClock) -> None:
    record(database, clock, *range(40))
    start, conflicts = threading.Barrier(3), []

    def work() -> None:
        start.wait()
        for _ in range(4):
            try:
                seal(database)
            except ConflictError:
                conflicts.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = check(database, clock)
    assert (report.sealed, report.unsealed, report.findings) == (40, 0, ())


def test_rows_that_stay_unsealed_show(database: Database, clock: MovableClock) -> None:
    record(database, clock, 1)
    clock.move(timedelta(seconds=61))
    assert "unsealed for over a minute" in check(database, clock).findings[0]


def test_an_action_names_source_subject_and_verb(database: Database, clock: MovableClock) -> None:
    with pytest.raises(InputError, match="bad_audit_action"):
        database.run(lambda s: record_audit(s, clock.now(), "chen", "changed", "t", {}))


def test_a_row_goes_with_its_transaction(database: Database, clock: MovableClock) -> None:
    def work(session: Any) -> None:
        record_audit(session, clock.now(), "chen", "test:thing:changed", "t", {})
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        database.run(work)
    assert check(database, clock).unsealed == 0
