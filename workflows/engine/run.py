"""One execution in memory (运行): transitions from one outside effect to the next.

A Run is loaded, told what has happened (``apply``), advanced, and stored again; it never calls
out, sleeps or reads a clock of its own. What must happen outside is in ``orders``. The same
input gives the same history, but for instants, tokens, jitter and States.UUID or MathRandom.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.engine import hearing, joins, retrying, simple_states, tasks_in_run
from workflows.engine.documents import Document, joined, storable, to_json
from workflows.engine.journal import MOST_EVENTS, Journal, error_fields
from workflows.engine.language.errors import DATA_LIMIT_EXCEEDED, RUNTIME, StatesError
from workflows.engine.language.paths import PathMissingError
from workflows.engine.orders import (
    Answer,
    Facts,
    Orders,
    Status,
    TimerFired,
    TimerKind,
    TimerOrder,
)
from workflows.engine.position import read_position, write_position
from workflows.engine.scopes import Phase, Scope
from workflows.engine.states import Machine, State
from workflows.engine.token_text import new_token

# Characters of history in one batch: a row of the database must hold it.
LARGEST_BATCH = 2_000_000
# A loop in a child of a distributed Map leaves no events; as a child execution it would.
_MOST_SILENT_ENTRIES = MOST_EVENTS // 2
_FULL = f"The execution reached the maximum number of history events ({MOST_EVENTS})."
# Evaluation errors say where they happened; other errors are quoted as they are.
_PLACED = "An error occurred while executing the state '{}' (entered at the event id #{}). {}"
_UNPLACED = {DATA_LIMIT_EXCEEDED}


@dataclass(slots=True)
class Surroundings:
    """What a run takes from outside: the instant (milliseconds), chance, tokens, its time's end."""

    now: Callable[[], int]
    chance: Callable[[], float] = random.random
    token: Callable[[], str] = new_token
    is_late: Callable[[], bool] = lambda: False


class Run:
    """An execution between two commits."""

    def __init__(
        self, machine: Machine, facts: Facts, last_event: int, around: Surroundings
    ) -> None:
        self.machine = machine
        self.facts = facts
        self.around = around
        self.journal = Journal(last_event)
        self.orders = Orders()
        self.status = Status.RUNNING
        self.output: Document | None = None
        self.error: str | None = None
        self.cause: str | None = None
        self.scopes: dict[int, Scope] = {}
        self.ready: deque[int] = deque()
        self.now = around.now()
        self.counter = 0
        self.context = facts.context()
        self._room = 0  # transitions and events that this batch may still make

    # -- beginning and end ------------------------------------------------------------------

    def start(self) -> None:
        """The first events of a new execution."""
        fields = {"input": self.facts.input.text, "roleArn": to_json(self.facts.role_arn)}
        self.journal.add("ExecutionStarted", self.facts.started, 0, joined(fields))
        root = self.new_scope(0, self.facts.input)
        self.arm_execution_timer(self.facts.started)
        self.ready.append(root.id)

    def arm_execution_timer(self, since: int) -> None:
        """The machine's TimeoutSeconds."""
        if self.machine.timeout is not None:
            due = since + self.machine.timeout * 1000
            self.orders.timer(TimerOrder(0, TimerKind.EXECUTION, 0, due))

    def finish(self, status: Status, kind: str, previous: int, fields: Mapping[str, str]) -> None:
        """The last event; nothing is wanted from outside any more."""
        self.status = status
        self.ready.clear()
        self.orders.tasks.clear()
        self.orders.timers.clear()
        self.journal.add(kind, self.now, previous, joined(fields))

    def redrive(self) -> None:
        """Go on from the states that had not succeeded (RedriveExecution)."""
        self.now = self.around.now()
        fields = {"redriveCount": str(self.facts.redrives)}
        self.journal.add("ExecutionRedriven", self.now, 0, joined(fields))
        self.arm_execution_timer(self.now)
        self.ready.clear()
        joins.reopen(self)

    def fail_execution(self, error: str | None, cause: str | None, previous: int) -> None:
        """End as FAILED."""
        self.error, self.cause = storable(error), storable(cause)
        self.finish(Status.FAILED, "ExecutionFailed", previous, error_fields(error, cause))

    def stop(self, error: str | None, cause: str | None) -> None:
        """End as ABORTED (StopExecution)."""
        self.now = self.around.now()
        self.error, self.cause = storable(error), storable(cause)
        self.finish(Status.ABORTED, "ExecutionAborted", 0, error_fields(error, cause))

    # -- going on ---------------------------------------------------------------------------

    def advance(self, most_events: int = 2_000) -> None:
        """Make transitions until all scopes wait, or about ``most_events`` are made."""
        self._room = most_events
        while self.ready and not self._is_full:
            scope = self.scopes.get(self.ready.popleft())
            if scope is not None and scope.phase in (Phase.ENTER, Phase.RUN):
                self._go(scope)
        if self.journal.last >= MOST_EVENTS - (self.status is Status.RUNNING):
            self._keep_to_limit()

    @property
    def _is_full(self) -> bool:
        """Whether the batch is to be saved before more is done."""
        if self._room <= 0 or self.journal.size >= LARGEST_BATCH:
            return True
        return bool(self.journal.entries) and self.around.is_late()

    def _keep_to_limit(self) -> None:
        """Event 25,000 is the end, or the failure (Step Functions service quotas)."""
        is_open = self.status is Status.RUNNING
        if not is_open and self.journal.last == MOST_EVENTS:
            return
        excess = self.journal.last - (MOST_EVENTS - 1)
        if excess:
            del self.journal.entries[-excess:]
            self.journal.last -= excess
        self.output = None
        self.fail_execution(RUNTIME, _FULL, self.journal.last)

    def _go(self, scope: Scope) -> None:
        """Run one scope until it waits or ends, or the batch is full."""
        states = self.machine.charts[scope.chart].states
        while True:
            state = states[scope.state]
            if scope.phase is Phase.ENTER:
                self._enter(scope, state)
            if scope.silent and scope.entries > _MOST_SILENT_ENTRIES:
                self.fail(scope, state, RUNTIME, _FULL)
                return
            self.work(scope, state, _WORK[state.kind])
            if scope.phase is not Phase.ENTER or self.status is not Status.RUNNING:
                return
            if self._is_full:
                self.ready.appendleft(scope.id)
                return

    def work(
        self,
        scope: Scope,
        state: State,
        step: Callable[[Run, Scope, Any], None],
        fail: Callable[[Run, Scope, Any, str | None, str | None], None] = retrying.fail,
    ) -> None:
        """Run a step of a state; what goes wrong in it is the state's failure."""
        try:
            step(self, scope, state)
            return
        except StatesError as failure:
            error, cause = failure.error, failure.cause
            is_placed = error is not None and error not in _UNPLACED
        except PathMissingError as missing:
            error, is_placed = RUNTIME, True
            cause = f"Invalid path '{missing.path}' : {missing.reason}"
        except (RecursionError, ValueError, OverflowError) as fault:
            # A value that is no JSON: no number, or nested without end.
            error, is_placed = RUNTIME, True
            cause = f"The data cannot be processed: {type(fault).__name__}."
        if is_placed:
            cause = _PLACED.format(state.name, scope.entered, cause)
        fail(self, scope, state, error, cause)

    def fail(
        self,
        scope: Scope,
        state: State,
        error: str | None,
        cause: str | None,
        *,
        is_heartbeat: bool = False,
    ) -> None:
        """A state has failed: Retry, Catch, or the failure of what it is in."""
        retrying.fail(self, scope, state, error, cause, is_heartbeat=is_heartbeat)

    def _enter(self, scope: Scope, state: State) -> None:
        self.now = self.around.now()
        fields = f'{{"name":{to_json(state.name)},"input":{scope.input.text}}}'
        self.event(scope, state.kind + "StateEntered", fields)
        scope.entered = scope.previous
        scope.entered_at = self.now
        scope.entry = self.next_number()
        scope.entries += 1
        scope.retries = 0
        scope.attempts = []
        scope.phase = Phase.RUN

    def event(self, scope: Scope, kind: str, fields: str = "{}", *, follows: bool = True) -> int:
        """Record an event of a scope; ``follows``: later events of the scope point to it."""
        self._room -= 1
        if scope.silent:
            return scope.previous
        number = self.journal.add(kind, self.now, scope.previous, fields)
        if follows:
            scope.previous = number
        return number

    def next_number(self) -> int:
        """The next of the numbers that name entries, tasks, timers and scopes."""
        self.counter += 1
        return self.counter

    def new_scope(self, chart: int, input: Document) -> Scope:
        """A scope that will enter the first state of a chart."""
        scope = Scope(self.next_number(), chart, self.machine.charts[chart].start_at, input)
        self.scopes[scope.id] = scope
        return scope

    def scope_ended(self, scope: Scope, output: Document) -> None:
        """A scope has left its last state: the execution's end, or one child less to wait for."""
        if scope.parent is None:
            self.output = output
            fields = {"output": output.text}
            self.finish(Status.SUCCEEDED, "ExecutionSucceeded", scope.previous, fields)
        else:
            joins.child_done(self, scope, output)

    def resume(self, scope: Scope) -> None:
        """A scope that waited and has gone on to its next state is to be advanced."""
        if scope.phase in (Phase.ENTER, Phase.RUN) and self.status is Status.RUNNING:
            self.ready.append(scope.id)

    def quiet(self, scope: Scope) -> None:
        """Nothing is awaited from outside for this scope."""
        if scope.timed:
            self.orders.cancel_timers(scope.id)
            scope.timed = False
        if scope.phase is Phase.TASK:
            self.orders.close_task(scope.serial)

    def arm(self, scope: Scope, kind: TimerKind, due: int) -> None:
        """Ask for a timer of a scope."""
        scope.timed = True
        self.orders.timer(TimerOrder(scope.id, kind, scope.serial, due))

    def state_of(self, scope: Scope) -> State:
        """The state that a scope is in."""
        return self.machine.charts[scope.chart].states[scope.state]

    def apply(self, signal: Answer | TimerFired) -> None:
        """Take an answer or a timer; one that is no longer awaited is ignored."""
        self.now = self.around.now()
        if self.status is Status.RUNNING:
            hearing.take(self, signal)

    def snapshot(self) -> str:
        """The position as JSON text; an execution whose position is too large has failed.

        "" when there is none to store: the execution cannot be redriven.
        """
        text = write_position(self)
        if not text and self.status is Status.RUNNING:
            cause = "What the execution's branches hold together exceeds what can be stored."
            self.fail_execution(DATA_LIMIT_EXCEEDED, cause, self.journal.last)
        return text

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take up a stored position."""
        read_position(self, snapshot)


_WORK: Mapping[str, Callable[[Run, Scope, Any], None]] = {
    "Pass": simple_states.run_pass,
    "Wait": simple_states.run_wait,
    "Choice": simple_states.run_choice,
    "Succeed": simple_states.run_succeed,
    "Fail": simple_states.run_fail,
    "Task": tasks_in_run.run_task,
    "Parallel": joins.run_parallel,
    "Map": joins.run_map,
}
