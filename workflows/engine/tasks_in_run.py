"""Task states in a run (任务状态): what is asked for, and what an answer or a time-out means.

Event types and fields: GetExecutionHistory in the Step Functions API reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.engine.documents import NULL, Document, joined, storable, to_json
from workflows.engine.journal import error_fields
from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import RUNTIME, TIMEOUT, StatesError
from workflows.engine.language.paths import PathMissingError
from workflows.engine.leaving import leave_with_result
from workflows.engine.orders import Answer, AnswerKind, TaskOrder, TimerKind
from workflows.engine.resources import Pattern, Resource, Service
from workflows.engine.scopes import Phase, Scope
from workflows.engine.seeing import effective_input, environment
from workflows.engine.states import Evaluates, State, TaskState
from workflows.engine.token_text import shown, without_tokens

if TYPE_CHECKING:
    from workflows.engine.run import Run

REGION = "local"

_LONGEST_LIMIT_S = 99_999_999
_PREFIX = {Service.FUNCTION: "LambdaFunction", Service.ACTIVITY: "Activity"}


def run_task(run: Run, scope: Scope, state: TaskState) -> None:
    """Order one attempt of the task."""
    resource = state.resource
    token = "" if resource.pattern is Pattern.REQUEST else run.around.token()
    payload = _payload(run, scope, state, token).within_limit(state.name)
    seen = environment(run, scope, effective_input(run, scope, state))
    timeout = _limit(state.timeout, seen, "TimeoutSeconds")
    heartbeat = _limit(state.heartbeat, seen, "HeartbeatSeconds")
    _schedule(run, scope, resource, payload, token, (timeout, heartbeat))
    scope.phase = Phase.TASK
    scope.serial = run.next_number()
    run.orders.task(
        TaskOrder(
            scope.id,
            scope.serial,
            resource.service,
            resource.pattern,
            _target(resource, payload.value),
            payload,
            _key(run, scope, state),
            token,
            heartbeat,
        )
    )
    if timeout is not None:
        run.arm(scope, TimerKind.TIMEOUT, run.now + timeout * 1000)
    if heartbeat is not None:
        # An activity's heartbeat begins when somebody takes the task (tokens.py).
        scope.timed = True
        if resource.service is not Service.ACTIVITY:
            run.arm(scope, TimerKind.HEARTBEAT, run.now + heartbeat * 1000)


def _key(run: Run, scope: Scope, state: State) -> str:
    """The idempotency key: the same for every attempt of one entry into a state."""
    return f"{run.facts.machine}:{run.facts.name}:{state.name}:{scope.entry}"


def _payload(run: Run, scope: Scope, state: TaskState, token: str) -> Document:
    value = effective_input(run, scope, state)
    if state.parameters is not None:
        extra = {"Task": {"Token": token}} if token else None
        value = state.parameters.render(environment(run, scope, value, extra))
    return scope.input if value is scope.input.value else Document(value)


def _target(resource: Resource, payload: Any) -> str:
    """The function, queue, machine or activity that is meant; "" when the payload lacks it."""
    if resource.service in (Service.FUNCTION, Service.ACTIVITY):
        return resource.name
    name = {
        Service.INVOKE: "FunctionName",
        Service.QUEUE: "QueueUrl",
        Service.CHILD: "StateMachineArn",
    }[resource.service]
    found = payload.get(name) if isinstance(payload, dict) else None
    # What no column takes as it is cannot name anything.
    if not isinstance(found, str) or found != (storable(found) or "")[:300].rstrip():
        return ""
    return found


def _limit(given: int | Evaluates | None, seen: Environment, name: str) -> int | None:
    """Seconds that are fixed or read by a path."""
    if given is None or isinstance(given, int):
        return given
    try:
        found = given.evaluate(seen)
    except PathMissingError:
        text = f"The {name}Path parameter does not reference an input value: {given.text}"
        raise StatesError(RUNTIME, text) from None
    if isinstance(found, bool) or not isinstance(found, int | float) or found != int(found):
        shown = found if isinstance(found, str) else to_json(found)
        text = f"The {name}Path parameter cannot be parsed as a long value: {given.text} == {shown}"
        raise StatesError(RUNTIME, text)
    if found <= 0:
        text = f"The {name}Path parameter must be a positive value: {given.text} == {found}"
        raise StatesError(RUNTIME, text)
    return min(int(found), _LONGEST_LIMIT_S)


def _schedule(
    run: Run,
    scope: Scope,
    resource: Resource,
    payload: Document,
    token: str,
    limits: tuple[int | None, int | None],
) -> None:
    text = payload.text
    if token:  # in whatever form it was given
        text = text.replace(token, shown(token))
    if resource.is_optimized:
        fields = {
            "resource": to_json(resource.action),
            "resourceType": to_json(resource.service.value),
            "region": to_json(REGION),
            "parameters": text,
        }
    else:
        fields = {"resource": to_json(resource.arn), "input": text}
    for name, seconds in zip(("timeoutInSeconds", "heartbeatInSeconds"), limits, strict=True):
        if seconds is not None:
            fields[name] = str(seconds)
    _event(run, scope, resource, "Scheduled", fields)
    if resource.service is not Service.ACTIVITY:
        _event(run, scope, resource, "Started", {})


def _event(run: Run, scope: Scope, resource: Resource, what: str, fields: dict[str, str]) -> None:
    if resource.is_optimized:
        about = {
            "resource": to_json(resource.action),
            "resourceType": to_json(resource.service.value),
        }
        run.event(scope, f"Task{what}", joined({**about, **fields}))
    else:
        run.event(scope, f"{_PREFIX[resource.service]}{what}", joined(fields))


def take_answer(run: Run, scope: Scope, state: State, answer: Answer) -> None:
    """An answer to the attempt that the scope waits for."""
    if scope.phase is not Phase.TASK or not isinstance(state, TaskState):
        return
    resource = state.resource
    if answer.kind is AnswerKind.STARTED:
        fields = {"workerName": to_json(answer.worker)} if answer.worker else {}
        _event(run, scope, resource, "Started", fields)
        return
    output = answer.output or NULL
    if answer.kind is AnswerKind.SUBMITTED:
        # Whoever took the task over may have sent its token back.
        fields = {"output": without_tokens(output.text)}
        _event(run, scope, resource, "Submitted", fields)
        return
    if answer.kind is AnswerKind.FAILED:
        _failed(run, scope, state, answer.error, answer.cause)
    else:
        run.work(scope, state, lambda run, scope, state: _succeed(run, scope, state, output))
    run.resume(scope)


def _succeed(run: Run, scope: Scope, state: TaskState, output: Document) -> None:
    resource = state.resource
    try:
        output.within_limit(resource.service.value if resource.is_optimized else resource.arn)
    except StatesError as error:
        _failed(run, scope, state, error.error, error.cause)
        return
    _event(run, scope, resource, "Succeeded", {"output": output.text})
    run.quiet(scope)
    scope.phase = Phase.RUN
    leave_with_result(run, scope, state, output)


def _failed(run: Run, scope: Scope, state: TaskState, error: str | None, cause: str | None) -> None:
    _event(run, scope, state.resource, "Failed", error_fields(error, cause))
    run.fail(scope, state, error, cause)


def time_out(run: Run, scope: Scope, state: State, kind: TimerKind) -> None:
    """The time limit or the heartbeat's has passed; history calls both States.Timeout."""
    if scope.phase is not Phase.TASK or not isinstance(state, TaskState):
        return
    _event(run, scope, state.resource, "TimedOut", error_fields(TIMEOUT, None))
    run.fail(scope, state, TIMEOUT, None, is_heartbeat=kind is TimerKind.HEARTBEAT)
    run.resume(scope)
