"""Worker processes of the workflow bench: several on one database, each with its own memory.

``python -m devtools.bench.workflow_processes URL NAME`` is one of them: it says ``ready``, works
until its standard input ends, and prints what it has done as one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import func, select

from devtools.bench.workflow_machines import (
    CHAIN_EVENTS,
    CHAIN_STATES,
    Place,
    check_histories,
    new_worker,
    open_database,
    open_place,
    start_many,
)
from gongdian.workflow_tables import workflow_executions
from workflows.engine.worker import Counts

_PATIENCE_S = 300.0


class WorkerProcess:
    """One worker in a process of its own."""

    def __init__(self, place: Place, name: str) -> None:
        command = [sys.executable, "-m", "devtools.bench.workflow_processes", place.url, name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def wait_until_ready(self) -> None:
        """Wait until it works; RuntimeError when it ends instead."""
        if self._process.stdout is None or self._process.stdout.readline() != "ready\n":
            raise RuntimeError("a worker process did not start")

    def cpu_s(self) -> float:
        """CPU seconds that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> Counts:
        """End it; what it has done."""
        said, _ = self._process.communicate(timeout=60)
        if self._process.returncode != 0:
            raise RuntimeError("a worker process failed")
        return Counts(**json.loads(said))


@contextmanager
def worker_processes(place: Place, count: int) -> Iterator[list[WorkerProcess]]:
    """So many workers, ready; those that were not stopped are killed at the end."""
    workers = [WorkerProcess(place, f"bench-{number}") for number in range(count)]
    try:
        for worker in workers:
            worker.wait_until_ready()
        yield workers
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)


@dataclass(frozen=True, slots=True)
class Shared:
    """What several processes did together."""

    transitions_per_s: float
    fenced: int
    least: int  # executions that the least and the most busy one ended
    most: int


def run(backend_name: str, processes: int, executions: int) -> Shared:
    """Chains of Pass states by several processes; each must end once with all its events."""
    with open_place(backend_name) as place, worker_processes(place, processes) as workers:
        start_many(place.database, "chain", ["{}"] * executions)
        began = time.perf_counter()
        wait_for_ends(place, "chain", executions)
        took = time.perf_counter() - began
        counts = [worker.stop() for worker in workers]
        check_histories(place.database, "chain", executions, CHAIN_EVENTS)
    closed = [one.closed for one in counts]
    events = sum(one.events for one in counts)
    if sum(closed) != executions or events != executions * CHAIN_EVENTS:
        raise RuntimeError(f"ended {closed}, events {events}")
    fenced = sum(one.fenced for one in counts)
    return Shared(executions * CHAIN_STATES / took, fenced, min(closed), max(closed))


def wait_for_ends(place: Place, machine: str, executions: int) -> None:
    """Wait until so many executions of a machine have ended."""
    end = time.monotonic() + _PATIENCE_S
    while count_ended(place, machine) < executions:
        if time.monotonic() > end:
            raise TimeoutError("the executions do not end")
        time.sleep(0.01)


def count_ended(place: Place, machine: str) -> int:
    """How many executions of a machine have ended, as committed."""
    of = workflow_executions.c
    with place.database.read() as session:
        found = select(func.count()).where(of.machine == machine, of.status != "RUNNING")
        return int(session.execute(found).scalar_one())


def main() -> None:
    """Be one worker process."""
    url, name = sys.argv[1:]
    database = open_database(url)
    worker = new_worker(database, name)
    worker.start()
    print("ready", flush=True)
    sys.stdin.read()
    worker.stop()
    print(json.dumps(asdict(worker.counts)), flush=True)
    database.close()


if __name__ == "__main__":
    main()
