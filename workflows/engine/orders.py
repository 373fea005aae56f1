"""What a batch of transitions asks of the store (指令), and what the world answers (信号).

Orders are written in the same transaction as the history that they follow from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from workflows.engine.documents import Document
from workflows.engine.resources import Pattern, Service


class Status(StrEnum):
    """The status of an execution, as DescribeExecution names it."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"


class TimerKind(StrEnum):
    """What falls due."""

    WAIT = "wait"
    RETRY = "retry"
    TIMEOUT = "timeout"
    HEARTBEAT = "heartbeat"
    EXECUTION = "execution"


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """Work to be done elsewhere: one attempt. ``token`` is "" where none is given out."""

    scope: int
    serial: int
    service: Service
    pattern: Pattern
    name: str
    payload: Document
    key: str
    token: str
    heartbeat_s: int | None


@dataclass(frozen=True, slots=True)
class TimerOrder:
    """An instant to wait for; ``due`` in milliseconds since 1970."""

    scope: int
    kind: TimerKind
    serial: int
    due: int


@dataclass(slots=True)
class Orders:
    """Everything that a batch asks for; cancelling undoes what was asked before."""

    tasks: dict[int, TaskOrder] = field(default_factory=dict)
    timers: dict[tuple[int, TimerKind], TimerOrder] = field(default_factory=dict)
    closed_tasks: set[int] = field(default_factory=set)
    cancelled: set[int] = field(default_factory=set)

    def task(self, order: TaskOrder) -> None:
        """Ask for a task."""
        self.tasks[order.serial] = order

    def timer(self, order: TimerOrder) -> None:
        """Ask for a timer."""
        self.timers[order.scope, order.kind] = order

    def close_task(self, serial: int) -> None:
        """The task's answer is no longer wanted."""
        self.tasks.pop(serial, None)
        self.closed_tasks.add(serial)

    def cancel_timers(self, scope: int) -> None:
        """No timer of this scope is wanted."""
        for kind in TimerKind:
            self.timers.pop((scope, kind), None)
        self.cancelled.add(scope)


class AnswerKind(StrEnum):
    """What became of a task."""

    STARTED = "started"  # an activity worker has taken it
    SUBMITTED = "submitted"  # handed over; the token or the child execution answers later
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOP = "stop"  # not to a task: the execution is to end


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a task: ``output`` of a success, a submission; ``worker`` of a start."""

    scope: int
    serial: int
    kind: AnswerKind
    output: Document | None = None
    error: str | None = None
    cause: str | None = None
    worker: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer whose instant has come."""

    scope: int
    kind: TimerKind
    serial: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is fixed for one execution; instants in milliseconds since 1970."""

    id: int
    arn: str
    name: str
    machine_arn: str
    machine: str
    role_arn: str
    input: Document
    started: int
    redrives: int = 0

    def context(self) -> dict[str, Any]:
        """The constant half of the context object."""
        from_start: dict[str, Any] = {
            "Id": self.arn,
            "Input": self.input.value,
            "StartTime": instant_text(self.started),
            "Name": self.name,
            "RoleArn": self.role_arn,
            "RedriveCount": self.redrives,
        }
        return {
            "Execution": from_start,
            "StateMachine": {"Id": self.machine_arn, "Name": self.machine},
        }


def instant_text(at: int) -> str:
    """Milliseconds since 1970 as AWS writes instants: ``2026-11-23T02:00:00.000Z``."""
    moment = datetime.fromtimestamp(at // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"
