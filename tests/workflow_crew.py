"""Workers of the workflow engine for tests: turned by hand, so that nothing happens by chance."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from gongdian.clock import MovableClock
from gongdian.db import Database
from workflows.engine import executions, starting, store, versions
from workflows.engine.executions import Execution
from workflows.engine.home import Home
from workflows.engine.orders import Status
from workflows.engine.performing import Function, NamedFunctions, Queues
from workflows.engine.starting import Start, Started
from workflows.engine.worker import EngineWorker, WorkerParts, WorkerSettings

HOME = Home()
QUICK = WorkerSettings(threads=4, lease_s=30, task_lease_s=60)


class Crew:
    """One database, one clock, and any number of workers."""

    def __init__(
        self,
        database: Database,
        clock: MovableClock,
        functions: Mapping[str, Function] | None = None,
        queues: Queues | None = None,
    ) -> None:
        self.database = database
        self.clock = clock
        self.functions = NamedFunctions(functions or {})
        self.queues = queues
        self.workers: list[EngineWorker] = []

    def worker(self, name: str = "w1", settings: WorkerSettings = QUICK) -> EngineWorker:
        parts = WorkerParts(self.database, self.clock, self.functions, self.queues, HOME, settings)
        worker = EngineWorker(parts, name)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self.workers:
            worker.stop()
            worker.close()

    def now_ms(self) -> int:
        return store.in_ms(self.clock.now())

    def publish(self, machine: str, definition: Mapping[str, Any]) -> versions.Version:
        text = json.dumps(definition, ensure_ascii=False)
        return self.database.run(
            lambda session: versions.publish(session, machine, text, self.clock.now())
        )

    def start(self, machine: str, input: Any = None, name: str = "") -> Started:
        text = json.dumps({} if input is None else input, ensure_ascii=False)
        wanted = Start(machine, text, name)
        return self.database.run(
            lambda session: starting.start_execution(session, wanted, self.now_ms())
        )

    def look(self, started: Started) -> Execution:
        with self.database.read() as session:
            return executions.describe(session, f"{started.machine}:{started.name}", HOME)

    def events(self, started: Started) -> list[dict[str, Any]]:
        with self.database.read() as session:
            return executions.history(session, f"{started.machine}:{started.name}", most=25_000)

    def types(self, started: Started) -> list[str]:
        return [event["type"] for event in self.events(started)]

    def settle(self, *workers: EngineWorker) -> None:
        """Turn until nobody has anything to do at this instant."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            busy = [worker.turn() for worker in workers]
            if not any(busy) and not any(worker.in_flight for worker in workers):
                return
            if not any(busy):
                time.sleep(0.001)
        raise AssertionError("the workers do not come to rest")

    def until(self, started: Started, worker: EngineWorker, *, hours: float = 100) -> Execution:
        """Turn, and move the clock to what is next, until an execution has ended."""
        end = self.clock.now() + timedelta(hours=hours)
        while True:
            self.settle(worker)
            found = self.look(started)
            if found.status is not Status.RUNNING:
                return found
            with self.database.read() as session:
                due = store.next_wake(session)
            assert due is not None, "nothing is awaited, and the execution has not ended"
            assert store.from_ms(due) <= end, "it does not end in time"
            self.clock.move(max(timedelta(), store.from_ms(due) - self.clock.now()))


class Held:
    """A function that does not answer before it is let go; ``entered`` tells that it began."""

    def __init__(self, answer: Callable[[Any], Any] = lambda event: event) -> None:
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.calls: list[str] = []
        self._answer = answer

    def __call__(self, event: Any, call: Any) -> Any:
        self.calls.append(call.key)
        self.entered.set()
        assert self.let_go.wait(20), "nobody let the function go"
        return self._answer(event)


def invoke(function: str, **fields: Any) -> dict[str, Any]:
    """A Task state that calls a function with its input; ``$.Payload`` is its output."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "OutputPath": "$.Payload",
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


def machine(**states: Mapping[str, Any]) -> dict[str, Any]:
    """A definition that starts at the first of its states."""
    return {"StartAt": next(iter(states)), "States": states}
