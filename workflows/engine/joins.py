"""Parallel and Map (并行与迭代): the children of a scope, and what becomes of their parent.

Children stay after the failure of the execution, so that a redrive finds which of them had
ended: "done" children are gone, the others are failed or aborted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.engine.documents import Document, joined, to_json
from workflows.engine.language.errors import RUNTIME, StatesError
from workflows.engine.language.paths import PathMissingError
from workflows.engine.scopes import Join, Phase, Scope
from workflows.engine.states import Evaluates, MapState, ParallelState, TaskState, WaitState

if TYPE_CHECKING:
    from workflows.engine.run import Run

_EXCEEDED = "States.ExceedToleratedFailureThreshold"


def run_parallel(run: Run, scope: Scope, state: ParallelState) -> None:
    """Start every branch."""
    value = run.effective_input(scope, state)
    if state.parameters is not None:
        value = state.parameters.render(run.environment(scope, value))
    input = scope.input if value is scope.input.value else Document(value)
    run.event(scope, "ParallelStateStarted")
    scope.join = Join([None] * len(state.branches), None, 0)
    scope.phase = Phase.JOIN
    scope.join.next = scope.join.running = len(state.branches)
    for index, chart in enumerate(state.branches):
        run.ready.append(_child(run, scope, chart, index, input).id)


def run_map(run: Run, scope: Scope, state: MapState) -> None:
    """Start as many iterations as may run at once."""
    value = run.effective_input(scope, state)
    environment = run.environment(scope, value)
    items = state.items_path.evaluate(environment) if state.items_path else value
    if not isinstance(items, list):
        raise StatesError(
            RUNTIME,
            f'Reference path "{state.items_path.text if state.items_path else "$"}" must point '
            f"to array.",
        )
    concurrency = _number(state.concurrency, environment, "MaxConcurrency")
    run.event(scope, "MapStateStarted", f'{{"length":{len(items)}}}')
    scope.join = Join([None] * len(items), items, int(concurrency))
    scope.phase = Phase.JOIN
    if state.is_distributed:
        scope.join.tolerated = _tolerated(state, environment, len(items))
        arn = f"{run.facts.machine_arn.replace(':stateMachine:', ':mapRun:')}/{state.name}"
        fields = joined({"mapRunArn": to_json(f"{arn}:{run.facts.name}:{scope.entry}")})
        run.event(scope, "MapRunStarted", fields)
    fill(run, scope, state)


def _number(given: float | Evaluates, environment: Any, name: str) -> float:
    """A number that is fixed or read by a path; not negative."""
    if isinstance(given, int | float):
        return given
    try:
        found = given.evaluate(environment)
    except PathMissingError:
        text = f"The {name}Path parameter does not reference an input value: {given.text}"
        raise StatesError(RUNTIME, text) from None
    if isinstance(found, str):
        try:
            found = float(found)
        except ValueError:
            found = None
    if isinstance(found, bool) or not isinstance(found, int | float):
        text = f"The {name}Path parameter does not reference a number: {given.text}"
        raise StatesError(RUNTIME, text)
    if found < 0 and name == "MaxConcurrency":
        raise StatesError(RUNTIME, f"The {name} field must be a non-negative integer.")
    return found


def _tolerated(state: MapState, environment: Any, length: int) -> int:
    """How many iterations of a distributed Map may fail."""
    count = percentage = 0.0
    if state.tolerated_count is not None:
        count = _number(state.tolerated_count, environment, "ToleratedFailureCount")
        if count < 0:
            raise StatesError(RUNTIME, "ToleratedFailureCount cannot be negative.")
    if state.tolerated_percentage is not None:
        percentage = _number(state.tolerated_percentage, environment, "ToleratedFailurePercentage")
        if not 0 <= percentage <= 100:
            text = "ToleratedFailurePercentage must be between 0 and 100."
            raise StatesError(RUNTIME, text)
    return max(int(count), int(length * percentage / 100))


def fill(run: Run, scope: Scope, state: MapState) -> None:
    """Start iterations up to the concurrency; complete the Map when all have ended."""
    join = scope.join
    if join is None or join.items is None:
        return
    while join.next < len(join.items) and (not join.concurrency or join.running < join.concurrency):
        index = join.next
        join.next += 1
        item = join.items[index]
        value = item
        if state.item_selector is not None:
            seen = run.effective_input(scope, state)
            extra = {"Map": {"Item": {"Index": index, "Value": item}}}
            value = state.item_selector.render(run.environment(scope, seen, extra))
        child = _child(run, scope, state.processor, index, Document(value))
        child.silent = scope.silent or state.is_distributed
        join.running += 1
        if not child.silent:
            _iteration(run, child, state, "MapIterationStarted")
        run.ready.append(child.id)
    if join.is_complete:
        run.work(scope, state, _complete_map)


def _child(run: Run, scope: Scope, chart: int, index: int, input: Document) -> Scope:
    child = run.new_scope(chart, input)
    child.parent = scope.id
    child.index = index
    child.variables = scope.variables
    child.previous = scope.previous
    child.silent = scope.silent
    return child


def _iteration(run: Run, child: Scope, state: MapState, kind: str, *, follows: bool = True) -> None:
    fields = f'{{"name":{to_json(state.name)},"index":{child.index}}}'
    run.event(child, kind, fields, follows=follows)


def _parent(run: Run, child: Scope) -> tuple[Scope, Join, MapState | ParallelState]:
    parent = run.scopes[child.parent or 0]
    state = run.machine.charts[parent.chart].states[parent.state]
    if parent.join is None or not isinstance(state, MapState | ParallelState):
        raise AssertionError("a child without a join")
    return parent, parent.join, state


def child_done(run: Run, child: Scope, output: Document) -> None:
    """A branch or iteration has succeeded."""
    parent, join, state = _parent(run, child)
    join.results[child.index] = output.value
    join.running -= 1
    del run.scopes[child.id]
    if isinstance(state, MapState):
        if not child.silent:
            _iteration(run, child, state, "MapIterationSucceeded")
        parent.previous = max(parent.previous, child.previous)
        run.work(parent, state, fill)
    elif join.is_complete:
        parent.previous = max(parent.previous, child.previous)
        run.work(parent, state, _complete_parallel)
    run.resume(parent)


def _complete_parallel(run: Run, scope: Scope, state: ParallelState) -> None:
    results = scope.join.results if scope.join else []
    scope.join = None
    run.event(scope, "ParallelStateSucceeded")
    run.leave_with_result(scope, state, Document(results))


def _complete_map(run: Run, scope: Scope, state: MapState) -> None:
    results = scope.join.results if scope.join else []
    failed = set(scope.join.failed) if scope.join else set()
    scope.join = None
    if state.is_distributed:
        run.event(scope, "MapRunSucceeded")
        results = [one for index, one in enumerate(results) if index not in failed]
    run.event(scope, "MapStateSucceeded")
    run.leave_with_result(scope, state, Document(results))


def child_failed(run: Run, child: Scope, error: str | None, cause: str | None) -> None:
    """A branch or iteration has failed: its siblings are aborted, its parent's state fails."""
    parent, join, state = _parent(run, child)
    if isinstance(state, MapState) and state.is_distributed and len(join.failed) < join.tolerated:
        join.failed.append(child.index)
        join.running -= 1
        forget_children(run, child)
        del run.scopes[child.id]
        run.work(parent, state, fill)
        run.resume(parent)
        return
    # A runtime error ends the execution without a word about what is around the state.
    is_told = error != RUNTIME
    if isinstance(state, MapState) and not child.silent and is_told:
        _iteration(run, child, state, "MapIterationFailed")
    for sibling in [one for one in run.scopes.values() if one.parent == parent.id]:
        if sibling is not child:
            abort(run, sibling, is_told=is_told)
    parent.previous = max(parent.previous, child.previous)
    if isinstance(state, MapState) and state.is_distributed and is_told:
        error, cause = _EXCEEDED, "The specified tolerated failure threshold was exceeded"
    run.fail(parent, state, error, cause)


def record_failure(
    run: Run, scope: Scope, state: MapState | ParallelState, error: str | None
) -> None:
    """The events of a Map or Parallel that has failed for good."""
    if error == RUNTIME:
        return
    if isinstance(state, MapState) and state.is_distributed:
        text = joined({"error": to_json(error or "")})
        run.event(scope, "MapRunFailed", text)
    run.event(scope, f"{state.kind}StateFailed")


def abort(run: Run, scope: Scope, *, is_told: bool) -> None:
    """Stop a scope and all below it; what it awaited is no longer wanted."""
    for child in [one for one in run.scopes.values() if one.parent == scope.id]:
        abort(run, child, is_told=is_told)
    state = run.machine.charts[scope.chart].states[scope.state]
    is_inside = scope.phase in (Phase.RUN, Phase.TIMER, Phase.TASK, Phase.JOIN)
    run.quiet(scope)
    scope.phase = Phase.ABORTED
    if not is_told:
        return
    if is_inside and isinstance(state, TaskState | WaitState | MapState | ParallelState):
        run.event(scope, f"{state.kind}StateAborted")
    parent = run.scopes.get(scope.parent or 0)
    if parent is not None:
        around = run.machine.charts[parent.chart].states[parent.state]
        if isinstance(around, MapState):
            _iteration(run, scope, around, "MapIterationAborted")


def forget_children(run: Run, scope: Scope) -> None:
    """The children of a Map or Parallel that is tried again or caught."""
    if scope.join is None:
        return
    for child in [one for one in run.scopes.values() if one.parent == scope.id]:
        forget_children(run, child)
        run.quiet(child)
        del run.scopes[child.id]
    scope.join = None


def reopen(run: Run) -> None:
    """Make every scope that had not succeeded go on: a redrive.

    What waits is tried anew from the start of its state, with all its attempts.
    """
    for scope in run.scopes.values():
        scope.attempts, scope.retries, scope.timed = [], 0, False
        if scope.join is not None:
            scope.phase = Phase.JOIN
        elif scope.entered or scope.silent:
            scope.phase = Phase.RUN if scope.phase is not Phase.ENTER else Phase.ENTER
        else:
            scope.phase = Phase.ENTER
        if scope.phase is not Phase.JOIN:
            run.ready.append(scope.id)


def item_of(run: Run, scope: Scope) -> dict[str, Any] | None:
    """The Map item that a scope works on: its own or that of the nearest scope around it."""
    at: Scope | None = scope
    while at is not None and at.parent is not None:
        parent = run.scopes[at.parent]
        if parent.join is not None and parent.join.items is not None:
            return {"Index": at.index, "Value": parent.join.items[at.index]}
        at = parent
    return None
