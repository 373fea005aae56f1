"""Imports of bills: rows a second and memory on both databases, beside a plain importer.

``python -m devtools.bench --only imports``. What is measured is all of an import: the file is kept,
checked and loaded, bills are settled, cases of arrears opened, each batch committed. The importing
process is a child of its own (``python -m devtools.bench.imports ours|peer URL FOLDER FILE``), so
that its memory can be told. The peer reads with ``csv``, checks each row in Python and inserts it
by itself with SQLAlchemy, 1,000 in a commit: no settlement, no cases, no rejects kept.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from devtools.bench.databases import BACKENDS, open_backend
from devtools.bench.import_files import BAD_EVERY, NOW, put_customers, write_csv, write_xlsx
from devtools.bench.workflow_machines import backends
from gongdian.accounts.customer_tables import customers
from gongdian.arrears.tables import cases
from gongdian.billing.tables import bills
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.migrations.upgrade import upgrade_database
from gongdian.privacy import DataKeys, install_keys
from gongdian.sources.model import RunState
from gongdian.sources.runs import Importing, import_file

_LEAST_PER_S = {"sqlite": 12_000.0, "mariadb": 8_000.0}
_XLSX_PER_S = 3_000.0
_MOST_MB = 300.0
_COMMIT = 1_000
_KEYS = DataKeys(current=b"k" * 32, index=b"i" * 32)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure as the table of ``make bench`` prints it."""

    what: str
    value: float
    unit: str
    target: str = ""
    is_met: bool = True
    beside: str = ""


@dataclass(frozen=True, slots=True)
class _Size:
    rows: int
    xlsx_rows: int
    peer_rows: int


_SHORT = _Size(100_000, 20_000, 20_000)
_LONG = _Size(1_000_000, 100_000, 100_000)


def run(*, is_short: bool) -> Iterator[Row]:
    """CSV on each backend that answers, with its peer; XLSX on SQLite."""
    size = _SHORT if is_short else _LONG
    print(f"imports: load average {os.getloadavg()[0]:.2f} before", flush=True)
    for name in BACKENDS:
        if name in backends():
            yield from _backend_rows(name, size)
    print(f"imports: load average {os.getloadavg()[0]:.2f} after", flush=True)


def _backend_rows(name: str, size: _Size) -> Iterator[Row]:
    shown = name.removesuffix("+redis")
    with tempfile.TemporaryDirectory(prefix="gongdian-imports-") as folder:
        place = Path(folder)
        write_csv(place / "bills.csv", size.rows)
        write_csv(place / "few.csv", size.peer_rows)
        with open_backend(name, place) as backend:
            _prepare(backend.database_url, size.rows)
            ours = _measure("ours", backend.database_url, place, "bills.csv")
            _check(backend.database_url, size.rows)
        with open_backend(name, place) as backend:
            peer = _peer(backend.database_url, place, size)
        yield from _csv_rows(shown, size, ours, peer)
        if shown == "sqlite":
            yield from _xlsx_rows(place, size)


def _csv_rows(
    name: str, size: _Size, ours: dict[str, float], peer: dict[str, float]
) -> Iterator[Row]:
    per_s, least = size.rows / ours["seconds"], _LEAST_PER_S[name]
    ratio = per_s / (size.peer_rows / peer["seconds"])
    beside = f"{ratio:.1f} x the plain importer; checked in {ours['checked_s']:.1f} s"
    what = f"{size.rows} bills from CSV on {name}"
    yield Row(what, per_s, "/s", f">= {least:.0f}", per_s >= least, beside)
    mb = ours["peak_mb"]
    yield Row(f"{what}: peak memory", mb, "MB", f"< {_MOST_MB:.0f}", mb < _MOST_MB)
    beside = f"{size.peer_rows} bills, row by row, {peer['peak_mb']:.0f} MB"
    yield Row(f"plain importer on {name}", size.peer_rows / peer["seconds"], "/s", beside=beside)


def _xlsx_rows(place: Path, size: _Size) -> Iterator[Row]:
    write_xlsx(place / "bills.xlsx", size.xlsx_rows)
    (place / "bench.db").unlink(missing_ok=True)
    with open_backend("sqlite", place) as backend:
        _prepare(backend.database_url, size.xlsx_rows)
        ours = _measure("ours", backend.database_url, place, "bills.xlsx")
        _check(backend.database_url, size.xlsx_rows)
    per_s = size.xlsx_rows / ours["seconds"]
    what = f"{size.xlsx_rows} bills from XLSX on sqlite"
    beside = f"checked in {ours['checked_s']:.1f} s"
    is_met = per_s >= _XLSX_PER_S
    yield Row(what, per_s, "/s", f">= {_XLSX_PER_S:.0f}", is_met, beside)
    mb = ours["peak_mb"]
    yield Row(f"{what}: peak memory", mb, "MB", f"< {_MOST_MB:.0f}", mb < _MOST_MB)


def _peer(url: str, place: Path, size: _Size) -> dict[str, float]:
    if url.startswith("sqlite"):
        (place / "bench.db").unlink(missing_ok=True)
    _prepare(url, size.peer_rows)
    return _measure("peer", url, place, "few.csv")


def _prepare(url: str, count: int) -> None:
    install_keys(_KEYS)
    database = Database(url)
    upgrade_database(database)
    put_customers(database, count)
    database.close()


def _check(url: str, count: int) -> None:
    """Every good bill is in, once, and its case is open."""
    database = Database(url)
    with database.read() as session:
        stored = session.execute(select(func.count()).select_from(bills)).scalar_one()
        opened = session.execute(select(func.count()).select_from(cases)).scalar_one()
    database.close()
    good = count - count // BAD_EVERY
    if (stored, opened) != (good, good):
        raise RuntimeError(f"{stored} bills and {opened} cases instead of {good}")


def _measure(who: str, url: str, place: Path, file: str) -> dict[str, float]:
    """The figures of one import in a process of its own."""
    command = [sys.executable, "-m", "devtools.bench.imports", who, url, str(place), file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600)
    if done.returncode != 0:
        raise RuntimeError(f"{who} failed: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _peak_mb() -> float:
    """The most memory that this process held at once (VmHWM: its own, not its parent's)."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")


def _ours(url: str, place: Path, file: str) -> dict[str, float]:
    install_keys(_KEYS)
    database = Database(url)
    began = time.perf_counter()
    checked = [began]

    def progress(done: int, total: int | None, phase: str) -> None:
        if phase != "loading":
            checked[0] = time.perf_counter()

    importing = Importing(database, MovableClock(NOW), place)
    report = import_file(importing, place / file, "sg186_bills", "bench", progress=progress)
    seconds = time.perf_counter() - began
    if report.state is not RunState.DONE:
        raise RuntimeError(report.problem)
    return {"seconds": seconds, "checked_s": checked[0] - began, "peak_mb": _peak_mb()}


def _plain(url: str, place: Path, file: str) -> dict[str, float]:
    database = Database(url)
    with database.read() as session:
        known = set(session.scalars(select(customers.c.customer_no)))
    began = time.perf_counter()
    with (place / file).open(encoding="utf-8-sig", newline="") as source:
        batch: list[dict[str, Any]] = []
        for number, row in enumerate(csv.DictReader(source), 2):
            values = _plain_values(row, number, known)
            if values is not None:
                batch.append(values)
            if len(batch) == _COMMIT:
                _plain_commit(database, batch)
        _plain_commit(database, batch)
    return {"seconds": time.perf_counter() - began, "checked_s": 0.0, "peak_mb": _peak_mb()}


_FEES = {
    "energy": "购电费",
    "line_loss": "上网环节线损费",
    "transmission": "输配电费",
    "system": "系统运行费",
    "funds": "政府性基金及附加",
}


def _plain_values(row: dict[str, str], number: int, known: set[str]) -> dict[str, Any] | None:
    amount = Decimal(row["应收电费"])
    fees = {name: Decimal(row[heading]) for name, heading in _FEES.items()}
    readings = [float(row[one]) for one in ("上期示数", "本期示数", "倍率")]
    used = (readings[1] - readings[0]) * readings[2]
    issued, due = (date.fromisoformat(row[one]) for one in ("发行日期", "交费截止日期"))
    is_good = (
        row["户号"] in known
        and sum(fees.values()) == amount
        and due >= issued
        and abs(used - float(row["计费电量"])) <= 1
    )
    if not is_good:
        return None
    lines = {
        "readings": [dict(zip(("previous", "current", "multiplier"), readings, strict=True))],
        "fees": {name: int(fee * 100) for name, fee in fees.items()},
    }
    return {
        "customer_no": row["户号"],
        "bill_no": row["应收编号"],
        "version": int(row["版本"]),
        "kind": "normal",
        "period": row["电费年月"],
        "amount": amount,
        "is_current": True,
        "is_open": True,
        "issued_on": issued,
        "due_on": due,
        "kwh": used,
        "lines": json.dumps(lines),
        "run_id": 1,
        "row_no": number,
        "changed_at": NOW,
    }


def _plain_commit(database: Database, batch: list[dict[str, Any]]) -> None:
    with database.begin() as session:
        for values in batch:
            session.execute(bills.insert(), values)
    batch.clear()


if __name__ == "__main__":
    _who, _url, _place, _file = sys.argv[1:]
    _work = {"ours": _ours, "peer": _plain}[_who]
    print(json.dumps(_work(_url, Path(_place), _file)))
