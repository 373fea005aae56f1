"""The workflow engine beside moto, DBOS and bare SQLite.

``python -m devtools.bench --only workflows``. Everything is measured in one run on one machine.
Peers and worker processes have processes of their own; see ``workflow_peers`` for what each peer
does and keeps.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from devtools.bench import workflow_engine, workflow_peers, workflow_processes, workflow_waits
from devtools.bench.workflow_engine import Load, Speed
from devtools.bench.workflow_machines import CHAIN_STATES, MAP_ITEMS, backends, open_place

PROCESSES = 4
_LEAST_PER_S = 3_000.0
_MAP_MS = 1_000.0
_WAKE_P99_MS = 1_000.0


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
    seconds: float
    load: Load
    shared: int
    waiting: int
    window_s: float
    waits_everywhere: bool


_SHORT = _Size(1.5, Load(1.5, 500, 20, 2), 2_000, 1_000, 10.0, False)
_LONG = _Size(8.0, Load(8.0, 500, 50, 7), 10_000, 10_000, 60.0, True)


def run(*, is_short: bool) -> Iterator[Row]:
    """The peers, then ours on each backend that answers."""
    size = _SHORT if is_short else _LONG
    print(f"workflows: load average {os.getloadavg()[0]:.2f} before", flush=True)
    peers = {one: workflow_peers.measure(one, size.seconds) for one in ("floor", "moto", "dbos")}
    yield from _peer_rows(peers)
    for name in backends():
        with open_place(name) as place:
            speed = workflow_engine.run(place, size.load)
        yield from _speed_rows(place.name, speed, peers, size.load)
        yield _shared_row(name, size.shared)
        if name == "sqlite" or size.waits_everywhere:
            yield from _wait_rows(name, size.waiting, size.window_s)
    print(f"workflows: load average {os.getloadavg()[0]:.2f} after", flush=True)


_Peers = dict[str, dict[str, float]]


def _peer_rows(peers: _Peers) -> Iterator[Row]:
    floor, moto, dbos = peers["floor"], peers["moto"], peers["dbos"]
    yield Row("bare SQLite, a transition a commit", floor["one_in_a_commit"], "/s")
    beside = f"{CHAIN_STATES} transitions a commit"
    yield Row("bare SQLite, shared commits", floor["twenty_in_a_commit"], "/s", beside=beside)
    yield Row("moto (in memory), one at a time", moto["alone"], "/s", beside=_together(moto))
    yield Row("DBOS on SQLite, one at a time", dbos["alone"], "/s", beside=_together(dbos))


def _together(peer: dict[str, float]) -> str:
    return f"{peer['together']:.0f}/s for {workflow_peers.TOGETHER} together"


def _speed_rows(name: str, speed: Speed, peers: _Peers, load: Load) -> Iterator[Row]:
    chain = f"chain of {CHAIN_STATES} on {name}"
    alone, together = speed.alone, speed.together
    floor = peers["floor"]
    # What is promised is promised of SQLite; MariaDB's are figures.
    per_s, map_ms = (">= 3000", "<= 1000") if name == "sqlite" else ("", "")
    yield Row(
        f"{chain}: transitions, one at a time",
        alone,
        "/s",
        per_s,
        not per_s or alone >= _LEAST_PER_S,
        f"{_times(alone, peers, 'alone')}, {alone / floor['one_in_a_commit']:.2f} x bare SQLite",
    )
    yield Row(
        f"{chain}: transitions, {load.together} together",
        together,
        "/s",
        per_s,
        not per_s or together >= _LEAST_PER_S,
        f"{_times(together, peers, 'together')}, "
        f"{together / floor['twenty_in_a_commit']:.2f} x bare SQLite with shared commits",
    )
    beside = f"after a rest {speed.idle_s * 1000:.1f} ms"
    yield Row(f"{chain}: start to end, median", speed.alone_s * 1000, "ms", beside=beside)
    ours = speed.map_s * 1000
    others = [f"{peers[one]['map_s'] * 1000:.0f} ms {one}" for one in ("moto", "dbos")]
    beside = f"{' / '.join(others)} (steps)"
    is_met = not map_ms or ours <= _MAP_MS
    yield Row(f"Map of {MAP_ITEMS} on {name}, median", ours, "ms", map_ms, is_met, beside)
    each = speed.lambda_s * 1000 / CHAIN_STATES
    beside = f"{speed.lambdas:.0f} tasks/s with {load.lambdas} chains together"
    yield Row(f"lambda task on {name}, in a chain alone", each, "ms", beside=beside)


def _times(ours: float, peers: _Peers, key: str) -> str:
    return f"{ours / peers['moto'][key]:.1f} x moto, {ours / peers['dbos'][key]:.1f} x DBOS"


def _shared_row(backend_name: str, executions: int) -> Row:
    shared = workflow_processes.run(backend_name, PROCESSES, executions)
    name = backend_name.removesuffix("+redis")
    return Row(
        f"{PROCESSES} worker processes on one {name}: transitions",
        shared.transitions_per_s,
        "/s",
        beside=f"{executions} chains, each ended once; {shared.fenced} fenced, "
        f"{shared.least} to {shared.most} a process",
    )


def _wait_rows(backend_name: str, executions: int, window_s: float) -> Iterator[Row]:
    waits = workflow_waits.run(backend_name, executions, window_s)
    name = f"{executions} waiting on {backend_name.removesuffix('+redis')}"
    beside = f"{waits.waking_cpu:.1%} while they wake within {window_s:.0f} s"
    yield Row(f"{name}: CPU of the worker", waits.quiet_cpu * 100, "%", beside=beside)
    p99 = waits.exited_p99 * 1000
    beside = f"median {waits.exited_median * 1000:.0f} ms"
    is_met = p99 < _WAKE_P99_MS
    yield Row(f"{name}: due to exited, p99", p99, "ms", "< 1000", is_met, beside)
    p99 = waits.seen_p99 * 1000
    beside = f"median {waits.seen_median * 1000:.0f} ms"
    is_met = p99 < _WAKE_P99_MS
    yield Row(f"{name}: due to committed, p99", p99, "ms", "< 1000", is_met, beside)
