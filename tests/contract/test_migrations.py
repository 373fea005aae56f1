"""Migrations: one head; from empty to newest, down and up again, equal to the tables in code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from gongdian.db import Database
from gongdian.errors import ConfigError
from gongdian.migrations.schema import metadata
from gongdian.migrations.upgrade import (
    _config,
    current_revision,
    newest_revision,
    require_newest,
    upgrade_database,
)


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables; MariaDB's gets them back for the other tests."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    else:
        database = Database(request.getfixturevalue("empty_mariadb_url"))
        drop_all(database)
    yield database
    if not database.is_sqlite:
        upgrade_database(database)
    database.close()


def tables(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(inspect(connection).get_table_names())


def drop_all(database: Database) -> None:
    with database.engine.begin() as connection:
        for name in inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {name}")


def run(database: Database, name: str, revision: str) -> None:
    config = _config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        getattr(command, name)(config, revision)
        connection.commit()


def test_there_is_one_head() -> None:
    assert newest_revision()


def test_an_empty_database_is_brought_to_the_newest_revision(empty: Database) -> None:
    assert current_revision(empty) is None
    with pytest.raises(ConfigError, match="E009"):
        require_newest(empty)
    assert upgrade_database(empty) == newest_revision() == current_revision(empty)
    require_newest(empty)
    assert tables(empty) == {*metadata.tables, "alembic_version"}
    upgrade_database(empty)


def test_the_migrated_schema_is_the_one_in_the_code(empty: Database) -> None:
    upgrade_database(empty)
    with empty.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_down_and_up_again(empty: Database) -> None:
    upgrade_database(empty)
    run(empty, "downgrade", "base")
    assert tables(empty) == {"alembic_version"}
    upgrade_database(empty)
    require_newest(empty)


def test_every_key_column_compares_byte_by_byte_on_mariadb(empty_mariadb_url: str) -> None:
    database = Database(empty_mariadb_url)
    query = (
        "SELECT table_name, column_name FROM information_schema.columns WHERE "
        "table_schema = DATABASE() AND column_key IN ('PRI', 'UNI', 'MUL') "
        "AND data_type = 'varchar' AND collation_name <> 'utf8mb4_bin'"
    )
    with database.engine.connect() as connection:
        found = [tuple(row) for row in connection.exec_driver_sql(query)]
    database.close()
    assert [row for row in found if row[0] != "alembic_version"] == []
