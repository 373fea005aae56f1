"""What the world tells an execution (信号): answers, timers and stops, those that still count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.engine import simple_states, tasks_in_run
from workflows.engine.journal import error_fields
from workflows.engine.language.errors import TIMEOUT
from workflows.engine.orders import Answer, AnswerKind, Status, TimerFired, TimerKind
from workflows.engine.scopes import Phase, Scope
from workflows.engine.states import State

if TYPE_CHECKING:
    from workflows.engine.run import Run


def take(run: Run, signal: Answer | TimerFired) -> None:
    """Take a signal into a running execution; one that is no longer awaited is ignored."""
    if isinstance(signal, TimerFired) and signal.kind is TimerKind.EXECUTION:
        fields = error_fields(TIMEOUT, None)
        run.finish(Status.TIMED_OUT, "ExecutionTimedOut", 0, fields)
        return
    if isinstance(signal, Answer) and signal.kind is AnswerKind.STOP:
        run.stop(signal.error, signal.cause)
        return
    scope = run.scopes.get(signal.scope)
    if scope is None or scope.serial != signal.serial:
        return
    state = run.state_of(scope)
    if isinstance(signal, Answer):
        tasks_in_run.take_answer(run, scope, state, signal)
    elif signal.kind in (TimerKind.TIMEOUT, TimerKind.HEARTBEAT):
        tasks_in_run.time_out(run, scope, state, signal.kind)
    elif scope.phase is Phase.TIMER:
        _wake(run, scope, state, signal.kind)


def _wake(run: Run, scope: Scope, state: State, kind: TimerKind) -> None:
    if kind is TimerKind.RETRY:
        scope.timed = False
        scope.phase = Phase.RUN
    else:
        run.work(scope, state, simple_states.end_wait)
    run.resume(scope)
