"""Pass, Wait, Choice, Succeed and Fail (简单状态): states that need nobody outside but a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.engine.documents import Document, to_json
from workflows.engine.language.errors import NO_CHOICE_MATCHED, RUNTIME, StatesError
from workflows.engine.language.paths import PathMissingError
from workflows.engine.language.timestamps import parse_timestamp
from workflows.engine.leaving import (
    after_output_path,
    assigned,
    exit_state,
    leave,
    leave_with_result,
)
from workflows.engine.orders import TimerKind
from workflows.engine.scopes import Phase, Scope
from workflows.engine.seeing import effective_input, environment
from workflows.engine.states import (
    ChoiceState,
    Evaluates,
    FailState,
    PassState,
    State,
    SucceedState,
    WaitState,
)

if TYPE_CHECKING:
    from workflows.engine.run import Run

_LONGEST_WAIT_S = 99_999_999


def run_pass(run: Run, scope: Scope, state: PassState) -> None:
    """Hand on the input, the parameters or the fixed result."""
    value = effective_input(run, scope, state)
    if state.parameters is not None:
        value = state.parameters.render(environment(run, scope, value))
    if state.has_result:
        value = state.result
    result = scope.input if value is scope.input.value else Document(value)
    leave_with_result(run, scope, state, result)


def run_wait(run: Run, scope: Scope, state: WaitState) -> None:
    """Wait for a number of seconds or until an instant; what is past does not wait."""
    value = effective_input(run, scope, state)
    due = _due(run, scope, state, value)
    if due <= run.now:
        end_wait(run, scope, state)
        return
    scope.phase = Phase.TIMER
    scope.serial = run.next_number()
    run.arm(scope, TimerKind.WAIT, due)


def end_wait(run: Run, scope: Scope, state: State) -> None:
    """The instant has come."""
    value = effective_input(run, scope, state)
    output = scope.input if value is scope.input.value else Document(value)
    leave(run, scope, state, output, value)


def _due(run: Run, scope: Scope, state: WaitState, value: Any) -> int:
    """The instant in milliseconds."""
    if state.seconds is not None:
        if isinstance(state.seconds, int):
            return run.now + state.seconds * 1000
        found = _wanted(run, scope, state.seconds, value, "SecondsPath")
        return run.now + _seconds(found, state.seconds.text) * 1000
    if isinstance(state.until, str):
        return _instant(state.until, state.until)
    if state.until is None:
        raise StatesError(RUNTIME, "The Wait state names no time.")
    found = _wanted(run, scope, state.until, value, "TimestampPath")
    return _instant(found, state.until.text)


def _wanted(run: Run, scope: Scope, path: Evaluates, value: Any, name: str) -> Any:
    try:
        return path.evaluate(environment(run, scope, value))
    except PathMissingError:
        text = f"The {name} parameter does not reference an input value: {path.text}"
        raise StatesError(RUNTIME, text) from None


def _seconds(found: Any, path: str) -> int:
    shown = found if isinstance(found, str) else to_json(found)
    if isinstance(found, bool) or not isinstance(found, int | float) or found != int(found):
        text = f"The SecondsPath parameter cannot be parsed as a long value: {path} == {shown}"
        raise StatesError(RUNTIME, text)
    if found < 0:
        text = f"The SecondsPath parameter references a negative value: {path} == {shown}"
        raise StatesError(RUNTIME, text)
    return min(int(found), _LONGEST_WAIT_S)


def _instant(found: Any, path: str) -> int:
    moment = parse_timestamp(found) if isinstance(found, str) else None
    if moment is None:
        shown = found if isinstance(found, str) else to_json(found)
        raise StatesError(
            RUNTIME,
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset "
            f"date-time format string: {path} == {shown}",
        )
    return round(moment.timestamp() * 1000)


def run_choice(run: Run, scope: Scope, state: ChoiceState) -> None:
    """Go where the first matching rule leads; without one to Default."""
    value = effective_input(run, scope, state)
    seen = environment(run, scope, value)
    to, assign = state.default, state.assign
    for one in state.rules:
        if one.rule.matches(seen):
            to, assign = one.next, one.assign
            break
    if to is None:
        raise StatesError(
            NO_CHOICE_MATCHED,
            "Failed to transition out of the state. The state does not point to a next state.",
        )
    output = scope.input if value is scope.input.value else Document(value)
    output = after_output_path(run, scope, state, output)
    exit_state(run, scope, state, output, assigned(run, scope, state, assign, value), to)


def run_succeed(run: Run, scope: Scope, state: SucceedState) -> None:
    """End the scope with its input."""
    value = effective_input(run, scope, state)
    output = scope.input if value is scope.input.value else Document(value)
    leave(run, scope, state, output, value)


def run_fail(run: Run, scope: Scope, state: FailState) -> None:
    """End the scope with an error."""
    error, cause = _text(run, scope, state.error), _text(run, scope, state.cause)
    run.fail(scope, state, error, cause)


def _text(run: Run, scope: Scope, given: str | Evaluates | None) -> str | None:
    if given is None or isinstance(given, str):
        return given
    try:
        found = given.evaluate(environment(run, scope, scope.input.value))
    except PathMissingError as missing:
        raise StatesError(RUNTIME, f"Invalid path '{given.text}' : {missing.reason}") from None
    if not isinstance(found, str):
        text = f"The value of '{given.text}' must be a string but was: {to_json(found)}"
        raise StatesError(RUNTIME, text)
    return found
