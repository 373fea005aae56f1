"""Bringing a database to the newest revision (升级); start-up and ``server migrate`` call it."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gongdian.db import Database
from gongdian.errors import ConfigError

_HERE = Path(__file__).parent
# Alembic keeps the migration that runs in one place for the whole process.
_ONE_AT_A_TIME = Lock()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    return config


def newest_revision() -> str:
    """The one head; ConfigError when there are several."""
    heads = ScriptDirectory.from_config(_config()).get_heads()
    if len(heads) != 1:
        raise ConfigError("E008", "there must be one migration head", heads=heads)
    return heads[0]


def current_revision(database: Database) -> str | None:
    """The revision that the database stands at; None for an empty one."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade_database(database: Database) -> str:
    """Run every missing migration; returns the revision then."""
    config = _config()
    with _ONE_AT_A_TIME, database.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    return newest_revision()


def require_newest(database: Database) -> None:
    """ConfigError unless the database stands at the newest revision."""
    current = current_revision(database)
    if current != newest_revision():
        raise ConfigError("E009", "run `python -m server migrate` first", revision=str(current))
