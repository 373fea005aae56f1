"""Task states: what is ordered, the events of every kind of resource, time limits, answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.workflows.run_driver import (
    FUNCTION,
    PENDING,
    START,
    Driver,
    Submitted,
    TaskError,
    drive,
    machine,
    mapping,
    passing,
    result,
    task,
)
from workflows.engine.documents import Document
from workflows.engine.orders import Answer, AnswerKind, TimerFired, TimerKind
from workflows.engine.resources import Pattern, Service

STATES = "arn:aws:states:::"
RUNTIME = "States.Runtime"


def waiting(fields: dict[str, Any], input: Any = None) -> Driver:
    """An execution whose only state's task has been ordered."""
    begun = Driver(machine({"T": fields}), input)
    begun.advance()
    return begun


def echo(payload: Any) -> Any:
    return payload


def broken(_: Any) -> Any:
    raise TaskError("Broken", "why")


def test_fields_around_the_result() -> None:
    state = task(
        InputPath="$.in",
        Parameters={"x.$": "$.n"},
        ResultSelector={"y.$": "$.x", "z": 0},
        ResultPath="$.r",
        OutputPath="$.r",
    )
    assert result(state, {"in": {"n": 4}}, {"f": echo}) == {"y": 4, "z": 0}
    assert result(task(ResultPath=None), {"k": 1}, {"f": lambda _: 2}) == {"k": 1}
    assert result(task(ResultPath="$.a.b"), {"k": 1}, {"f": lambda _: 2}) == {"k": 1, "a": {"b": 2}}


def test_a_function_and_its_events() -> None:
    done = drive(machine({"T": task(TimeoutSeconds=60)}), {"k": 1}, {"f": lambda _: [2]})
    assert done.chain == [
        "ExecutionStarted(0)",
        "TaskStateEntered(0)",
        "LambdaFunctionScheduled(2)",
        "LambdaFunctionStarted(3)",
        "LambdaFunctionSucceeded(4)",
        "TaskStateExited(5)",
        "ExecutionSucceeded(6)",
    ]
    assert done.events[2]["lambdaFunctionScheduledEventDetails"] == {
        "resource": FUNCTION + "f",
        "input": '{"k":1}',
        "inputDetails": {"truncated": False},
        "timeoutInSeconds": 60,
    }
    assert "lambdaFunctionStartedEventDetails" not in done.events[3]
    assert done.events[4]["lambdaFunctionSucceededEventDetails"]["output"] == "[2]"


@pytest.mark.parametrize(
    ("resource", "payload", "service", "name"),
    [
        ("lambda:invoke", {"FunctionName": "g", "Payload": 1}, Service.INVOKE, "g"),
        ("sqs:sendMessage", {"QueueUrl": "q", "MessageBody": "m"}, Service.QUEUE, "q"),
        ("states:startExecution", {"StateMachineArn": "m2"}, Service.CHILD, "m2"),
        ("states:startExecution.sync:2", {"StateMachineArn": "m2"}, Service.CHILD, "m2"),
        ("sqs:sendMessage", {"QueueUrl": 5}, Service.QUEUE, ""),
    ],
)
def test_an_integration_and_its_events(
    resource: str, payload: dict[str, Any], service: Service, name: str
) -> None:
    begun = waiting({"Type": "Task", "Resource": STATES + resource, "Parameters": payload})
    (order,) = begun.open.values()
    assert (order.service, order.name, order.payload.value) == (service, name, payload)
    begun.answer(order, {"ok": True})
    assert begun.types[2:5] == ["TaskScheduled", "TaskStarted", "TaskSucceeded"]
    scheduled, started, succeeded = (one[key(one["type"])] for one in begun.events[2:5])
    action = resource.partition(":")[2]
    about = {"resource": action, "resourceType": service.value}
    assert {**scheduled, "parameters": json.loads(scheduled["parameters"])} == {
        **about,
        "region": "local",
        "parameters": payload,
    }
    assert started == about
    assert succeeded == {**about, "output": '{"ok":true}', "outputDetails": {"truncated": False}}


def key(kind: str) -> str:
    return kind[0].lower() + kind[1:] + "EventDetails"


def test_a_payload_that_is_no_object_names_nothing() -> None:
    begun = waiting({"Type": "Task", "Resource": STATES + "sqs:sendMessage"}, [1])
    assert [one.name for one in begun.open.values()] == [""]


def test_a_token_is_given_out_and_answered() -> None:
    begun = waiting(with_token())
    (order,) = begun.open.values()
    assert order.pattern is Pattern.TOKEN
    assert order.payload.value["MessageBody"] == {"t": order.token}
    begun.tell(Answer(order.scope, order.serial, AnswerKind.SUBMITTED, Document({"id": 1})))
    assert begun.status == "RUNNING"
    begun.answer(order, "done")
    assert begun.output == "done"
    assert begun.types == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


def with_token(**fields: Any) -> dict[str, Any]:
    """A task that waits for its token."""
    parameters = {"QueueUrl": "q", "MessageBody": {"t.$": "$$.Task.Token"}}
    resource = STATES + "sqs:sendMessage.waitForTaskToken"
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, **fields}


def test_a_token_is_never_in_the_history() -> None:
    begun = waiting(with_token())
    (order,) = begun.open.values()
    back = Document({"echo": [order.token], "text": f"token={order.token}."})
    begun.tell(Answer(order.scope, order.serial, AnswerKind.SUBMITTED, back))
    assert order.token not in json.dumps(begun.events)
    assert order.token not in begun.run.snapshot()
    shown = json.loads(begun.events[2]["taskScheduledEventDetails"]["parameters"])
    assert shown["MessageBody"]["t"].startswith("sha256:")


def test_every_attempt_has_a_token_of_its_own() -> None:
    state = with_token(Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}])
    begun = waiting(state)
    (first,) = begun.open.values()
    begun.fail(first, "E")
    begun.fire()
    (second,) = begun.open.values()
    assert first.token != second.token
    assert first.key == second.key
    begun.answer(first, "late")
    assert begun.status == "RUNNING"
    begun.answer(second, "in time")
    assert begun.output == "in time"


def test_an_activity_and_its_events() -> None:
    arn = "arn:aws:states:local:000000000000:activity:desk"
    begun = waiting({"Type": "Task", "Resource": arn, "HeartbeatSeconds": 9, "TimeoutSeconds": 20})
    (order,) = begun.open.values()
    assert (order.service, order.name, order.heartbeat_s) == (Service.ACTIVITY, "desk", 9)
    # The heartbeat begins when somebody has taken the task.
    assert [one.kind for one in begun.timers.values()] == [TimerKind.TIMEOUT]
    begun.tell(Answer(order.scope, order.serial, AnswerKind.STARTED, worker="w1"))
    begun.answer(order, 1)
    assert begun.types[2:5] == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]
    scheduled, started, succeeded = (one[key(one["type"])] for one in begun.events[2:5])
    assert (scheduled["timeoutInSeconds"], scheduled["heartbeatInSeconds"]) == (20, 9)
    assert "region" not in scheduled
    assert started == {"workerName": "w1"}
    assert succeeded["output"] == "1"


def test_an_activity_taken_by_nobody_in_particular() -> None:
    begun = waiting({"Type": "Task", "Resource": "arn:aws:states:l:0:activity:desk"})
    (order,) = begun.open.values()
    begun.tell(Answer(order.scope, order.serial, AnswerKind.STARTED))
    assert begun.events[-1]["activityStartedEventDetails"] == {}
    begun.fail(order, None)
    assert begun.events[-2]["activityFailedEventDetails"] == {}
    assert begun.types[-2:] == ["ActivityFailed", "ExecutionFailed"]


def test_a_failure_of_the_task_ends_the_execution() -> None:
    done = drive(machine({"T": task()}), {}, {"f": broken})
    assert done.chain[-2:] == ["LambdaFunctionFailed(4)", "ExecutionFailed(5)"]
    about = {"error": "Broken", "cause": "why"}
    assert done.events[-2]["lambdaFunctionFailedEventDetails"] == about
    assert done.events[-1]["executionFailedEventDetails"] == about


# -- time limits ------------------------------------------------------------------------------

NEVER = {"f": lambda _: PENDING, "sqs": lambda _: Submitted(1)}


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"TimeoutSeconds": 5}, 5),
        ({"TimeoutSecondsPath": "$.n"}, 7),
        ({"TimeoutSecondsPath": "$.float"}, 3),
        ({"InputPath": "$.in", "TimeoutSecondsPath": "$.n"}, 9),
        ({"TimeoutSeconds": 50, "HeartbeatSeconds": 4}, 4),
        ({"TimeoutSeconds": 50, "HeartbeatSecondsPath": "$.n"}, 7),
    ],
)
def test_a_task_times_out(fields: dict[str, Any], seconds: int) -> None:
    input = {"n": 7, "float": 3.0, "in": {"n": 9}}
    done = drive(machine({"T": task(**fields)}), input, NEVER)
    assert (done.status, done.error, done.cause) == ("FAILED", "States.Timeout", None)
    assert done.seconds == seconds
    assert done.types[-2:] == ["LambdaFunctionTimedOut", "ExecutionFailed"]
    about = {"error": "States.Timeout"}
    assert done.events[-2]["lambdaFunctionTimedOutEventDetails"] == about
    assert done.events[-1]["executionFailedEventDetails"] == about


def test_a_token_task_times_out() -> None:
    done = drive(machine({"T": with_token(HeartbeatSeconds=5)}), {}, NEVER)
    assert done.types[-3:] == ["TaskSubmitted", "TaskTimedOut", "ExecutionFailed"]
    assert done.events[-2]["taskTimedOutEventDetails"] == {
        "resource": "sendMessage.waitForTaskToken",
        "resourceType": "sqs",
        "error": "States.Timeout",
    }
    assert done.events[2]["taskScheduledEventDetails"]["heartbeatInSeconds"] == 5


@pytest.mark.parametrize("name", ["TimeoutSecondsPath", "HeartbeatSecondsPath"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("soon", "cannot be parsed as a long value: $.v == soon"),
        (1.5, "cannot be parsed as a long value: $.v == 1.5"),
        (True, "cannot be parsed as a long value: $.v == true"),
        (None, "cannot be parsed as a long value: $.v == null"),
        (0, "must be a positive value: $.v == 0"),
        (-2, "must be a positive value: $.v == -2"),
    ],
)
def test_a_bad_time_limit_fails(name: str, value: Any, words: str) -> None:
    done = drive(machine({"T": task(**{name: "$.v"})}), {"v": value}, NEVER)
    assert done.error == RUNTIME
    assert f"The {name} parameter {words}" in (done.cause or "")
    assert done.history == []


def test_a_time_limit_that_is_missing_fails() -> None:
    done = drive(machine({"T": task(TimeoutSecondsPath="$.v")}), {}, NEVER)
    assert "does not reference an input value: $.v" in (done.cause or "")


def test_a_time_limit_is_bounded() -> None:
    begun = waiting(task(TimeoutSecondsPath="$.n"), {"n": 10**40})
    assert [one.due for one in begun.timers.values()] == [START + 99_999_999_000]


def test_the_execution_times_out() -> None:
    done = drive(machine({"T": task(TimeoutSeconds=90)}, TimeoutSeconds=30), {}, NEVER)
    assert (done.status, done.error, done.cause) == ("TIMED_OUT", None, None)
    assert done.seconds == 30
    assert done.chain[-1] == "ExecutionTimedOut(0)"
    assert done.events[-1]["executionTimedOutEventDetails"] == {"error": "States.Timeout"}


# -- answers that nobody waits for ------------------------------------------------------------


def test_what_is_late_is_ignored() -> None:
    states = {"T": task(TimeoutSeconds=5, Next="W"), "W": {"Type": "Wait", "Seconds": 100}}
    begun = Driver(machine(states))
    begun.advance()
    (order,) = begun.open.values()
    begun.answer(order, 1)
    before = begun.types
    for signal in (
        Answer(order.scope, order.serial, AnswerKind.SUCCEEDED, Document(2)),
        Answer(order.scope, order.serial, AnswerKind.FAILED, None, "E", None),
        Answer(order.scope, order.serial, AnswerKind.STARTED),
        Answer(order.scope, order.serial, AnswerKind.SUBMITTED, Document(2)),
        Answer(999, order.serial, AnswerKind.SUCCEEDED, Document(2)),
        TimerFired(order.scope, TimerKind.TIMEOUT, order.serial),
        TimerFired(order.scope, TimerKind.HEARTBEAT, order.serial),
        TimerFired(order.scope, TimerKind.WAIT, order.serial),
    ):
        begun.tell(signal)
    # The serial is right, but it is a timer and no task that is awaited.
    (timer,) = begun.timers.values()
    begun.tell(Answer(timer.scope, timer.serial, AnswerKind.SUCCEEDED, Document(2)))
    begun.tell(TimerFired(timer.scope, TimerKind.TIMEOUT, timer.serial))
    assert begun.types == before
    begun.fire()
    assert begun.output == 1
    after = begun.types
    begun.stop()
    begun.tell(TimerFired(timer.scope, TimerKind.WAIT, timer.serial))
    assert begun.types == after


def test_a_task_that_is_over_is_closed() -> None:
    begun = waiting(task(TimeoutSeconds=5, Retry=[{"ErrorEquals": ["States.Timeout"]}]))
    (first,) = begun.open.values()
    begun.fire()
    assert not begun.open
    begun.fire()
    (second,) = begun.open.values()
    assert second.serial != first.serial
    begun.answer(first, "late")
    assert begun.status == "RUNNING"


def test_stop() -> None:
    begun = waiting(task(TimeoutSeconds=5))
    begun.now += 1_000
    begun.stop("Enough", "no more")
    assert (begun.status, begun.error, begun.cause) == ("ABORTED", "Enough", "no more")
    assert begun.chain[-1] == "ExecutionAborted(0)"
    assert begun.events[-1]["executionAbortedEventDetails"] == {
        "error": "Enough",
        "cause": "no more",
    }
    assert not begun.timers


def test_stop_without_a_reason() -> None:
    begun = Driver(machine({"W": {"Type": "Wait", "Seconds": 5}}))
    begun.advance()
    begun.stop()
    assert begun.types == ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]
    assert begun.events[-1]["executionAbortedEventDetails"] == {}


# -- idempotency keys -------------------------------------------------------------------------


def test_the_key_is_the_same_for_attempts_and_other_for_entries() -> None:
    calls: list[Any] = []

    def fails_twice(payload: Any) -> Any:
        calls.append(payload)
        if len(calls) % 3:
            raise TaskError
        return payload

    more = {"Variable": "$.n", "IsPresent": True, "Next": "End"}
    states = {
        "T": task(Retry=[{"ErrorEquals": ["Broken"]}], Next="C"),
        "C": {"Type": "Choice", "Choices": [more], "Default": "Add"},
        "Add": passing(Result=1, ResultPath="$.n", Next="T"),
        "End": passing(),
    }
    done = drive(machine(states), {}, {"f": fails_twice})
    keys = [order.key for order in done.history]
    assert len(keys) == 6
    assert keys[0] == keys[1] == keys[2]
    assert keys[3] == keys[4] == keys[5] != keys[0]
    assert all(one.startswith("m:e:T:") for one in keys)


def test_the_key_is_other_for_iterations() -> None:
    state = mapping(machine({"T": task()}))
    done = drive(machine({"M": state}), [1, 2, 3], {"f": echo})
    assert len({order.key for order in done.history}) == 3


def test_the_key_outlives_a_redrive() -> None:
    done = drive(machine({"T": task()}), {}, {"f": broken})
    done.redrive()
    done.go()
    assert len({order.key for order in done.history}) == 1
