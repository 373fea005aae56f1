"""What the workflow engine is measured beside: moto, DBOS on SQLite, and SQLite by itself.

``python -m devtools.bench.workflow_peers moto|dbos|floor SECONDS`` measures one of them and
prints its figures as one line of JSON; ``measure`` runs that in a process of its own, since
peers start threads and change the environment.

- moto: Step Functions in memory (``execute_state_machine``), the same definitions. Nothing is
  durable. Waits look at moto's own objects, not through its API, which would add to its time.
- DBOS as it comes on SQLite: a workflow of 20 steps that do nothing; 1,000 steps for the Map.
  Each step is one commit (rollback journal, synchronous FULL).
- floor: two rows of history and one update of a state's row for each transition, in prepared
  statements on SQLite (WAL, synchronous FULL): one transition in a commit, and 20.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from devtools.bench.workflow_machines import (
    CHAIN_STATES,
    INLINE_MAP,
    MAP_INPUT,
    MAP_ITEMS,
    PASS_CHAIN,
)

_PATIENCE_S = 300.0
TOGETHER = 50


def measure(peer: str, seconds: float) -> dict[str, float]:
    """The figures of one peer, measured in its own process and folder."""
    command = [sys.executable, "-m", "devtools.bench.workflow_peers", peer, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode != 0:
        raise RuntimeError(f"{peer} failed: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def rate(work: Callable[[], object], seconds: float) -> float:
    """How often a second ``work`` is done, one after the other; three times before to warm up."""
    for _ in range(3):
        work()
    times = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        work()
        times.append(time.perf_counter() - began)
    return middle_rate(times)


def middle_rate(times: list[float]) -> float:
    """The median rate of up to five stretches of a run: a neighbour's burst spoils one of them."""
    size = -(-len(times) // 5)
    parts = [times[begin : begin + size] for begin in range(0, len(times), size)]
    return statistics.median(len(part) / sum(part) for part in parts)


def median_time(work: Callable[[], object], rounds: int) -> float:
    """The median of the seconds that ``work`` takes."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _rounds(seconds: float) -> int:
    return 1 if seconds < 5 else 5


# -- moto -----------------------------------------------------------------------------------


def _moto(seconds: float) -> dict[str, float]:
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    from moto import mock_aws

    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        machines = _MotoMachines()
        machines.create("chain", PASS_CHAIN)
        machines.create("map", INLINE_MAP)
        return {
            "alone": rate(lambda: machines.run("chain", "{}"), seconds) * CHAIN_STATES,
            "together": machines.run_many("chain", TOGETHER) * CHAIN_STATES,
            "map_s": median_time(lambda: machines.run("map", MAP_INPUT), _rounds(seconds)),
        }


class _MotoMachines:
    """Machines in moto's memory."""

    def __init__(self) -> None:
        # boto3 has no type information, and moto's inside is not exported.
        models: Any = import_module("moto.stepfunctions.parser.models")
        account = import_module("moto.core").DEFAULT_ACCOUNT_ID
        self._backend: Any = models.stepfunctions_parser_backends[account]["us-east-1"]
        self._client: Any = import_module("boto3").client("stepfunctions")
        self._arns: dict[str, str] = {}
        self._started = 0

    def create(self, name: str, definition: str) -> None:
        role = "arn:aws:iam::123456789012:role/bench"
        made = self._client.create_state_machine(name=name, definition=definition, roleArn=role)
        self._arns[name] = made["stateMachineArn"]

    def _start(self, machine: str, text: str) -> Any:
        self._started += 1
        arn, name = self._arns[machine], f"e{self._started}"
        self._client.start_execution(stateMachineArn=arn, name=name, input=text)
        found = next(one for one in self._backend.state_machines if one.arn == arn)
        return found.executions[-1]

    def run(self, machine: str, text: str) -> None:
        """Start one execution and wait for its end."""
        _wait(self._start(machine, text))

    def run_many(self, machine: str, count: int) -> float:
        """Executions per second, started together (each has a thread)."""
        began = time.perf_counter()
        for execution in [self._start(machine, "{}") for _ in range(count)]:
            _wait(execution)
        return count / (time.perf_counter() - began)


def _wait(execution: Any) -> None:
    end = time.monotonic() + _PATIENCE_S
    while execution.status == "RUNNING" and time.monotonic() < end:
        time.sleep(0.0002)
    if execution.status != "SUCCEEDED":
        raise RuntimeError(f"moto: {execution.status}")


# -- DBOS -----------------------------------------------------------------------------------


def _dbos(seconds: float) -> dict[str, float]:
    from dbos import DBOS

    DBOS(config={"name": "bench", "log_level": "ERROR", "console_log_level": "ERROR"})

    @DBOS.step()
    def step(number: int) -> int:
        return number

    @DBOS.workflow()
    def work(steps: int) -> int:
        return sum(step(number) for number in range(steps))

    DBOS.launch()
    try:
        return {
            "alone": rate(lambda: work(CHAIN_STATES), seconds) * CHAIN_STATES,
            "together": TOGETHER / median_time(lambda: _together(work), 1) * CHAIN_STATES,
            "map_s": median_time(lambda: work(MAP_ITEMS), _rounds(seconds)),
        }
    finally:
        DBOS.destroy()


def _together(work: Callable[[int], int]) -> None:
    with ThreadPoolExecutor(8) as pool:  # more threads at once are slower here
        for _ in pool.map(work, [CHAIN_STATES] * TOGETHER):
            pass


# -- SQLite by itself -----------------------------------------------------------------------


def _floor(seconds: float) -> dict[str, float]:
    connection = sqlite3.connect("floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE state (id INTEGER PRIMARY KEY, position TEXT, seen INTEGER)")
    connection.execute("INSERT INTO state VALUES (1, '', 0)")
    connection.execute(
        "CREATE TABLE event (execution INTEGER, number INTEGER, at INTEGER, kind TEXT, "
        "fields TEXT, PRIMARY KEY (execution, number)) WITHOUT ROWID"
    )
    floor = _Floor(connection)
    return {
        "one_in_a_commit": rate(lambda: floor.commit(1), seconds),
        "twenty_in_a_commit": rate(lambda: floor.commit(CHAIN_STATES), seconds) * CHAIN_STATES,
    }


class _Floor:
    """An execution without end in two tables."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._events = 0

    def commit(self, transitions: int) -> None:
        """Store so many transitions in one transaction."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for _ in range(transitions):
            for kind in ("PassStateEntered", "PassStateExited"):
                self._events += 1
                fields = '{"name":"S0","input":{}}'
                row = (1, self._events, 1_700_000_000_000, kind, fields)
                execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", row)
            execute("UPDATE state SET position = ?, seen = ? WHERE id = 1", ("S1", self._events))
        execute("COMMIT")


_PEERS = {"moto": _moto, "dbos": _dbos, "floor": _floor}


def main() -> None:
    """Measure one peer in a folder that goes away."""
    peer, seconds = sys.argv[1], float(sys.argv[2])
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        figures = _PEERS[peer](seconds)
        os.chdir(home)
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
