"""The spool (暂存): authentic callbacks that the database could not take, fsynced to files.

The web edge writes, a drainer stores them later. A file's name is its dedupe key, so that the
platform's retry writes the same file. Contents are encrypted.
"""

from __future__ import annotations

import base64
import fcntl
import json
import logging
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from gongdian.db import Database
from gongdian.errors import GongdianError, UpstreamError
from gongdian.inbox.service import Arrived, store_callback
from gongdian.privacy import seal, unseal

log = logging.getLogger("gongdian.spool")

MAX_FILES = 200_000
_PURPOSE = "spool.callback"


class Spool:
    """One folder of spooled callbacks; processes on one machine share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._count: int | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, arrived: Arrived) -> None:
        """Write and fsync one callback; UpstreamError when the disk does not take it."""
        path = self._folder / f"{arrived.dedupe.hex()}.callback"
        draft = path.with_suffix(f".{secrets.token_hex(8)}")
        if self._is_full():
            raise UpstreamError("spool_full", files=MAX_FILES)
        try:
            with draft.open("xb") as file:
                file.write(seal(_encode(arrived), _PURPOSE))
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
            _sync_folder(self._folder)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise UpstreamError("spool_failed", str(error)) from error

    def _is_full(self) -> bool:
        with self._lock:
            # Other processes drain it: only a fresh count may refuse.
            if self._count is None or self._count >= MAX_FILES:
                self._count = self.count()
            self._count += 1
            return self._count > MAX_FILES

    def count(self) -> int:
        """How many callbacks wait."""
        return sum(1 for _ in self._folder.glob("*.callback"))

    def count_bad(self) -> int:
        """How many files were set aside."""
        return sum(1 for _ in self._folder.glob("*.bad"))

    def drain(self, database: Database, *, limit: int = 500) -> int:
        """Store up to ``limit`` waiting callbacks and delete their files; returns how many.

        One drainer at a time on a machine. What cannot be decrypted, or is refused by the
        database, is set aside as ``.bad``.
        """
        with self._exclusively() as is_ours:
            if not is_ours:
                return 0
            waiting = sorted(self._folder.glob("*.callback"))[:limit]
            read = {path: self._read(path) for path in waiting}
            return self._store(database, {path: one for path, one in read.items() if one})

    def _store(self, database: Database, files: Mapping[Path, Arrived]) -> int:
        try:
            database.run(lambda session: [store_callback(session, one) for one in files.values()])
        except UpstreamError:
            raise
        except Exception as error:  # noqa: BLE001 - the others must not wait for the one at fault
            if len(files) > 1:
                return sum(self._store(database, {path: one}) for path, one in files.items())
            for path in files:
                _set_aside(path, error)
            return 0
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    @contextmanager
    def _exclusively(self) -> Iterator[bool]:
        with (self._folder / "drain.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _read(self, path: Path) -> Arrived | None:
        try:
            return _decode(unseal(path.read_bytes(), _PURPOSE))
        except OSError as error:  # of the moment, such as too many open files
            log.warning("spool_unread", extra={"file": path.name, "detail": str(error)})
        except (ValueError, KeyError, TypeError, GongdianError) as error:
            _set_aside(path, error)
        return None


def _set_aside(path: Path, error: Exception) -> None:
    log.error("spool_set_aside", extra={"file": path.name, "detail": type(error).__name__})
    path.rename(path.with_suffix(".bad"))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(arrived: Arrived) -> bytes:
    document = {
        "dedupe": arrived.dedupe.hex(),
        "account": arrived.account,
        "kind": arrived.kind,
        "raw": base64.b64encode(arrived.raw).decode(),
        "is_json": arrived.is_json,
        "received_at": arrived.received_at.isoformat(),
    }
    return json.dumps(document).encode()


def _decode(plain: bytes) -> Arrived:
    document = json.loads(plain)
    return Arrived(
        dedupe=bytes.fromhex(document["dedupe"]),
        account=document["account"],
        kind=document["kind"],
        raw=base64.b64decode(document["raw"], validate=True),
        is_json=bool(document["is_json"]),
        received_at=datetime.fromisoformat(document["received_at"]),
    )
