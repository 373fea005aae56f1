"""The state machines of the workflow bench, and databases that are ready to run them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import func, select

from devtools.bench.databases import MARIADB, open_backend
from gongdian.clock import SystemClock
from gongdian.db import Database, Session
from gongdian.migrations.upgrade import upgrade_database
from gongdian.privacy import DataKeys, install_keys
from gongdian.workflow_tables import workflow_executions, workflow_history
from workflows.engine.performing import NamedFunctions
from workflows.engine.starting import Start, start_execution
from workflows.engine.store import in_ms
from workflows.engine.versions import publish
from workflows.engine.worker import EngineWorker, WorkerParts

CHAIN_STATES = 20
MAP_ITEMS = 1_000
# Started, entered and exited of each state, succeeded.
CHAIN_EVENTS = 2 * CHAIN_STATES + 2


def chain(state: dict[str, Any]) -> str:
    """A definition: the same state as often as ``CHAIN_STATES`` says."""
    last = CHAIN_STATES - 1
    states = {
        f"S{number}": state | ({"Next": f"S{number + 1}"} if number < last else {"End": True})
        for number in range(CHAIN_STATES)
    }
    return json.dumps({"StartAt": "S0", "States": states})


PASS_CHAIN = chain({"Type": "Pass"})
LAMBDA_CHAIN = chain(
    {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "echo", "Payload.$": "$"},
        "OutputPath": "$.Payload",
    }
)
_ONE_PASS = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
INLINE_MAP = json.dumps(
    {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": _ONE_PASS, "End": True}}}
)
MAP_INPUT = json.dumps(list(range(MAP_ITEMS)))
WAIT_UNTIL = json.dumps(
    {"StartAt": "W", "States": {"W": {"Type": "Wait", "TimestampPath": "$.due", "End": True}}}
)
_MACHINES = {"chain": PASS_CHAIN, "lambda": LAMBDA_CHAIN, "map": INLINE_MAP, "wait": WAIT_UNTIL}


@dataclass(frozen=True, slots=True)
class Place:
    """A migrated database with the machines ``chain``, ``lambda``, ``map`` and ``wait``."""

    name: str
    url: str
    database: Database


def open_database(url: str) -> Database:
    """The database as a worker has it; keys of no value are installed."""
    install_keys(DataKeys(current=b"b" * 32, index=b"i" * 32))
    return Database(url)


@contextmanager
def open_place(backend_name: str) -> Iterator[Place]:
    """A fresh place on ``sqlite`` (WAL, synchronous FULL, a file) or ``mariadb+redis``."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_backend(backend_name, Path(folder)) as backend,
    ):
        database = open_database(backend.database_url)
        try:
            upgrade_database(database)
            now = SystemClock().now()
            for name, definition in _MACHINES.items():
                database.run(lambda session: publish(session, name, definition, now))  # noqa: B023
            yield Place(backend_name.removesuffix("+redis"), backend.database_url, database)
        finally:
            database.close()


def backends() -> list[str]:
    """The backends that answer here; SQLite always does."""
    try:
        url = sqlalchemy.make_url(MARIADB).set(drivername="mysql+pymysql", database=None)
        server = sqlalchemy.create_engine(url)
        server.connect().close()
        server.dispose()
    except sqlalchemy.exc.OperationalError:
        print("workflows on mariadb: not measured, no server answers", flush=True)
        return ["sqlite"]
    return ["sqlite", "mariadb+redis"]


def new_worker(database: Database, name: str) -> EngineWorker:
    """A worker as it comes, with the function ``echo`` that gives back its event."""
    functions = NamedFunctions({"echo": lambda event, _: event})
    return EngineWorker(WorkerParts(database, SystemClock(), functions), name)


def start_many(database: Database, machine: str, inputs: list[str]) -> float:
    """Start executions in one transaction; the seconds that it took."""
    clock = SystemClock()
    began = clock.now()

    def start(session: Session) -> None:
        for text in inputs:
            start_execution(session, Start(machine, text), in_ms(began))

    database.run(start)
    return (clock.now() - began).total_seconds()


def check_histories(database: Database, machine: str, count: int, events: int) -> None:
    """Every execution has ended once, with each of its events once; RuntimeError if not."""
    of, kept = workflow_executions.c, workflow_history.c
    length = func.sum(kept.last_event - kept.first_event + 1)
    with database.read() as session:
        rows = session.execute(
            select(of.status, of.last_event, length.label("kept"))
            .join(workflow_history, kept.execution_id == of.id)
            .where(of.machine == machine)
            .group_by(of.id)
        ).all()
    wrong = [row for row in rows if tuple(row) != ("SUCCEEDED", events, events)]
    if len(rows) != count or wrong:
        raise RuntimeError(f"{len(rows)} of {count} executions, wrong: {wrong[:5]}")
