"""Leaving a state (离开状态): what becomes of its result, and where the scope goes next.

The order of the fields is that of the Amazon States Language specification, Input and Output
Processing: ResultSelector, ResultPath, OutputPath; Assign sees what ResultPath would place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.engine.documents import Document, to_json
from workflows.engine.scopes import Phase, Scope
from workflows.engine.seeing import environment
from workflows.engine.states import Renders, Resulting, State

if TYPE_CHECKING:
    from workflows.engine.run import Run


def leave_with_result(run: Run, scope: Scope, state: Resulting, result: Document) -> None:
    """ResultSelector, Assign, ResultPath, OutputPath; then the next state."""
    if state.selector is not None:
        result = Document(state.selector.render(environment(run, scope, result.value)))
    if state.is_result_whole:
        output = result
    elif state.result_path is None:
        output = scope.input
    else:
        output = Document(state.result_path.put(scope.input.value, result.value))
    leave(run, scope, state, output, result.value)


def leave(run: Run, scope: Scope, state: State, output: Document, seen: Any) -> None:
    """OutputPath and Assign (``seen`` is its ``$``), then the state's Next."""
    output = after_output_path(run, scope, state, output)
    values = assigned(run, scope, state, state.assign, seen)
    exit_state(run, scope, state, output, values, state.next)


def after_output_path(run: Run, scope: Scope, state: State, output: Document) -> Document:
    """The output after OutputPath, within the limits of a document."""
    if not state.is_output_whole:
        if state.output_path is None:
            output = Document({})
        else:
            seen = environment(run, scope, output.value)
            output = Document(state.output_path.evaluate(seen))
    return output.within_limit(state.name)


def assigned(
    run: Run, scope: Scope, state: State, template: Renders | None, seen: Any
) -> dict[str, Any] | None:
    """The values that an Assign gives; nothing is changed yet, all see the old values."""
    if template is None:
        return None
    values: dict[str, Any] = template.render(environment(run, scope, seen))
    # What one Assign gives is limited as an output is (Step Functions service quotas).
    Document(values).within_limit(state.name)
    return values


def exit_state(
    run: Run,
    scope: Scope,
    state: State,
    output: Document,
    values: dict[str, Any] | None,
    to: str | None,
) -> None:
    """The StateExited event; on to state ``to``, or the end of the scope."""
    fields = f'{{"name":{to_json(state.name)},"output":{output.text}'
    if values:
        texts = {name: to_json(value) for name, value in values.items()}
        scope.variables = {**scope.variables, **values}
        fields += f',"assignedVariables":{to_json(texts)}'
    run.quiet(scope)
    run.event(scope, state.kind + "StateExited", fields + "}")
    scope.input = output
    if to is None:
        scope.phase = Phase.DONE
        run.scope_ended(scope, output)
    else:
        scope.state = to
        scope.phase = Phase.ENTER
