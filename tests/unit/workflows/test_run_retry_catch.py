"""Retry and Catch: which errors match, how long is waited, what a catcher is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.workflows.run_driver import (
    PENDING,
    START,
    Driver,
    TaskError,
    drive,
    machine,
    mapping,
    passing,
    task,
)
from workflows.engine.orders import TimerKind
from workflows.engine.retrying import matches


def raising(*errors: str | None) -> Callable[[Any], Any]:
    """A function that fails once with each error and then succeeds."""
    left = list(errors)

    def function(_: Any) -> Any:
        if left:
            raise TaskError(left.pop(0), "why")
        return "good"

    return function


def retry(*errors: str, **fields: Any) -> dict[str, Any]:
    return {"ErrorEquals": list(errors), **fields}


def catch(*errors: str, to: str = "Caught", **fields: Any) -> dict[str, Any]:
    return {"ErrorEquals": list(errors), "Next": to, **fields}


def waits(driver: Driver) -> list[float]:
    """Drive to the end; the seconds of every wait for a retry."""
    found = []
    driver.advance()
    while driver.status == "RUNNING":
        for order in list(driver.open.values()):
            driver.fail(order, "Broken")
        if driver.timers:
            before = driver.now
            assert driver.fire().kind is TimerKind.RETRY
            found.append((driver.now - before) / 1000)
    return found


@pytest.mark.parametrize(
    ("names", "error", "is_heartbeat", "does"),
    [
        (["E"], "E", False, True),
        (["E"], "F", False, False),
        (["D", "E"], "E", False, True),
        (["E"], None, False, False),
        (["States.ALL"], None, False, True),
        (["States.TaskFailed"], None, False, True),
        (["States.ALL"], "E", False, True),
        (["States.ALL"], "States.Timeout", False, True),
        (["States.ALL"], "States.Runtime", False, False),
        (["States.Runtime"], "States.Runtime", False, False),
        (["States.ALL"], "States.DataLimitExceeded", False, False),
        (["States.TaskFailed"], "States.DataLimitExceeded", False, False),
        (["States.DataLimitExceeded"], "States.DataLimitExceeded", False, True),
        (["States.TaskFailed"], "E", False, True),
        (["States.TaskFailed"], "States.Timeout", False, False),
        (["States.Timeout"], "States.Timeout", False, True),
        (["States.HeartbeatTimeout"], "States.Timeout", False, False),
        (["States.HeartbeatTimeout"], "States.Timeout", True, True),
        (["States.Timeout"], "States.Timeout", True, True),
        (["States.TaskFailed"], "States.Timeout", True, False),
        ([], "E", False, False),
    ],
)
def test_which_errors_match(
    names: list[str], error: str | None, is_heartbeat: bool, does: bool
) -> None:
    assert matches(tuple(names), error, is_heartbeat=is_heartbeat) is does


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [1, 2, 4]),
        ({"IntervalSeconds": 3, "BackoffRate": 1}, [3, 3, 3]),
        ({"IntervalSeconds": 2, "BackoffRate": 1.5, "MaxAttempts": 4}, [2, 3, 4.5, 6.75]),
        ({"IntervalSeconds": 2, "MaxDelaySeconds": 5, "MaxAttempts": 4}, [2, 4, 5, 5]),
        ({"MaxAttempts": 0}, []),
        ({"MaxAttempts": 1}, [1]),
        ({"JitterStrategy": "NONE", "MaxAttempts": 2}, [1, 2]),
        ({"JitterStrategy": "FULL", "IntervalSeconds": 8}, [2, 4, 8]),
        ({"JitterStrategy": "FULL", "IntervalSeconds": 8, "MaxDelaySeconds": 12}, [2, 3, 3]),
        ({"BackoffRate": 1e300, "MaxAttempts": 3, "MaxDelaySeconds": 60}, [1, 60, 60]),
    ],
)
def test_how_long_is_waited(fields: dict[str, Any], expected: list[float]) -> None:
    state = task(Retry=[retry("Broken", **fields)])
    driver = Driver(machine({"T": state}), chance=0.25)
    assert waits(driver) == expected
    assert (driver.status, driver.error) == ("FAILED", "Broken")


def test_a_delay_has_an_end() -> None:
    state = task(Retry=[retry("Broken", IntervalSeconds=99_999_999, MaxAttempts=1)])
    assert waits(Driver(machine({"T": state}))) == [31_622_400]


def test_every_retrier_counts_for_itself() -> None:
    retriers = [
        retry("A", MaxAttempts=1, IntervalSeconds=10),
        retry("States.ALL", MaxAttempts=2, IntervalSeconds=20, BackoffRate=1),
    ]
    definition = machine({"T": task(Retry=retriers)})
    done = drive(definition, {}, {"f": raising("A", "B", "C")})
    assert (done.output, done.seconds) == ("good", 50)
    # The first retrier that matches decides; the second one is not asked.
    done = drive(definition, {}, {"f": raising("B", "A", "A")})
    assert (done.error, done.seconds) == ("A", 30)


def test_attempts_are_counted_anew_at_every_entry() -> None:
    states = {
        "T": task(Retry=[retry("E", MaxAttempts=1)], ResultPath="$.r", Next="C"),
        "C": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.n", "IsPresent": True, "Next": "End"}],
            "Default": "Again",
        },
        "Again": passing(Result=1, ResultPath="$.n", Next="T"),
        "End": {"Type": "Succeed"},
    }
    left = ["E", None, "E", None]

    def alternating(_: Any) -> Any:
        if left.pop(0):
            raise TaskError("E")
        return 1

    assert drive(machine(states), {}, {"f": alternating}).status == "SUCCEEDED"


def test_the_context_counts_retries() -> None:
    seen = []

    def function(payload: Any) -> Any:
        seen.append(payload)
        if len(seen) < 3:
            raise TaskError
        return None

    state = task(Parameters={"n.$": "$$.State.RetryCount"}, Retry=[retry("States.ALL")])
    done = drive(machine({"T": state}), {}, {"f": function})
    assert seen == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert done.types.count("TaskStateEntered") == 1
    assert done.types[2:9] == [
        *("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionFailed"),
        *("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionFailed"),
        "LambdaFunctionScheduled",
    ]


def caught(state: dict[str, Any], input: Any = None, **functions: Any) -> Driver:
    """A state with catchers, followed by where they lead."""
    states = {
        "T": {**state, "End": True},
        "Caught": passing(End=True),
        "Other": passing(Result="other"),
    }
    return drive(machine(states), input, functions)


def test_the_first_catcher_that_matches() -> None:
    catchers = [catch("A", to="Other"), catch("B"), catch("States.ALL", to="Other")]
    state = task(Catch=catchers)
    assert caught(state, {}, f=raising("B")).output == {"Error": "B", "Cause": "why"}
    assert caught(state, {}, f=raising("C")).output == "other"
    assert caught(task(Catch=catchers[:2]), {}, f=raising("C")).error == "C"


@pytest.mark.parametrize(
    ("path", "output"),
    [
        ("$", {"Error": "E", "Cause": "why"}),
        ("$.e", {"k": 1, "e": {"Error": "E", "Cause": "why"}}),
        ("$.a.b", {"k": 1, "a": {"b": {"Error": "E", "Cause": "why"}}}),
        (None, {"k": 1}),
    ],
)
def test_where_a_catcher_puts_the_error(path: str | None, output: Any) -> None:
    state = task(
        InputPath="$.k",
        OutputPath="$.not.asked",
        Catch=[catch("States.ALL", ResultPath=path)],
    )
    done = caught(state, {"k": 1}, f=raising("E"))
    assert done.output == output
    assert done.chain[4:8] == [
        "LambdaFunctionFailed(4)",
        "TaskStateExited(5)",
        "PassStateEntered(6)",
        "PassStateExited(7)",
    ]


def test_an_error_without_name_or_cause() -> None:
    state = task(Catch=[catch("States.ALL")])
    begun = Driver(machine({"T": state, "Caught": passing()}))
    begun.advance()
    (order,) = begun.open.values()
    begun.fail(order, None, None)
    assert begun.output == {"Error": None, "Cause": None}


def test_a_time_out_is_caught_without_a_cause() -> None:
    state = task(TimeoutSeconds=5, Catch=[catch("States.TaskFailed"), catch("States.Timeout")])
    done = caught(state, {}, f=lambda _: PENDING)
    assert (done.output, done.seconds) == ({"Error": "States.Timeout"}, 5)


@pytest.mark.parametrize("name", ["States.HeartbeatTimeout", "States.Timeout", "States.ALL"])
def test_a_missed_heartbeat_goes_by_several_names(name: str) -> None:
    state = task(TimeoutSeconds=50, HeartbeatSeconds=5, Catch=[catch(name)])
    done = caught(state, {}, f=lambda _: PENDING)
    assert (done.output, done.seconds) == ({"Error": "States.Timeout"}, 5)


def test_retry_comes_before_catch() -> None:
    state = task(Retry=[retry("E", MaxAttempts=1)], Catch=[catch("E")])
    assert caught(state, {}, f=raising("E")).output == "good"
    assert caught(state, {}, f=raising("E", "E")).output == {"Error": "E", "Cause": "why"}


def test_what_fails_around_the_task_is_retried_and_caught() -> None:
    state = task(
        ResultSelector={"x.$": "States.StringToJson($.text)"},
        Retry=[retry("States.IntrinsicFailure", MaxAttempts=2)],
        Catch=[catch("States.IntrinsicFailure")],
    )
    done = caught(state, {}, f=lambda _: {"text": "{"})
    assert done.output["Error"] == "States.IntrinsicFailure"
    assert len(done.history) == 3


def test_a_runtime_error_is_never_caught() -> None:
    state = task(
        Parameters={"x.$": "$.no"},
        Retry=[retry("States.ALL")],
        Catch=[catch("States.Runtime"), catch("States.ALL")],
    )
    done = caught(state, {}, f=raising())
    assert (done.status, done.error) == ("FAILED", "States.Runtime")


def test_too_much_data_is_caught_by_its_name_only() -> None:
    big = {"f": lambda _: "x" * 300_000}
    state = task(Catch=[catch("States.ALL")])
    assert caught(state, {}, **big).error == "States.DataLimitExceeded"
    state = task(Catch=[catch("States.DataLimitExceeded", ResultPath=None)])
    done = caught(state, {"k": 1}, **big)
    assert done.output == {"k": 1}
    assert "LambdaFunctionFailed" in done.types


@pytest.mark.parametrize(
    ("catcher", "input", "error"),
    [
        ({"ResultPath": "$.a.b"}, {"a": "text"}, "States.ResultPathMatchFailure"),
        ({"ResultPath": "$.e"}, "text", "States.ResultPathMatchFailure"),
        (
            {"Assign": {"v.$": "States.StringToJson('{')"}},
            {},
            "States.IntrinsicFailure",
        ),
        ({"Assign": {"v.$": "$.no"}}, {}, "States.Runtime"),
    ],
)
@pytest.mark.parametrize("has_retry", [False, True])
def test_a_catcher_that_fails_does_not_catch_itself(
    catcher: dict[str, Any], input: Any, error: str, has_retry: bool
) -> None:
    state = task(Catch=[catch("States.ALL", **catcher)])
    if has_retry:
        state["Retry"] = [retry("States.ALL", MaxAttempts=1)]
    done = caught(state, input, f=raising("E", "E"))
    assert (done.status, done.error) == ("FAILED", error)
    assert done.chain[-1] == f"ExecutionFailed({len(done.events) - 1})"


def test_a_catcher_that_fails_within_a_branch_fails_the_branch() -> None:
    inner = task(Catch=[catch("States.ALL", to="After", ResultPath="$.a.b")], Next="After")
    branch = machine({"In": inner, "After": passing()})
    state = {"Type": "Parallel", "Branches": [branch], "Catch": [catch("States.ALL")]}
    done = caught(state, "text", f=raising("E"))
    assert done.output["Error"] == "States.ResultPathMatchFailure"


def test_a_branch_is_retried_whole() -> None:
    branch = machine({"A": task("f", Next="B"), "B": task("g")})
    state = {
        "Type": "Parallel",
        "Branches": [branch],
        "Retry": [retry("E", IntervalSeconds=7, MaxAttempts=1)],
    }
    functions = {"f": lambda payload: payload, "g": raising("E")}
    done = drive(machine({"P": state}), {}, functions)
    assert (done.output, done.seconds) == (["good"], 7)
    assert [order.name for order in done.history] == ["f", "g", "f", "g"]
    assert done.types.count("ParallelStateEntered") == 1
    assert done.types.count("ParallelStateStarted") == 2


def test_a_map_is_retried_whole_and_its_children_are_closed() -> None:
    state = mapping(machine({"T": task(TimeoutSeconds=50)}), Retry=[retry("E", MaxAttempts=1)])
    begun = Driver(machine({"M": state}), [1, 2, 3])
    begun.advance()
    first = list(begun.open.values())
    begun.fail(first[1], "E")
    assert not begun.open
    assert [timer.kind for timer in begun.timers.values()] == [TimerKind.RETRY]
    begun.fire()
    again = list(begun.open.values())
    begun.answer(first[0], "late")
    for order in again:
        begun.answer(order, order.payload.value * 10)
    assert begun.output == [10, 20, 30]
    assert begun.now == START + 1000
