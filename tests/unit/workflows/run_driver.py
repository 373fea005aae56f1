"""Drives a Run without a database: a clock that stands, tasks from a table, timers in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from workflows.engine.compiling import compile_machine
from workflows.engine.documents import Document
from workflows.engine.journal import read_chunks
from workflows.engine.orders import (
    Answer,
    AnswerKind,
    Facts,
    Orders,
    Status,
    TaskOrder,
    TimerFired,
    TimerKind,
    TimerOrder,
)
from workflows.engine.run import Run, Surroundings

START = 1_760_000_000_000
FUNCTION = "arn:aws:lambda:local:000000000000:function:"
PENDING = object()  # what a function gives whose task stays open


class TaskError(Exception):
    """What a function raises to fail its task."""

    def __init__(self, error: str | None = "Broken", cause: str | None = "no reason") -> None:
        super().__init__(error)
        self.error = error
        self.cause = cause


class Submitted:
    """What a function gives that has handed its task over."""

    def __init__(self, value: Any) -> None:
        self.value = value


Functions = Mapping[str, Callable[[Any], Any]]


def machine(states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A definition that starts at the first of its states; the last one ends it."""
    *_, last = states
    if states[last]["Type"] not in ("Succeed", "Fail", "Choice") and "Next" not in states[last]:
        states = {**states, last: {"End": True, **states[last]}}
    return {"StartAt": next(iter(states)), "States": states, **fields}


def passing(**fields: Any) -> dict[str, Any]:
    """A Pass state."""
    return {"Type": "Pass", **fields}


def task(function: str = "f", **fields: Any) -> dict[str, Any]:
    """A Task of a function."""
    return {"Type": "Task", "Resource": FUNCTION + function, **fields}


def mapping(chart: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An inline Map."""
    return {"Type": "Map", "ItemProcessor": chart, **fields}


def distributed(chart: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A distributed Map."""
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    return mapping({**chart, "ProcessorConfig": config}, **fields)


def parallel(*branches: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A Parallel."""
    return {"Type": "Parallel", "Branches": list(branches), **fields}


def waiting(name: str = "W", seconds: int = 100) -> dict[str, Any]:
    """A chart of one Wait."""
    return machine({name: {"Type": "Wait", "Seconds": seconds}})


def failing(*bad: Any) -> Any:
    """A function that fails for some payloads and gives tenfold of the others."""

    def function(payload: Any) -> Any:
        if payload in bad:
            raise TaskError("Broken", f"no {payload}")
        return payload * 10

    return {"f": function}


class Driver:
    """One execution; with ``restores`` every batch is stored and taken up by a new Run."""

    def __init__(
        self,
        definition: dict[str, Any],
        input: Any = None,
        functions: Functions | None = None,
        *,
        chance: float = 0.5,
        events_at_once: int = 2_000,
        restores: bool = False,
    ) -> None:
        self.now = START
        self.tokens = 0
        self.functions = functions or {}
        self.open: dict[int, TaskOrder] = {}
        self.timers: dict[tuple[int, TimerKind], TimerOrder] = {}
        self.history: list[TaskOrder] = []  # every task that was ordered
        self._chance = chance
        self._events_at_once = events_at_once
        self._restores = restores
        self._machine = compile_machine(definition)
        self._chunks: list[tuple[int, str]] = []
        self._asked: set[int] = set()
        self._redrives = 0
        self._input = Document({} if input is None else input)
        self.run = self._new(0)
        self.run.start()

    def _new(self, last: int) -> Run:
        facts = Facts(
            1,
            "arn:aws:states:local:000000000000:execution:m:e",
            "e",
            "arn:aws:states:local:000000000000:stateMachine:m",
            "m",
            "arn:aws:iam::000000000000:role/r",
            self._input,
            START,
            self._redrives,
        )
        around = Surroundings(lambda: self.now, lambda: self._chance, self._token)
        return Run(self._machine, facts, last, around)

    def _token(self) -> str:
        self.tokens += 1
        return f"task-{self.tokens:064}"

    # -- going on ---------------------------------------------------------------------------

    def advance(self) -> None:
        """Make transitions until everything waits."""
        while True:
            self.run.advance(self._events_at_once)
            self._take_orders()
            is_ready = bool(self.run.ready)
            # A batch that is full is stored before more is done.
            if self.run.status is Status.RUNNING and (self._restores or is_ready):
                self.restore()
            if not is_ready:
                return

    def _take_orders(self) -> None:
        orders = self.run.orders
        for scope in orders.cancelled:
            for key in [key for key in self.timers if key[0] == scope]:
                del self.timers[key]
        for serial in orders.closed_tasks:
            self.open.pop(serial, None)
        self.open.update(orders.tasks)
        self.timers.update(orders.timers)
        self.history.extend(orders.tasks.values())
        if self.run.status is not Status.RUNNING:
            self.open.clear()
            self.timers.clear()
        self.run.orders = Orders()

    def restore(self) -> None:
        """Store the position and the history, and go on with a new Run."""
        position = json.loads(self.run.snapshot())
        if self.run.journal.entries:
            self._chunks.append((self.run.journal.first, self.run.journal.text()))
        self.run = self._new(self.run.journal.last)
        self.run.restore(position)

    def go(self) -> Driver:
        """Answer tasks and fire timers until the end."""
        self.advance()
        for _ in range(100_000):
            if self.run.status is not Status.RUNNING:
                return self
            waiting = [one for one in self.open.values() if one.serial not in self._asked]
            if waiting:
                self._perform(waiting[0])
            elif self.timers:
                self.fire()
            else:
                raise AssertionError("the execution waits for nothing")
        raise AssertionError("the execution does not end")

    def _perform(self, order: TaskOrder) -> None:
        self._asked.add(order.serial)
        name = order.name if order.name in self.functions else order.service.value
        try:
            found = self.functions[name](order.payload.value)
        except TaskError as failure:
            self.fail(order, failure.error, failure.cause)
            return
        if isinstance(found, Submitted):
            self.tell(
                Answer(order.scope, order.serial, AnswerKind.SUBMITTED, Document(found.value))
            )
        elif found is not PENDING:
            self.answer(order, found)

    def fire(self) -> TimerOrder:
        """Let the next timer fall due; the clock moves there."""
        key = min(self.timers, key=lambda one: self.timers[one].due)
        timer = self.timers.pop(key)
        self.now = max(self.now, timer.due)
        self.tell(TimerFired(timer.scope, timer.kind, timer.serial))
        return timer

    def tell(self, signal: Answer | TimerFired) -> None:
        """Apply a signal and go on."""
        self.run.apply(signal)
        self.advance()

    def answer(self, order: TaskOrder, value: Any) -> None:
        """A task succeeds."""
        self.tell(Answer(order.scope, order.serial, AnswerKind.SUCCEEDED, Document(value)))

    def fail(self, order: TaskOrder, error: str | None, cause: str | None = None) -> None:
        """A task fails."""
        self.tell(Answer(order.scope, order.serial, AnswerKind.FAILED, None, error, cause))

    def stop(self, error: str | None = None, cause: str | None = None) -> None:
        """StopExecution."""
        self.tell(Answer(0, 0, AnswerKind.STOP, None, error, cause))

    def redrive(self) -> None:
        """RedriveExecution, as another process does it."""
        self._redrives += 1
        self.restore()
        self.run.redrive()
        self.advance()

    # -- what came of it --------------------------------------------------------------------

    @property
    def status(self) -> str:
        return self.run.status.value

    @property
    def output(self) -> Any:
        assert self.run.output is not None, (self.run.error, self.run.cause)
        return self.run.output.value

    @property
    def error(self) -> str | None:
        return self.run.error

    @property
    def cause(self) -> str | None:
        return self.run.cause

    @property
    def events(self) -> list[dict[str, Any]]:
        """The whole history in the shape of the API."""
        journal = self.run.journal
        return read_chunks([*self._chunks, (journal.first, journal.text())])

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def chain(self) -> list[str]:
        """``type(previousEventId)`` of every event."""
        return [f"{event['type']}({event['previousEventId']})" for event in self.events]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.now - START) / 1000


def drive(
    definition: dict[str, Any], input: Any = None, functions: Functions | None = None, **how: Any
) -> Driver:
    """Run a definition to its end."""
    return Driver(definition, input, functions, **how).go()


def result(state: dict[str, Any], input: Any = None, functions: Functions | None = None) -> Any:
    """The output of a machine of one state."""
    return drive(machine({"S": state}), input, functions).output
