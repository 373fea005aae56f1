"""Files that the processes of a workflow run share (共享文件): evidence, mailbox, clock, settings.

None of them is in the engine's database: what a function did is known however its worker died.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gongdian.db import Database
from gongdian.privacy import DataKeys, install_keys

EVIDENCE, MAILBOX, ANSWERED, OFFSET = "evidence.jsonl", "mailbox.jsonl", "answered.jsonl", "offset"
_SETTINGS = "workflow.json"
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Shared:
    """What each process of a run is told; the keys as hexadecimal digits."""

    database_url: str
    data_key: str
    index_key: str
    lease_s: float


def write_shared(folder: Path, shared: Shared) -> None:
    """Leave the settings where the processes find them."""
    (folder / _SETTINGS).write_text(json.dumps(asdict(shared)), "utf-8")


def read_shared(folder: Path) -> Shared:
    """The settings of a run."""
    return Shared(**json.loads((folder / _SETTINGS).read_text("utf-8")))


def open_database(shared: Shared, connections: int) -> Database:
    """The engine's database; installs the keys in this process."""
    keys = (bytes.fromhex(one) for one in (shared.data_key, shared.index_key))
    install_keys(DataKeys(*keys))
    return Database(shared.database_url, connections=connections)


class Lines:
    """A file that many processes append lines to: one small write each, so none is torn."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)

    def add(self, **fields: Any) -> None:
        """Append one line."""
        os.write(self._file, json.dumps(fields).encode() + b"\n")


class Tail:
    """Reads the lines that were appended since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0

    def read(self) -> list[dict[str, Any]]:
        """New whole lines; none when there is no such file yet."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._place)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._place += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


class ShiftedClock:
    """The machine's clock, shifted by the seconds that a file says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0.0
        self._looked = float("-inf")

    def now(self) -> datetime:
        """The instant of this clock; the file is read again after 50 ms."""
        at = time.monotonic()
        if at - self._looked > _LOOK_EVERY_S:
            self._offset, self._looked = read_offset(self._path), at
        return datetime.fromtimestamp(time.time() + self._offset, UTC)


def read_offset(path: Path) -> float:
    """By how many seconds the run's clock is shifted."""
    return float(path.read_text("ascii")) if path.exists() else 0.0


def write_offset(path: Path, seconds: float) -> None:
    """Shift the clock of every process; nobody reads half a number."""
    fresh = path.with_suffix(".new")
    fresh.write_text(str(seconds), "ascii")
    fresh.replace(path)
