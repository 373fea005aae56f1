"""One execution in memory (运行): transitions from one outside effect to the next.

A Run is loaded, told what has happened (``apply``), advanced, and stored again; it never calls
out, sleeps or reads a clock of its own. What must happen outside is in ``orders``. The same
input gives the same history, but for instants, tokens, jitter and States.UUID or MathRandom.
"""

from __future__ import annotations

import random
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.engine import joins, retrying, simple_states, tasks_in_run
from workflows.engine.documents import Document, joined, to_json
from workflows.engine.journal import MOST_EVENTS, Journal
from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import DATA_LIMIT_EXCEEDED, RUNTIME, TIMEOUT, StatesError
from workflows.engine.language.paths import PathMissingError
from workflows.engine.orders import (
    Answer,
    AnswerKind,
    Facts,
    Orders,
    Status,
    TimerFired,
    TimerKind,
    TimerOrder,
    instant_text,
)
from workflows.engine.scopes import Phase, Scope, scope_from_json, scope_to_json
from workflows.engine.states import Machine, MapState, ParallelState, Resulting, State, TaskState

# Evaluation errors say where they happened; other errors are quoted as they are.
# Characters of history in one batch: a row of the database must hold it.
LARGEST_BATCH = 2_000_000
# Characters of a position: far above what the limits of a document allow to be of use.
LARGEST_POSITION = 8_000_000
_PLACED = "An error occurred while executing the state '{}' (entered at the event id #{}). {}"


@dataclass(slots=True)
class Surroundings:
    """What a run takes from outside: the instant (milliseconds), chance, secret tokens."""

    now: Callable[[], int]
    chance: Callable[[], float] = random.random
    token: Callable[[], str] = lambda: secrets.token_urlsafe(48)


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
        self._counter = 0
        self._context = facts.context()

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
        self.error, self.cause = error, cause
        self.finish(Status.FAILED, "ExecutionFailed", previous, error_fields(error, cause))

    def stop(self, error: str | None, cause: str | None) -> None:
        """End as ABORTED (StopExecution)."""
        self.now = self.around.now()
        self.error, self.cause = error, cause
        self.finish(Status.ABORTED, "ExecutionAborted", 0, error_fields(error, cause))

    # -- going on ---------------------------------------------------------------------------

    def advance(self, most_events: int = 2_000) -> None:
        """Make transitions until all scopes wait, or about ``most_events`` are made."""
        limit = self.journal.last + most_events
        while self.ready and not self._is_full(limit):
            scope = self.scopes.get(self.ready.popleft())
            if scope is not None and scope.phase in (Phase.ENTER, Phase.RUN):
                self._go(scope, limit)
        if self.journal.last >= MOST_EVENTS - (self.status is Status.RUNNING):
            self._keep_to_limit()

    def _is_full(self, limit: int) -> bool:
        """Whether the batch is to be saved before more is done."""
        return self.journal.last >= limit or self.journal.size >= LARGEST_BATCH

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
        cause = "The execution reached the maximum number of history events (25000)."
        self.fail_execution(RUNTIME, cause, self.journal.last)

    def _go(self, scope: Scope, limit: int) -> None:
        """Run one scope until it waits or ends, or the batch is full."""
        states = self.machine.charts[scope.chart].states
        while True:
            state = states[scope.state]
            if scope.phase is Phase.ENTER:
                self._enter(scope, state)
            self.work(scope, state, _WORK[state.kind])
            if scope.phase is not Phase.ENTER or self.status is not Status.RUNNING:
                return
            if self._is_full(limit):
                self.ready.appendleft(scope.id)
                return

    def work(self, scope: Scope, state: State, step: Callable[[Run, Scope, Any], None]) -> None:
        """Run a step of a state; what goes wrong in it is the state's failure."""
        try:
            step(self, scope, state)
        except StatesError as error:
            cause = _PLACED.format(state.name, scope.entered, error.cause)
            is_placed = error.error is not None and error.error not in _UNPLACED
            self.fail(scope, state, error.error, cause if is_placed else error.cause)
        except PathMissingError as missing:
            text = f"Invalid path '{missing.path}' : {missing.reason}"
            cause = _PLACED.format(state.name, scope.entered, text)
            self.fail(scope, state, RUNTIME, cause)

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
        scope.retries = 0
        scope.attempts = []
        scope.phase = Phase.RUN

    def event(self, scope: Scope, kind: str, fields: str = "{}", *, follows: bool = True) -> int:
        """Record an event of a scope; ``follows``: later events of the scope point to it."""
        if scope.silent:
            return scope.previous
        number = self.journal.add(kind, self.now, scope.previous, fields)
        if follows:
            scope.previous = number
        return number

    def next_number(self) -> int:
        """The next of the numbers that name entries, tasks, timers and scopes."""
        self._counter += 1
        return self._counter

    def new_scope(self, chart: int, input: Document) -> Scope:
        """A scope that will enter the first state of a chart."""
        scope = Scope(self.next_number(), chart, self.machine.charts[chart].start_at, input)
        self.scopes[scope.id] = scope
        return scope

    # -- what expressions see ---------------------------------------------------------------

    def environment(
        self, scope: Scope, input: Any, extra: Mapping[str, Any] | None = None
    ) -> Environment:
        """What the expressions of the scope's state see, ``$`` being ``input``."""
        return Environment(input, lambda: self._context_of(scope, extra), scope.variables)

    def effective_input(self, scope: Scope, state: State) -> Any:
        """The state's input after InputPath."""
        if state.is_input_whole:
            return scope.input.value
        if state.input_path is None:
            return {}
        return state.input_path.evaluate(self.environment(scope, scope.input.value))

    def _context_of(self, scope: Scope, extra: Mapping[str, Any] | None) -> Mapping[str, Any]:
        state = self.machine.charts[scope.chart].states[scope.state]
        about: dict[str, Any] = {
            "Name": state.name,
            "EnteredTime": instant_text(scope.entered_at),
        }
        if isinstance(state, TaskState | ParallelState | MapState):
            about["RetryCount"] = scope.retries
        context: dict[str, Any] = {**self._context, "State": about}
        item = joins.item_of(self, scope)
        if item is not None:
            context["Map"] = {"Item": item}
        return {**context, **extra} if extra else context

    # -- leaving a state --------------------------------------------------------------------

    def leave_with_result(self, scope: Scope, state: Resulting, result: Document) -> None:
        """ResultSelector, Assign, ResultPath, OutputPath; then the next state."""
        if state.selector is not None:
            environment = self.environment(scope, result.value)
            result = Document(state.selector.render(environment))
        if state.is_result_whole:
            output = result
        elif state.result_path is None:
            output = scope.input
        else:
            output = Document(state.result_path.put(scope.input.value, result.value))
        self.leave(scope, state, output, result.value)

    def leave(self, scope: Scope, state: State, output: Document, seen: Any) -> None:
        """OutputPath and Assign (``seen`` is its ``$``), then the state's Next."""
        output = self.after_output_path(scope, state, output)
        assigned = self.assigned(scope, state.assign, seen)
        self.exit(scope, state, output, assigned, state.next)

    def after_output_path(self, scope: Scope, state: State, output: Document) -> Document:
        """The output after OutputPath, within the size limit."""
        if not state.is_output_whole:
            if state.output_path is None:
                output = Document({})
            else:
                environment = self.environment(scope, output.value)
                output = Document(state.output_path.evaluate(environment))
        return output.within_limit(state.name)

    def assigned(self, scope: Scope, template: Any, seen: Any) -> dict[str, Any] | None:
        """The values that an Assign gives; nothing is changed yet."""
        if template is None:
            return None
        values: dict[str, Any] = template.render(self.environment(scope, seen))
        return values

    def exit(
        self,
        scope: Scope,
        state: State,
        output: Document,
        assigned: dict[str, Any] | None,
        to: str | None,
    ) -> None:
        """The StateExited event; on to state ``to``, or the end of the scope."""
        fields = f'{{"name":{to_json(state.name)},"output":{output.text}'
        if assigned:
            texts = {name: to_json(value) for name, value in assigned.items()}
            scope.variables = {**scope.variables, **assigned}
            fields += f',"assignedVariables":{to_json(texts)}'
        self.quiet(scope)
        self.event(scope, state.kind + "StateExited", fields + "}")
        scope.input = output
        if to is not None:
            scope.state = to
            scope.phase = Phase.ENTER
            return
        scope.phase = Phase.DONE
        if scope.parent is None:
            self.output = output
            fields_ = {"output": output.text}
            self.finish(Status.SUCCEEDED, "ExecutionSucceeded", scope.previous, fields_)
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

    # -- what the world says ----------------------------------------------------------------

    def apply(self, signal: Answer | TimerFired) -> None:
        """Take an answer or a timer; one that is no longer awaited is ignored."""
        self.now = self.around.now()
        if self.status is not Status.RUNNING:
            return
        if isinstance(signal, TimerFired) and signal.kind is TimerKind.EXECUTION:
            fields = {"error": to_json(TIMEOUT)}
            self.finish(Status.TIMED_OUT, "ExecutionTimedOut", 0, fields)
            return
        if isinstance(signal, Answer) and signal.kind is AnswerKind.STOP:
            self.stop(signal.error, signal.cause)
            return
        scope = self.scopes.get(signal.scope)
        if scope is None or scope.serial != signal.serial:
            return
        state = self.machine.charts[scope.chart].states[scope.state]
        if isinstance(signal, Answer):
            tasks_in_run.take_answer(self, scope, state, signal)
        elif signal.kind in (TimerKind.TIMEOUT, TimerKind.HEARTBEAT):
            tasks_in_run.time_out(self, scope, state, signal.kind)
        elif scope.phase is Phase.TIMER:
            self._wake(scope, state, signal.kind)

    def _wake(self, scope: Scope, state: State, kind: TimerKind) -> None:
        if kind is TimerKind.RETRY:
            scope.timed = False
            scope.phase = Phase.RUN
        else:
            self.work(scope, state, simple_states.end_wait)
        self.resume(scope)

    # -- storing ----------------------------------------------------------------------------

    def snapshot(self) -> str:
        """The position as JSON text; an execution whose position is too large has failed."""
        scopes = [scope_to_json(scope) for scope in self.scopes.values()]
        position = {"counter": self._counter, "ready": list(self.ready), "scopes": scopes}
        text = to_json(position)
        if len(text) <= LARGEST_POSITION or self.status is not Status.RUNNING:
            return text
        cause = "What the execution's branches hold together exceeds what can be stored."
        self.fail_execution(DATA_LIMIT_EXCEEDED, cause, self.journal.last)
        return ""

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take up a stored position."""
        self._counter = snapshot["counter"]
        self.ready = deque(snapshot["ready"])
        self.scopes = {}
        for packed in snapshot["scopes"]:
            scope = scope_from_json(packed)
            self.scopes[scope.id] = scope


def error_fields(error: str | None, cause: str | None) -> dict[str, str]:
    """The fields of a failure's event; what is not known is left out."""
    fields = {}
    if error is not None:
        fields["error"] = to_json(error)
    if cause is not None:
        fields["cause"] = to_json(cause)
    return fields


_UNPLACED = {"States.DataLimitExceeded"}
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
