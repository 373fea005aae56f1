"""One import at a time (导入排队): held by a process while it imports, given back when it dies.

Bills and payments settle each other: two transactions that do not see each other's rows would
leave a paid bill open. So all feeds share one turn. A file lock on SQLite, a named lock of the
server on MariaDB: neither outlives the process that holds it.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from gongdian.db import Database
from gongdian.errors import ConflictError

_AGAIN_S = 0.2


@contextmanager
def import_turn(database: Database, data_dir: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the turn; ConflictError ``import_running`` when another has it after ``patience_s``."""
    if database.is_sqlite:
        folder = data_dir / "imports"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file_turn(folder / ".turn", patience_s):
            yield
    else:
        with _server_turn(database, patience_s):
            yield


@contextmanager
def file_turn(path: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Hold a turn on this machine by a file; ConflictError as above."""
    until = time.monotonic() + patience_s
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise _taken() from None
                time.sleep(_AGAIN_S)
        yield


@contextmanager
def _server_turn(database: Database, patience_s: float) -> Iterator[None]:
    # Named after the database: one server may hold several installations.
    name = f"gongdian_import:{database.url.database}"[:64]
    until = time.monotonic() + patience_s
    with database.connect() as session:
        while session.execute(text("SELECT GET_LOCK(:name, 0)"), {"name": name}).scalar() != 1:
            if time.monotonic() >= until:
                raise _taken()
            time.sleep(_AGAIN_S)
        session.rollback()  # the lock is the connection's, a transaction need not stay open
        try:
            yield
        finally:
            session.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})
            session.rollback()


def _taken() -> ConflictError:
    return ConflictError("import_running", "另一个导入正在进行，请等它结束后再试")
