"""Parallel and Map (并行与迭代): the children of a scope, and what becomes of their parent.

Children stay after the failure of the execution, so that a redrive finds which of them had
ended: "done" children are gone, the others are failed or aborted.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from workflows.engine import map_settings
from workflows.engine.documents import Document, joined, to_json
from workflows.engine.journal import error_fields
from workflows.engine.language.errors import RUNTIME, StatesError
from workflows.engine.language.paths import PathMissingError
from workflows.engine.leaving import leave_with_result
from workflows.engine.scopes import Join, Phase, Scope
from workflows.engine.seeing import effective_input, environment
from workflows.engine.states import MapState, ParallelState, TaskState, WaitState

if TYPE_CHECKING:
    from workflows.engine.run import Run

_EXCEEDED = "States.ExceedToleratedFailureThreshold"


def run_parallel(run: Run, scope: Scope, state: ParallelState) -> None:
    """Start every branch."""
    value = effective_input(run, scope, state)
    if state.parameters is not None:
        value = state.parameters.render(environment(run, scope, value))
    input = scope.input
    if value is not scope.input.value:
        input = Document(value).within_limit(state.name)
    run.event(scope, "ParallelStateStarted")
    scope.join = Join([None] * len(state.branches), None, 0)
    scope.phase = Phase.JOIN
    scope.join.next = scope.join.running = len(state.branches)
    for index, chart in enumerate(state.branches):
        run.ready.append(_child(run, scope, chart, index, input).id)


def run_map(run: Run, scope: Scope, state: MapState) -> None:
    """Start as many iterations as may run at once."""
    seen = environment(run, scope, effective_input(run, scope, state))
    items = map_settings.items(state, seen)
    concurrency = map_settings.concurrency(state, seen)
    run.event(scope, "MapStateStarted", f'{{"length":{len(items)}}}')
    scope.join = Join([None] * len(items), items, concurrency)
    scope.phase = Phase.JOIN
    if state.is_distributed:
        scope.join.tolerated = map_settings.tolerated(state, seen, len(items))
        arn = f"{run.facts.machine_arn.replace(':stateMachine:', ':mapRun:')}/{state.name}"
        fields = joined({"mapRunArn": to_json(f"{arn}:{run.facts.name}:{scope.entry}")})
        run.event(scope, "MapRunStarted", fields)
    fill(run, scope, state)


def fill(run: Run, scope: Scope, state: MapState) -> None:
    """Start iterations up to the concurrency; complete the Map when all have ended."""
    join = scope.join
    if join is None or join.items is None:
        return
    try:
        while join.running < join.concurrency and (join.again or join.next < len(join.items)):
            # Counted after it could be started: a redrive tries again what could not.
            if join.again:
                _iterate(run, scope, state, join, join.again[0])
                del join.again[0]
            else:
                _iterate(run, scope, state, join, join.next)
                join.next += 1
    except (StatesError, PathMissingError) as error:
        is_told = isinstance(error, StatesError) and error.error != RUNTIME
        _abort_children(run, scope, None, is_told=is_told)
        raise
    if join.is_complete:
        run.work(scope, state, _complete_map)


def _iterate(run: Run, scope: Scope, state: MapState, join: Join, index: int) -> None:
    item = (join.items or [])[index]
    if state.item_selector is None:
        input = Document(item)
    else:
        extra = {"Map": {"Item": {"Index": index, "Value": item}}}
        seen = environment(run, scope, effective_input(run, scope, state), extra)
        input = Document(state.item_selector.render(seen)).within_limit(state.name)
    child = _child(run, scope, state.processor, index, input)
    child.silent = scope.silent or state.is_distributed
    join.running += 1
    _iteration(run, child, state, "MapIterationStarted")
    run.ready.append(child.id)


def _child(run: Run, scope: Scope, chart: int, index: int, input: Document) -> Scope:
    child = run.new_scope(chart, input)
    child.parent = scope.id
    child.index = index
    child.variables = scope.variables
    child.previous = scope.previous
    child.silent = scope.silent
    return child


def _iteration(run: Run, child: Scope, state: MapState, kind: str) -> None:
    run.event(child, kind, f'{{"name":{to_json(state.name)},"index":{child.index}}}')


def _parent(run: Run, child: Scope) -> tuple[Scope, Join, MapState | ParallelState]:
    parent = run.scopes[child.parent or 0]
    state = run.state_of(parent)
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
    leave_with_result(run, scope, state, Document(results))


def _complete_map(run: Run, scope: Scope, state: MapState) -> None:
    results = scope.join.results if scope.join else []
    failed = set(scope.join.failed) if scope.join else set()
    scope.join = None
    if state.is_distributed:
        run.event(scope, "MapRunSucceeded")
        results = [one for index, one in enumerate(results) if index not in failed]
    run.event(scope, "MapStateSucceeded")
    leave_with_result(run, scope, state, Document(results))


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
    is_distributed = isinstance(state, MapState) and state.is_distributed
    # A runtime error ends the execution without a word about what is around the state; that of
    # a distributed Map's child would end the child's own execution.
    is_told = is_distributed or error != RUNTIME
    if isinstance(state, MapState) and is_told:
        _iteration(run, child, state, "MapIterationFailed")
    _abort_children(run, parent, child, is_told=is_told)
    parent.previous = max(parent.previous, child.previous)
    if is_distributed:
        error, cause = _EXCEEDED, "The specified tolerated failure threshold was exceeded"
    run.fail(parent, state, error, cause)
    run.resume(parent)


def record_failure(
    run: Run,
    scope: Scope,
    state: MapState | ParallelState,
    error: str | None,
    cause: str | None,
) -> None:
    """The events of a Map or Parallel that has failed for good."""
    if error == RUNTIME:
        return
    if isinstance(state, MapState) and state.is_distributed:
        run.event(scope, "MapRunFailed", joined(error_fields(error, cause)))
    run.event(scope, f"{state.kind}StateFailed")


_Families = dict[int, list[Scope]]


def _families(run: Run) -> _Families:
    """The children of every scope that has some."""
    found: _Families = defaultdict(list)
    for one in run.scopes.values():
        if one.parent is not None:
            found[one.parent].append(one)
    return found


def _abort_children(run: Run, scope: Scope, but: Scope | None, *, is_told: bool) -> None:
    families = _families(run)
    for child in families.get(scope.id, ()):
        if child is not but:
            _abort(run, child, families, is_told=is_told)


def _abort(run: Run, scope: Scope, families: _Families, *, is_told: bool) -> None:
    """Stop a scope and all below it; what it awaited is no longer wanted."""
    for child in families.get(scope.id, ()):
        _abort(run, child, families, is_told=is_told)
    state = run.state_of(scope)
    is_inside = scope.phase in (Phase.RUN, Phase.TIMER, Phase.TASK, Phase.JOIN)
    run.quiet(scope)
    if scope.phase is not Phase.ENTER:  # a redrive must know what was never entered
        scope.phase = Phase.ABORTED
    if not is_told:
        return
    if is_inside and isinstance(state, TaskState | WaitState | MapState | ParallelState):
        run.event(scope, f"{state.kind}StateAborted")
    parent = run.scopes.get(scope.parent or 0)
    around = None if parent is None else run.state_of(parent)
    if isinstance(around, MapState):
        _iteration(run, scope, around, "MapIterationAborted")


def forget_children(run: Run, scope: Scope) -> None:
    """The children of a Map or Parallel that is tried again or caught."""
    if scope.join is None:
        return
    families = _families(run)
    forgotten = families.get(scope.id, [])
    while forgotten:
        child = forgotten.pop()
        forgotten.extend(families.get(child.id, ()))
        run.quiet(child)
        del run.scopes[child.id]
    scope.join = None


def reopen(run: Run) -> None:
    """Make every scope that had not succeeded go on: a redrive.

    What waits is tried anew from the start of its state, with all its attempts.
    """
    scopes = list(run.scopes.values())
    for scope in scopes:
        scope.attempts, scope.retries, scope.timed = [], 0, False
        if scope.join is not None:
            scope.phase = Phase.JOIN
            scope.join.again, scope.join.failed = scope.join.failed, []
            continue
        if scope.phase is not Phase.ENTER:
            scope.phase = Phase.RUN
        run.ready.append(scope.id)
    for scope in scopes:
        state = run.state_of(scope)
        if isinstance(state, MapState) and scope.phase is Phase.JOIN:
            run.work(scope, state, fill)
            run.resume(scope)
