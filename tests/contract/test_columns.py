"""Column types and the database layer, the same on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table, insert, select, update

from gongdian.columns import (
    Digest,
    EncryptedBytes,
    EncryptedJson,
    EncryptedText,
    Fen,
    KeyText,
    RowId,
    UtcDateTime,
)
from gongdian.db import Database, change_one, insert_once, is_ready
from gongdian.errors import ConfigError, ConflictError, InputError, UpstreamError
from gongdian.privacy import DataKeys, install_keys

own = MetaData()
things = Table(
    "test_things",
    own,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("key", KeyText(12), unique=True),
    Column("at", UtcDateTime),
    Column("yuan", Fen),
    Column("digest", Digest),
    Column("name", EncryptedText("test_things.name")),
    Column("phone", EncryptedText("test_things.phone")),
    Column("photo", EncryptedBytes("test_things.photo")),
    Column("extra", EncryptedJson("test_things.extra")),
)


@pytest.fixture
def table(database: Database) -> Iterator[Database]:
    with database.engine.connect() as connection:
        own.drop_all(connection)
        own.create_all(connection)
        connection.commit()
    yield database
    with database.engine.connect() as connection:
        own.drop_all(connection)
        connection.commit()


def put(database: Database, **values: Any) -> None:
    database.run(lambda session: session.execute(insert(things).values(**values)))


def get(database: Database, column: str) -> Any:
    with database.read() as session:
        return session.execute(select(things.c[column]).order_by(things.c.id)).scalars().all()


def test_an_instant_keeps_its_microseconds_and_comes_back_in_utc(table: Database) -> None:
    china = timezone(timedelta(hours=8))
    put(table, at=datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=china))
    put(table, at=datetime(2026, 11, 23, 0, 0, 0, tzinfo=UTC))
    assert get(table, "at") == [
        datetime(2026, 11, 23, 0, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 11, 23, 0, 0, 0, tzinfo=UTC),
    ]
    with table.read() as session:
        order = session.execute(select(things.c.id).order_by(things.c.at)).scalars().all()
        assert order == [2, 1]


def test_a_naive_instant_is_refused(table: Database) -> None:
    with pytest.raises(InputError, match="naive_instant"):
        put(table, at=datetime(2026, 11, 23))  # noqa: DTZ001 - that is the point
    assert get(table, "at") == []


@pytest.mark.parametrize("text", ["1234567890123456.78", "0.01", "-12.30", "0", "100", "1E+3"])
def test_money_is_exact_to_the_fen(table: Database, text: str) -> None:
    put(table, yuan=Decimal(text))
    assert get(table, "yuan") == [Decimal(text).quantize(Decimal("0.01"))]


@pytest.mark.parametrize(
    "value",
    [
        1.1,
        1,
        "1.00",
        Decimal("0.001"),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("0.010000000000000000000000000001"),
        Decimal("1E+40"),
    ],
)
def test_anything_but_whole_fen_is_refused(table: Database, value: Any) -> None:
    with pytest.raises(InputError, match="not_fen"):
        put(table, yuan=value)


def test_keys_that_differ_in_case_are_two(table: Database) -> None:
    for key in ("oAbC", "oabc", "OABC"):
        assert table.run(lambda s: insert_once(s, things, {"key": key}))  # noqa: B023
    assert not table.run(lambda s: insert_once(s, things, {"key": "oabc"}))
    with table.read() as session:
        found = session.execute(select(things.c.id).where(things.c.key == "OABC")).scalars().all()
    assert found == [3]


@pytest.mark.parametrize("key", ["ends ", "thirteen long"])
def test_a_key_that_one_database_would_cut_is_refused(table: Database, key: str) -> None:
    with pytest.raises(InputError, match="bad_key"):
        put(table, key=key)


def test_a_digest_has_its_full_length(table: Database) -> None:
    put(table, digest=b"\x00" * 31 + b" ")
    assert get(table, "digest") == [b"\x00" * 31 + b" "]
    with pytest.raises(InputError, match="bad_digest"):
        put(table, digest=b"short")


def test_encrypted_columns_hold_no_plain_text(table: Database) -> None:
    photo_head = b"\x89PNG\r\n\x1a\n"  # long enough not to come about by chance
    put(table, name="张三丰", photo=photo_head + bytes(70_000), extra={"户名": "恒源铸造"})
    query = "SELECT name, photo, extra FROM test_things"
    with table.engine.connect() as connection:
        name, photo, extra = connection.exec_driver_sql(query).one()
    assert "张三丰".encode() not in bytes(name)
    assert photo_head not in bytes(photo)
    assert "恒源".encode() not in bytes(extra)
    assert get(table, "name") == ["张三丰"]
    assert get(table, "extra") == [{"户名": "恒源铸造"}]
    assert get(table, "photo")[0][:8] == photo_head


def test_a_value_that_was_moved_to_another_column_does_not_open(table: Database) -> None:
    put(table, name="张三丰")
    with table.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE test_things SET phone = name")
    with pytest.raises(InputError, match="undecryptable"):
        get(table, "phone")


def test_the_previous_key_still_opens_and_a_lost_one_does_not(table: Database) -> None:
    put(table, name="old")
    install_keys(DataKeys(current=b"n" * 32, index=b"i" * 32, previous=b"k" * 32))
    put(table, name="new")
    assert get(table, "name") == ["old", "new"]
    install_keys(DataKeys(current=b"n" * 32, index=b"i" * 32))
    with pytest.raises(InputError, match="undecryptable"):
        get(table, "name")


def test_a_change_that_touches_no_row_is_a_conflict(table: Database) -> None:
    put(table, key="one")
    statement = update(things).where(things.c.key == "two").values(name="x")
    with pytest.raises(ConflictError, match="gone"):
        table.run(lambda session: change_one(session, statement, "gone"))
    # A change to the same value is a change: MySQL must count matched rows.
    same = update(things).where(things.c.key == "one").values(key="one")
    table.run(lambda session: change_one(session, same, "gone"))


def test_what_fails_inside_a_transaction_leaves_nothing(table: Database) -> None:
    def work(session: Any) -> None:
        session.execute(insert(things).values(key="one"))
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        table.run(work)
    with table.read() as session:
        session.execute(insert(things).values(key="two"))
    assert get(table, "key") == []


def test_an_error_of_the_database_shows_no_personal_data(table: Database) -> None:
    with table.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE test_things")
    with pytest.raises(Exception, match="test_things") as failed:
        put(table, key="oSecretOne")
    assert "oSecretOne" not in str(failed.value)
    assert "oSecretOne" not in str(failed.value.__cause__)


def test_a_database_that_does_not_answer_is_unavailable() -> None:
    closed = Database("mysql://root@127.0.0.1:1/none", patience_s=1)
    with pytest.raises(UpstreamError, match="database_unavailable"), closed.read():
        pass
    closed.close()


@pytest.mark.mariadb
def test_a_pool_takes_no_more_connections_than_it_is_given(empty_mariadb_url: str) -> None:
    small = Database(empty_mariadb_url, patience_s=1, connections=2)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(small.read())
        with pytest.raises(UpstreamError, match="no free connection"), small.read():
            pass
    with small.read() as session:
        assert is_ready(session)
    assert small.impatient(0.5).connections == 2
    small.close()


@pytest.mark.parametrize("url", ["postgresql://localhost/x", "not an address"])
def test_another_kind_of_database_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="E006"):
        Database(url)
