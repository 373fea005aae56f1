"""Where an execution stands (执行位置): its scopes, as values that can be stored and read again.

A *scope* is one running sequence of states: the execution itself, a branch of a Parallel, an
iteration of a Map. A scope that runs a Parallel or a Map has a *join* that counts its children.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from workflows.engine.documents import Document


class Phase(StrEnum):
    """What a scope does or waits for."""

    ENTER = "enter"  # the state is to be entered
    RUN = "run"  # the state is entered; its work is to be done (again, after a retry)
    TIMER = "timer"  # a Wait's or a retry's instant
    TASK = "task"  # an answer from a task
    JOIN = "join"  # its children
    FAILED = "failed"  # its last state failed
    ABORTED = "aborted"  # a sibling failed, or the execution was stopped
    DONE = "done"  # waits for its siblings only in so far as they are counted


class Join:
    """The children of a Parallel or a Map: ``results`` has a place for each child."""

    __slots__ = (
        "again",
        "concurrency",
        "failed",
        "items",
        "next",
        "results",
        "running",
        "tolerated",
    )

    def __init__(self, results: list[Any], items: list[Any] | None, concurrency: int) -> None:
        self.results = results
        self.items = items
        self.concurrency = concurrency
        self.next = 0
        self.running = 0
        self.failed: list[int] = []  # children of a distributed Map whose failure is tolerated
        self.tolerated = 0
        self.again: list[int] = []  # tolerated failures that a redrive is to start anew

    @property
    def is_complete(self) -> bool:
        """Whether every child has ended."""
        return not (self.running or self.again or self.next < len(self.results))


class Scope:
    """One running sequence of states."""

    __slots__ = (
        "attempts",
        "chart",
        "entered",
        "entered_at",
        "entries",
        "entry",
        "id",
        "index",
        "input",
        "join",
        "parent",
        "phase",
        "previous",
        "retries",
        "serial",
        "silent",
        "state",
        "timed",
        "variables",
    )

    def __init__(self, id: int, chart: int, state: str, input: Document) -> None:
        self.id = id
        self.chart = chart
        self.state = state
        self.input = input
        self.parent: int | None = None
        self.index = 0  # which branch or item of the parent's state
        self.phase = Phase.ENTER
        self.variables: dict[str, Any] = {}
        self.previous = 0  # the id of this scope's last event
        self.entered = 0  # the id of the StateEntered event
        self.entered_at = 0  # milliseconds since 1970
        self.entry = 0  # numbers this entry of a state within the execution
        self.serial = 0  # of the task or timer that is awaited
        self.retries = 0  # attempts after the first, for the context object
        self.attempts: list[int] = []  # per retrier
        self.timed = False  # whether timers may stand for this scope
        self.silent = False  # a child of a distributed Map: its events are not its parent's
        self.entries = 0  # states entered so far
        self.join: Join | None = None


_PLAIN = (
    "id",
    "chart",
    "state",
    "parent",
    "index",
    "previous",
    "entered",
    "entered_at",
    "entry",
    "serial",
    "retries",
    "attempts",
    "timed",
    "silent",
    "entries",
)


def scope_to_json(scope: Scope, input: int, variables: int) -> list[Any]:
    """A scope as a JSON array; its input and variables are kept elsewhere, at these places."""
    join = scope.join
    packed = join and [getattr(join, name) for name in Join.__slots__]
    plain = [getattr(scope, name) for name in _PLAIN]
    return [*plain, scope.phase.value, packed, input, variables]


def scope_from_json(packed: list[Any], input: Document, variables: dict[str, Any]) -> Scope:
    """The inverse of ``scope_to_json``, without the two places at its end."""
    *plain, phase, join = packed
    scope = Scope(0, 0, "", input)
    for name, one in zip(_PLAIN, plain, strict=True):
        setattr(scope, name, one)
    scope.variables = variables
    scope.phase = Phase(phase)
    if join is not None:
        scope.join = Join([], None, 0)
        for name, one in zip(Join.__slots__, join, strict=True):
            setattr(scope.join, name, one)
    return scope
