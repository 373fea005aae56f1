"""Many executions in a Wait state: what their worker uses meanwhile, and how late they wake.

Due times are spread evenly over a window. Two delays: to the time stamp of WaitStateExited (what
the history says), and to the first look at the database that shows the execution's end (a look
every 20 ms; executions end in the order of their due times, so the n-th end belongs to the n-th
due time).
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from devtools.bench.workflow_machines import Place, check_histories, open_place, start_many
from devtools.bench.workflow_processes import (
    WorkerProcess,
    count_ended,
    wait_for_ends,
    worker_processes,
)
from gongdian.clock import SystemClock
from gongdian.workflow_tables import workflow_executions, workflow_history, workflow_timers
from workflows.engine.store import in_ms

_LOOK_S = 0.02
_QUIET_S = 4.0
_EVENTS = 4
_PROBE = 300


@dataclass(frozen=True, slots=True)
class Waits:
    """CPU shares of one core, and delays in seconds."""

    quiet_cpu: float
    waking_cpu: float
    exited_median: float
    exited_p99: float
    seen_median: float
    seen_p99: float


def percentile(values: list[float], percent: float) -> float:
    """The value that so many percent do not exceed (nearest rank)."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, int(rank) - 1)]


def run(backend_name: str, executions: int, window_s: float) -> Waits:
    """One worker process; ``executions`` wake within ``window_s`` seconds."""
    with open_place(backend_name) as place, worker_processes(place, 1) as workers:
        clock = SystemClock()
        lead_s = _probe(place) * executions + _QUIET_S + 3
        first = clock.now() + timedelta(seconds=lead_s)
        dues = [first + timedelta(seconds=window_s * n / executions) for n in range(executions)]
        _start(place, dues)
        quiet_cpu = _quiet(place, workers[0], executions, first)
        seen, waking_cpu = _watch(place, workers[0], dues)
        check_histories(place.database, "wait", executions, _EVENTS)
        exited = _exited(place)
        workers[0].stop()
    return Waits(
        quiet_cpu,
        waking_cpu,
        statistics.median(exited),
        percentile(exited, 99),
        statistics.median(seen),
        percentile(seen, 99),
    )


def _probe(place: Place) -> float:
    """Seconds that an execution surely needs until it waits: twice what a chain needs to end."""
    began = time.perf_counter()
    start_many(place.database, "chain", ["{}"] * _PROBE)
    wait_for_ends(place, "chain", _PROBE)
    return 2 * (time.perf_counter() - began) / _PROBE


def _start(place: Place, dues: list[datetime]) -> None:
    texts = [json.dumps({"due": due.isoformat().replace("+00:00", "Z")}) for due in dues]
    for begin in range(0, len(texts), 500):
        start_many(place.database, "wait", texts[begin : begin + 500])


def _quiet(place: Place, worker: WorkerProcess, executions: int, first: datetime) -> float:
    """The worker's share of a core while all wait and none is due."""
    clock = SystemClock()
    while _count_waiting(place) < executions:
        time.sleep(0.05)
    left = (first - clock.now()).total_seconds() - 0.5
    if left < 1:
        raise RuntimeError(f"{executions} executions did not come to wait before the first is due")
    began, cpu = time.perf_counter(), worker.cpu_s()
    time.sleep(min(left, _QUIET_S))
    return (worker.cpu_s() - cpu) / (time.perf_counter() - began)


def _count_waiting(place: Place) -> int:
    with place.database.read() as session:
        found = select(func.count()).select_from(workflow_timers)
        return int(session.execute(found).scalar_one())


def _watch(place: Place, worker: WorkerProcess, dues: list[datetime]) -> tuple[list[float], float]:
    """Delays as seen in the database, and the worker's share of a core meanwhile."""
    clock = SystemClock()
    time.sleep(max(0.0, (dues[0] - clock.now()).total_seconds()))
    began, cpu = time.perf_counter(), worker.cpu_s()
    end = dues[-1] + timedelta(seconds=60)
    delays: list[float] = []
    while len(delays) < len(dues):
        ended, now = count_ended(place, "wait"), clock.now()
        delays += [(now - due).total_seconds() for due in dues[len(delays) : ended]]
        if now > end:
            raise TimeoutError("the executions do not wake")
        time.sleep(_LOOK_S)
    return delays, (worker.cpu_s() - cpu) / (time.perf_counter() - began)


def _exited(place: Place) -> list[float]:
    """From each execution's due time to the time stamp of its WaitStateExited."""
    of, kept = workflow_executions.c, workflow_history.c
    with place.database.read() as session:
        rows = session.execute(
            select(of.input, kept.events)
            .join(workflow_history, kept.execution_id == of.id)
            .where(of.machine == "wait")
        ).all()
    delays = []
    for row in rows:
        due = in_ms(datetime.fromisoformat(json.loads(row.input)["due"]))
        stamps = [at for kind, at, *_ in json.loads(row.events) if kind == "WaitStateExited"]
        delays += [(at - due) / 1000 for at in stamps]
    return delays
