"""The database (数据库): SQLite (WAL) or MariaDB/MySQL; edges open transactions, services get them.

A *session* is a SQLAlchemy Core connection inside one transaction; there is no ORM. Failures of
the database itself leave this module as UpstreamError ``database_unavailable``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Row,
    Table,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.sql import Insert, Update

from gongdian.errors import ConfigError, ConflictError, GongdianError, UpstreamError

Session = Connection
AnyRow = Row[*tuple[Any, ...]]
T = TypeVar("T")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_RETRYABLE_MYSQL = (1205, 1213, 1020)  # lock wait time-out, deadlock, record has changed


class Database:
    """One database; threads share it.

    ``patience_s`` bounds the wait for locks, answers and a free connection; ``connections`` how
    many of the server's connections are held at most (MariaDB, MySQL).
    """

    def __init__(self, url: str, *, patience_s: float = 10.0, connections: int = 20) -> None:
        try:
            self.url = make_url(url)
        except ArgumentError as error:
            raise ConfigError("E006", "the database address cannot be read") from error
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.patience_s = patience_s
        self.connections = connections
        self._write_lock = threading.Lock()
        self.engine = self._sqlite_engine() if self.is_sqlite else self._mysql_engine()

    def _sqlite_engine(self) -> Engine:
        engine = create_engine(
            self.url,
            connect_args={"timeout": self.patience_s, "isolation_level": None},
            pool_size=40,
            max_overflow=40,
            pool_timeout=self.patience_s,
            hide_parameters=True,  # errors go to the log, and parameters hold personal data
        )
        event.listen(engine, "connect", _tune_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _mysql_engine(self) -> Engine:
        if self.url.get_backend_name() not in ("mysql", "mariadb"):
            raise ConfigError("E006", "the database must be SQLite, MariaDB or MySQL")
        seconds = max(1, round(self.patience_s))
        return create_engine(
            self.url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"}),
            isolation_level="READ COMMITTED",
            connect_args={
                "connect_timeout": seconds,
                "read_timeout": seconds,
                "write_timeout": seconds,
                "init_command": f"SET SESSION innodb_lock_wait_timeout={seconds}, "
                "time_zone='+00:00', sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
            },
            pool_size=self.connections,
            max_overflow=0,
            pool_timeout=self.patience_s,
            hide_parameters=True,  # errors go to the log, and parameters hold personal data
            pool_recycle=1800,
        )

    def impatient(self, patience_s: float) -> Database:
        """The same database, through connections that give up sooner (callbacks)."""
        url = self.url.render_as_string(hide_password=False)
        other = Database(url, patience_s=patience_s, connections=self.connections)
        other._write_lock = self._write_lock
        return other

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A writing transaction: commits at the end, rolls back on an exception."""
        with self._translated():
            if not self.is_sqlite:
                with self.engine.begin() as session:
                    yield session
                return
            # One writer at a time, in turn: SQLite's own waiting is by chance and starves.
            if not self._write_lock.acquire(timeout=self.patience_s):
                raise UpstreamError("database_unavailable", "no turn to write in time")
            try:
                connection = self.engine.connect().execution_options(gongdian_write=True)
                with connection as session, session.begin():
                    yield session
            finally:
                self._write_lock.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A reading transaction; what is written in it is rolled back."""
        with self.connect() as session:
            yield session

    @contextmanager
    def connect(self) -> Iterator[Session]:
        """A connection whose user commits: for migrations."""
        with self._translated(), self.engine.connect() as connection:
            yield connection

    def run(self, work: Callable[[Session], T], *, tries: int = 4) -> T:
        """Run ``work`` in a writing transaction, again when another one was in the way."""
        for attempt in range(1, tries + 1):
            try:
                with self.begin() as session:
                    return work(session)
            except UpstreamError as error:
                if attempt == tries or not error.context.get("transient"):
                    raise
                time.sleep(0.02 * attempt)
        raise AssertionError("unreachable")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StatementError as error:
            if isinstance(error.orig, GongdianError):
                raise error.orig from None  # a column type refused its value
            if not isinstance(error, OperationalError | InterfaceError):
                raise
            raise _unavailable(error) from error
        except PoolTimeoutError as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _unavailable(error: Exception) -> UpstreamError:
    text = str(error.orig) if isinstance(error, DBAPIError) else "no free connection"
    return UpstreamError("database_unavailable", text, transient=_is_transient(error))


def _is_transient(error: Exception) -> bool:
    original = error.orig if isinstance(error, DBAPIError) else None
    if original is None:
        return False
    if original.args and original.args[0] in _RETRYABLE_MYSQL:
        return True
    return "database is locked" in str(original)


def _tune_sqlite(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("gongdian_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def insert_once(session: Session, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert one row; False when a unique key already holds it."""
    try:
        session.execute(table.insert().values(**values))
    except IntegrityError as error:
        if not _is_duplicate(error):
            raise
        return False
    return True


def _is_duplicate(error: IntegrityError) -> bool:
    original = error.orig
    if original is not None and original.args and original.args[0] == 1062:
        return True
    return "UNIQUE constraint failed" in str(original)


def upsert(
    session: Session, table: Table, keys: tuple[str, ...], updates: Mapping[str, Any]
) -> Insert:
    """An INSERT that updates the row of the same key instead (``updates``: column -> expression).

    ``updates`` expressions refer to the stored row; give its ``values`` when executing.
    """
    if session.dialect.name == "sqlite":
        statement = sqlite.insert(table)
        return statement.on_conflict_do_update(index_elements=list(keys), set_=dict(updates))
    return mysql.insert(table).on_duplicate_key_update(**dict(updates))


def change_one(session: Session, statement: Update, code: str, **context: object) -> None:
    """Execute a conditional update that must touch exactly one row, else ConflictError."""
    if session.execute(statement).rowcount != 1:
        raise ConflictError(code, "", **context)


def is_ready(session: Session) -> bool:
    """Whether the database answers."""
    return session.execute(text("SELECT 1")).scalar() == 1
