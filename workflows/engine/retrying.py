"""Failures of states (失败处理): Retry, Catch, or the failure of the scope that they are in.

Which names match which errors: Amazon States Language specification, Errors; for States.ALL
and States.TaskFailed the AWS developer guide, Handling errors in Step Functions workflows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.engine import joins
from workflows.engine.documents import Document
from workflows.engine.language.errors import (
    ALL,
    DATA_LIMIT_EXCEEDED,
    HEARTBEAT_TIMEOUT,
    RUNTIME,
    TASK_FAILED,
    TIMEOUT,
)
from workflows.engine.leaving import assigned, exit_state
from workflows.engine.orders import TimerKind
from workflows.engine.scopes import Phase, Scope
from workflows.engine.states import (
    Catcher,
    MapState,
    ParallelState,
    Resulting,
    Retrier,
    State,
    TaskState,
)

if TYPE_CHECKING:
    from workflows.engine.run import Run

# A delay that nobody can mean; keeps the sum within what a date can say.
_LONGEST_DELAY_S = 31_622_400


def matches(names: tuple[str, ...], error: str | None, *, is_heartbeat: bool = False) -> bool:
    """Whether ErrorEquals matches an error; a missed heartbeat goes by two names."""
    if error == RUNTIME:
        return False  # always ends the execution
    if error is not None and error in names:
        return True
    if is_heartbeat and HEARTBEAT_TIMEOUT in names:
        return True
    if error == DATA_LIMIT_EXCEEDED:
        return False
    return ALL in names or (TASK_FAILED in names and error != TIMEOUT)


def fail(
    run: Run,
    scope: Scope,
    state: State,
    error: str | None,
    cause: str | None,
    *,
    is_heartbeat: bool = False,
) -> None:
    """A state has failed: try again, go to a catcher, or let the scope fail."""
    run.quiet(scope)
    if isinstance(state, Resulting):
        if _retried(run, scope, state, error, is_heartbeat):
            return
        if scope.join is not None and isinstance(state, MapState | ParallelState):
            joins.record_failure(run, scope, state, error, cause)
        for catcher in state.catch:
            if matches(catcher.errors, error, is_heartbeat=is_heartbeat):
                joins.forget_children(run, scope)
                _go_to_catcher(run, scope, state, catcher, error, cause)
                return
    _fail_for_good(run, scope, state, error, cause)


def _retried(
    run: Run, scope: Scope, state: Resulting, error: str | None, is_heartbeat: bool
) -> bool:
    """Arm the timer of another attempt when a retrier has one left."""
    for place, retrier in enumerate(state.retry):
        if not matches(retrier.errors, error, is_heartbeat=is_heartbeat):
            continue
        if not scope.attempts:
            scope.attempts = [0] * len(state.retry)
        done = scope.attempts[place]
        if done >= retrier.most_attempts:
            return False  # the first retrier that matches decides
        scope.attempts[place] += 1
        scope.retries += 1
        joins.forget_children(run, scope)
        scope.phase = Phase.TIMER
        scope.serial = run.next_number()
        delay = _delay(retrier, done, run.around.chance() if retrier.full_jitter else 1.0)
        run.arm(scope, TimerKind.RETRY, run.now + round(delay * 1000))
        return True
    return False


def _delay(retrier: Retrier, done: int, share: float) -> float:
    """Seconds before the next attempt after ``done`` retries."""
    limit = _LONGEST_DELAY_S if retrier.longest is None else retrier.longest
    try:
        delay = retrier.interval * retrier.backoff**done
    except OverflowError:
        delay = limit
    return min(delay, limit, _LONGEST_DELAY_S) * share


def _go_to_catcher(
    run: Run,
    scope: Scope,
    state: Resulting,
    catcher: Catcher,
    error: str | None,
    cause: str | None,
) -> None:
    """Leave the state with the error as its result, towards the catcher's Next."""
    about: dict[str, str | None] = {"Error": error, "Cause": cause}
    if cause is None and error is not None:
        del about["Cause"]

    def leave(run: Run, scope: Scope, state: Resulting) -> None:
        output = scope.input
        if catcher.result_path is not None:
            output = Document(catcher.result_path.put(scope.input.value, about))
        output.within_limit(state.name)
        values = assigned(run, scope, state, catcher.assign, about)
        exit_state(run, scope, state, output, values, catcher.next)

    # What goes wrong in a catcher is not caught by it again.
    run.work(scope, state, leave, _fail_for_good)


def _fail_for_good(
    run: Run, scope: Scope, state: State, error: str | None, cause: str | None
) -> None:
    """The scope ends with its state's failure."""
    scope.phase = Phase.FAILED
    if scope.parent is None:
        run.fail_execution(error, cause, scope.previous)
        return
    if isinstance(state, TaskState) and error != RUNTIME:
        run.event(scope, "TaskStateAborted", follows=False)
    joins.child_failed(run, scope, error, cause)
