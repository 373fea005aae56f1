"""What the expressions of a state see (可见数据): its input, the context object, the variables.

The context object is built only when an expression asks for it; its shape is that of the
developer guide, Accessing execution data from the Context object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workflows.engine.language.environment import Environment
from workflows.engine.orders import instant_text
from workflows.engine.scopes import Scope
from workflows.engine.states import MapState, ParallelState, State, TaskState

if TYPE_CHECKING:
    from workflows.engine.run import Run


def environment(
    run: Run, scope: Scope, input: Any, extra: Mapping[str, Any] | None = None
) -> Environment:
    """What the expressions of the scope's state see, ``$`` being ``input``."""
    return Environment(input, lambda: _context_of(run, scope, extra), scope.variables)


def effective_input(run: Run, scope: Scope, state: State) -> Any:
    """The state's input after InputPath."""
    if state.is_input_whole:
        return scope.input.value
    if state.input_path is None:
        return {}
    return state.input_path.evaluate(environment(run, scope, scope.input.value))


def _context_of(run: Run, scope: Scope, extra: Mapping[str, Any] | None) -> Mapping[str, Any]:
    state = run.state_of(scope)
    about: dict[str, Any] = {
        "Name": state.name,
        "EnteredTime": instant_text(scope.entered_at),
    }
    if isinstance(state, TaskState | ParallelState | MapState):
        about["RetryCount"] = scope.retries
    context: dict[str, Any] = {**run.context, "State": about}
    item = _item_of(run, scope)
    if item is not None:
        context["Map"] = {"Item": item}
    return {**context, **extra} if extra else context


def _item_of(run: Run, scope: Scope) -> dict[str, Any] | None:
    """The Map item that a scope works on: its own or that of the nearest scope around it."""
    at: Scope | None = scope
    while at is not None and at.parent is not None:
        parent = run.scopes[at.parent]
        if parent.join is not None and parent.join.items is not None:
            return {"Index": at.index, "Value": parent.join.items[at.index]}
        at = parent
    return None
