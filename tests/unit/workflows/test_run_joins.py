"""Parallel and Map: order, concurrency, the failure of one child, distributed Maps, redrive."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from tests.unit.workflows.run_driver import (
    Driver,
    TaskError,
    distributed,
    drive,
    machine,
    mapping,
    passing,
    result,
    task,
)

RUNTIME = "States.Runtime"


def parallel(*branches: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(branches), **fields}


def waiting(name: str = "W", seconds: int = 100) -> dict[str, Any]:
    return machine({name: {"Type": "Wait", "Seconds": seconds}})


def failing(*bad: Any) -> Any:
    """A function that fails for some payloads and gives tenfold of the others."""

    def function(payload: Any) -> Any:
        if payload in bad:
            raise TaskError("Broken", f"no {payload}")
        return payload * 10

    return {"f": function}


# -- Parallel ---------------------------------------------------------------------------------


def test_results_are_in_the_order_of_the_branches() -> None:
    slow = machine({"W": {"Type": "Wait", "Seconds": 9, "Next": "P"}, "P": passing(Result="slow")})
    fast = machine({"F": passing(Result="fast")})
    assert result(parallel(slow, fast), {"k": 1}) == ["slow", "fast"]


def test_fields_of_a_parallel() -> None:
    state = parallel(
        machine({"A": passing()}),
        machine({"B": passing(InputPath="$.x")}),
        InputPath="$.in",
        Parameters={"x.$": "$.n"},
        ResultSelector={"both.$": "$"},
        ResultPath="$.r",
        OutputPath="$.r.both",
    )
    assert result(state, {"in": {"n": 4}}) == [{"x": 4}, 4]


def test_events_of_a_parallel() -> None:
    done = drive(machine({"P": parallel(machine({"A": passing()}), machine({"B": passing()}))}))
    assert done.chain == [
        "ExecutionStarted(0)",
        "ParallelStateEntered(0)",
        "ParallelStateStarted(2)",
        "PassStateEntered(3)",
        "PassStateExited(4)",
        "PassStateEntered(3)",
        "PassStateExited(6)",
        "ParallelStateSucceeded(7)",
        "ParallelStateExited(8)",
        "ExecutionSucceeded(9)",
    ]
    assert "parallelStateStartedEventDetails" not in done.events[2]


def test_the_failure_of_a_branch() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "C"}]
    states = {"P": parallel(machine({"T": task()}), Catch=catch, Next="C"), "C": passing()}
    done = drive(machine(states), 1, failing(1))
    assert done.chain == [
        "ExecutionStarted(0)",
        "ParallelStateEntered(0)",
        "ParallelStateStarted(2)",
        "TaskStateEntered(3)",
        "LambdaFunctionScheduled(4)",
        "LambdaFunctionStarted(5)",
        "LambdaFunctionFailed(6)",
        "TaskStateAborted(7)",
        "ParallelStateFailed(7)",
        "ParallelStateExited(9)",
        "PassStateEntered(10)",
        "PassStateExited(11)",
        "ExecutionSucceeded(12)",
    ]
    assert done.output == {"Error": "Broken", "Cause": "no 1"}


def test_the_other_branches_are_aborted() -> None:
    inner = parallel(waiting("W1"), machine({"T1": task("slow", TimeoutSeconds=60)}))
    begun = Driver(
        machine({"P": parallel(waiting(), machine({"I": inner}), machine({"T": task("f")}))}), 1
    )
    begun.advance()
    bad = next(one for one in begun.open.values() if one.name == "f")
    last = len(begun.types)
    begun.fail(bad, "Broken")
    assert begun.chain[last:] == [
        "LambdaFunctionFailed(9)",
        "TaskStateAborted(14)",
        "WaitStateAborted(4)",
        "WaitStateAborted(10)",
        "TaskStateAborted(13)",
        "ParallelStateAborted(6)",
        "ParallelStateFailed(14)",
        "ExecutionFailed(20)",
    ]
    assert not begun.open
    assert not begun.timers


def test_a_runtime_error_within_a_branch_ends_it_all_silently() -> None:
    bad = machine({"Bad": passing(InputPath="$.no")})
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "P"}]
    done = drive(machine({"P": parallel(waiting(), bad, Catch=catch)}))
    assert done.types == [
        "ExecutionStarted",
        "ParallelStateEntered",
        "ParallelStateStarted",
        "WaitStateEntered",
        "PassStateEntered",
        "ExecutionFailed",
    ]
    assert "'Bad' (entered at the event id #5)" in (done.cause or "")


def test_a_fail_state_within_a_branch() -> None:
    bad = machine({"F": {"Type": "Fail", "Error": "E", "Cause": "c"}})
    done = drive(machine({"P": parallel(bad)}))
    assert done.types[3:] == ["FailStateEntered", "ParallelStateFailed", "ExecutionFailed"]
    assert (done.error, done.cause) == ("E", "c")


def test_a_caught_failure_forgets_the_branches() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "W"}]
    branch = machine({"T": task("slow", HeartbeatSeconds=9, TimeoutSeconds=60)})
    state = parallel(branch, machine({"T2": task("f")}), Catch=catch, Next="W")
    begun = Driver(machine({"P": state, "W": {"Type": "Wait", "Seconds": 1}}))
    begun.advance()
    slow, bad = begun.open.values()
    begun.fail(bad, "E")
    assert len(begun.run.scopes) == 1
    assert not begun.open
    assert len(begun.timers) == 1
    begun.answer(slow, "late")
    begun.fire()
    assert begun.output["Error"] == "E"


# -- Map --------------------------------------------------------------------------------------


def test_fields_of_a_map() -> None:
    state = mapping(
        machine({"A": passing()}),
        InputPath="$.in",
        ItemsPath="$.list",
        ItemSelector={
            "n.$": "$$.Map.Item.Index",
            "v.$": "$$.Map.Item.Value",
            "all.$": "$.list",
        },
        ResultSelector={"r.$": "$[*].v"},
        ResultPath="$.out",
        OutputPath="$.out.r",
    )
    assert result(state, {"in": {"list": ["a", "b"]}}) == ["a", "b"]


def test_the_legacy_form_of_a_map() -> None:
    chart = machine({"A": passing()})
    state = {"Type": "Map", "Iterator": chart, "Parameters": {"v.$": "$$.Map.Item.Value"}}
    assert result(state, [1, 2]) == [{"v": 1}, {"v": 2}]


def test_an_empty_map() -> None:
    done = drive(machine({"M": mapping(machine({"A": passing()}))}), [])
    assert done.output == []
    assert done.chain[1:5] == [
        "MapStateEntered(0)",
        "MapStateStarted(2)",
        "MapStateSucceeded(3)",
        "MapStateExited(4)",
    ]
    assert done.events[2]["mapStateStartedEventDetails"] == {"length": 0}


def test_events_of_a_map() -> None:
    done = drive(machine({"M": mapping(machine({"A": passing()}), MaxConcurrency=1)}), ["x", "y"])
    assert done.types[2:] == [
        "MapStateStarted",
        *("MapIterationStarted", "PassStateEntered", "PassStateExited", "MapIterationSucceeded"),
        *("MapIterationStarted", "PassStateEntered", "PassStateExited", "MapIterationSucceeded"),
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]
    assert done.events[7]["mapIterationStartedEventDetails"] == {"name": "M", "index": 1}


@pytest.mark.parametrize("items", [None, {}, "text", 5, {"a": [1]}])
def test_items_that_are_no_array(items: Any) -> None:
    done = drive(machine({"M": mapping(machine({"A": passing()}), ItemsPath="$.l")}), {"l": items})
    assert done.error == RUNTIME
    assert 'Reference path "$.l" must point to array.' in (done.cause or "")
    assert done.types[1:] == ["MapStateEntered", "ExecutionFailed"]


def test_items_that_are_missing() -> None:
    done = drive(machine({"M": mapping(machine({"A": passing()}), ItemsPath="$.l")}))
    assert done.error == RUNTIME


@pytest.mark.parametrize(
    ("fields", "count", "most"),
    [
        ({"MaxConcurrency": 3}, 10, 3),
        ({"MaxConcurrencyPath": "$.c"}, 10, 4),
        ({"MaxConcurrency": 0}, 10, 10),
        ({"MaxConcurrency": 0}, 100, 40),
        ({"MaxConcurrency": 90}, 100, 40),
    ],
)
def test_no_more_at_once_than_allowed(fields: dict[str, Any], count: int, most: int) -> None:
    state = mapping(machine({"T": task()}), ItemsPath="$.l", **fields)
    begun = Driver(machine({"M": state}), {"l": list(range(count)), "c": 4})
    begun.advance()
    seen = 0
    for turn in itertools.count():
        seen = max(seen, len(begun.open))
        if begun.status != "RUNNING":
            break
        # First come, last served.
        order = list(begun.open.values())[-1 if turn % 2 else 0]
        begun.answer(order, order.payload.value * 10)
    assert seen == most
    assert begun.output == [number * 10 for number in range(count)]


@pytest.mark.parametrize("value", ["many", None, True, [], -1])
def test_a_bad_concurrency_fails(value: Any) -> None:
    state = mapping(machine({"A": passing()}), ItemsPath="$.l", MaxConcurrencyPath="$.c")
    done = drive(machine({"M": state}), {"l": [1], "c": value})
    assert done.error == RUNTIME
    assert "MaxConcurrency" in (done.cause or "")


def test_the_failure_of_an_iteration() -> None:
    begun = Driver(machine({"M": mapping(machine({"T": task()}), MaxConcurrency=2)}), [1, 2, 3])
    begun.advance()
    first, second = begun.open.values()
    last = len(begun.types)
    begun.fail(second, "Broken", "why")
    assert begun.chain[last:] == [
        "LambdaFunctionFailed(11)",
        "TaskStateAborted(12)",
        "MapIterationFailed(12)",
        "TaskStateAborted(8)",
        "MapIterationAborted(15)",
        "MapStateFailed(14)",
        "ExecutionFailed(17)",
    ]
    indexes = [
        event[f"mapIteration{kind}EventDetails"]["index"]
        for event, kind in ((begun.events[-5], "Failed"), (begun.events[-3], "Aborted"))
    ]
    assert indexes == [1, 0]
    begun.answer(first, 1)
    assert (begun.error, begun.cause) == ("Broken", "why")


def test_a_failing_item_selector_is_the_failure_of_the_map() -> None:
    state = mapping(
        machine({"A": passing()}), ItemSelector={"x.$": "States.StringToJson($$.Map.Item.Value)"}
    )
    done = drive(machine({"M": state}), ["1", "{", "3"])
    assert done.error == "States.IntrinsicFailure"
    assert "'M' (entered at the event id #2)" in (done.cause or "")
    assert done.types[2:] == [
        "MapStateStarted",
        "MapIterationStarted",
        "MapIterationAborted",
        "MapStateFailed",
        "ExecutionFailed",
    ]


def test_a_failing_item_selector_late_in_the_map() -> None:
    state = mapping(
        machine({"T": task(TimeoutSeconds=9)}),
        ItemSelector={"x.$": "States.StringToJson($$.Map.Item.Value)"},
        MaxConcurrency=2,
        Catch=[{"ErrorEquals": ["States.ALL"], "Next": "W"}],
        Next="W",
    )
    begun = Driver(machine({"M": state, "W": {"Type": "Wait", "Seconds": 1}}), ["1", "2", "{"])
    begun.advance()
    begun.answer(next(iter(begun.open.values())), 1)
    assert begun.types[-3:] == ["MapStateFailed", "MapStateExited", "WaitStateEntered"]
    assert begun.types.count("MapIterationAborted") == 1
    assert len(begun.run.scopes) == 1
    assert not begun.open


def test_a_map_in_a_parallel_in_a_map() -> None:
    inner = mapping(machine({"T": task()}), MaxConcurrency=2)
    both = parallel(machine({"I": inner}), machine({"S": passing(Result="s")}))
    done = drive(machine({"M": mapping(machine({"P": both}))}), [[1, 2, 3], [4]], failing())
    assert done.output == [[[10, 20, 30], "s"], [[40], "s"]]


def test_the_item_is_that_of_the_nearest_map() -> None:
    item = {"v.$": "$$.Map.Item.Value"}
    branch = machine({"B": passing(Parameters=item)})
    inner = mapping(machine({"A": passing(Parameters=item)}), ItemsPath="$$.Map.Item.Value")
    both = parallel(branch, machine({"I": inner}))
    output = result(mapping(machine({"P": both})), [["x", "y"]])
    assert output == [[{"v": ["x", "y"]}, [{"v": "x"}, {"v": "y"}]]]


def test_the_failure_of_a_large_map_takes_no_square_time() -> None:
    deep = mapping(machine({"P": parallel(waiting())}))
    states = {
        "M": parallel(machine({"D": distributed(machine({"I": deep}))}), machine({"T": task()}))
    }
    begun = Driver(machine(states), [[1] * 40] * 40)
    begun.advance()
    assert len(begun.run.scopes) > 3_000
    began = time.perf_counter()
    begun.fail(next(iter(begun.open.values())), "E")
    assert time.perf_counter() - began < 2
    assert begun.status == "FAILED"


# -- distributed Map --------------------------------------------------------------------------


def test_events_of_a_distributed_map() -> None:
    done = drive(machine({"M": distributed(machine({"T": task()}))}), [1, 2], failing())
    assert done.output == [10, 20]
    assert done.types == [
        "ExecutionStarted",
        "MapStateEntered",
        "MapStateStarted",
        "MapRunStarted",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]
    arn = done.events[3]["mapRunStartedEventDetails"]["mapRunArn"]
    assert arn.startswith("arn:aws:states:local:000000000000:mapRun:m/M:")


@pytest.mark.parametrize(
    ("fields", "bad", "output"),
    [
        ({"ToleratedFailureCount": 2}, [2, 4], [10, 30]),
        ({"ToleratedFailureCountPath": "$.n"}, [2], [10, 30, 40]),
        ({"ToleratedFailurePercentage": 50}, [1, 3], [20, 40]),
        ({"ToleratedFailurePercentagePath": "$.p"}, [1], [20, 30, 40]),
        ({"ToleratedFailurePercentage": 100}, [1, 2, 3, 4], []),
        ({"ToleratedFailureCount": 1}, [2, 4], None),
        ({"ToleratedFailurePercentage": 49}, [2, 4], None),
        # Of two thresholds the lower one decides.
        ({"ToleratedFailureCount": 3, "ToleratedFailurePercentage": 25}, [2, 4], None),
        ({"ToleratedFailureCount": 0, "ToleratedFailurePercentage": 100}, [2], None),
        ({}, [4], None),
    ],
)
def test_tolerated_failures(fields: dict[str, Any], bad: list[int], output: Any) -> None:
    state = distributed(machine({"T": task()}), ItemsPath="$.l", **fields)
    input = {"l": [1, 2, 3, 4], "n": 1, "p": "25"}
    done = drive(machine({"M": state}), input, failing(*bad))
    if output is None:
        assert done.error == "States.ExceedToleratedFailureThreshold"
        assert done.types[-3:] == ["MapRunFailed", "MapStateFailed", "ExecutionFailed"]
        about = done.events[-3]["mapRunFailedEventDetails"]
        assert about == {"error": done.error, "cause": done.cause}
    else:
        assert done.output == output
        assert "MapRunSucceeded" in done.types


@pytest.mark.parametrize(
    "fields",
    [
        {"ToleratedFailureCountPath": "$.minus"},
        {"ToleratedFailurePercentagePath": "$.minus"},
        {"ToleratedFailurePercentagePath": "$.much"},
        {"ToleratedFailureCountPath": "$.no"},
        {"ToleratedFailureCountPath": "$.text"},
    ],
)
def test_a_bad_tolerance_fails(fields: dict[str, Any]) -> None:
    state = distributed(machine({"A": passing()}), ItemsPath="$.l", **fields)
    done = drive(machine({"M": state}), {"l": [1], "minus": -1, "much": 101, "text": "x"})
    assert (done.error, "ToleratedFailure" in (done.cause or "")) == (RUNTIME, True)


def test_a_runtime_error_in_a_child_is_the_childs_own() -> None:
    chart = machine({"A": passing(InputPath="$.x")})
    state = distributed(chart, ToleratedFailureCount=1)
    assert result(state, [{"x": 1}, {}]) == [1]
    done = drive(machine({"M": state}), [{}, {}])
    assert done.error == "States.ExceedToleratedFailureThreshold"


def test_an_endless_loop_in_a_child_comes_to_an_end() -> None:
    loop = {"StartAt": "A", "States": {"A": passing(Next="B"), "B": passing(Next="A")}}
    begun = Driver(machine({"M": distributed(loop, ToleratedFailureCount=1)}), [1])
    begun.run.advance(100)
    assert begun.run.ready  # it lets go of the worker meanwhile
    assert begun.go().output == []


# -- redrive ----------------------------------------------------------------------------------


def once_bad(bad: list[Any], ask: list[Any]) -> Any:
    def function(payload: Any) -> Any:
        ask.append(payload)
        if payload in bad:
            raise TaskError("Broken")
        return payload * 10

    return {"f": function}


def test_redrive_of_a_task() -> None:
    bad, asked = [1], []
    states = {"A": passing(Next="T"), "T": task(Next="B"), "B": passing()}
    done = drive(machine(states), 1, once_bad(bad, asked))
    bad.clear()
    done.redrive()
    assert done.go().output == 10
    assert done.types.count("TaskStateEntered") == 1
    redriven = next(event for event in done.events if event["type"] == "ExecutionRedriven")
    assert redriven["executionRedrivenEventDetails"] == {"redriveCount": 1}


def test_redrive_counts_in_the_context_and_restarts_the_time_limit() -> None:
    begun = Driver(
        machine(
            {
                "W": {"Type": "Wait", "Seconds": 50, "Next": "P"},
                "P": passing(Parameters={"n.$": "$$.Execution.RedriveCount"}),
            },
            TimeoutSeconds=60,
        )
    )
    begun.advance()
    begun.now += 30_000
    begun.stop()
    begun.redrive()
    begun.stop()
    begun.redrive()
    assert begun.go().output == {"n": 2}
    assert begun.seconds == 80


def test_redrive_gives_all_attempts_again() -> None:
    asked: list[Any] = []
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
    done = drive(machine({"T": task(Retry=retry)}), 1, once_bad([1], asked))
    done.redrive()
    done.go()
    assert (done.status, len(asked)) == ("FAILED", 4)


def test_redrive_runs_only_what_had_not_succeeded() -> None:
    bad, asked = [2], []
    fast, slow = machine({"A": task(InputPath="$[0]")}), waiting("W", 5)
    bad_one = machine(
        {"W2": {"Type": "Wait", "Seconds": 1, "Next": "B"}, "B": task(InputPath="$[1]")}
    )
    done = drive(machine({"P": parallel(fast, bad_one, slow)}), [1, 2], once_bad(bad, asked))
    assert done.status == "FAILED"
    bad.clear()
    done.redrive()
    assert done.go().output == [10, 20, [1, 2]]
    assert asked == [1, 2, 2]
    assert done.types.count("ParallelStateStarted") == 1


def test_redrive_of_a_map() -> None:
    bad, asked = [2], []
    state = mapping(machine({"T": task()}), MaxConcurrency=2)
    done = drive(machine({"M": state}), [1, 2, 3, 4], once_bad(bad, asked))
    assert (done.status, asked) == ("FAILED", [1, 2])
    bad.clear()
    done.redrive()
    assert done.go().output == [10, 20, 30, 40]
    assert sorted(asked) == [1, 2, 2, 3, 4]


def test_redrive_of_a_map_whose_item_selector_fails() -> None:
    state = mapping(
        machine({"A": passing()}), ItemSelector={"x.$": "States.StringToJson($$.Map.Item.Value)"}
    )
    done = drive(machine({"M": state}), ["{"])
    done.redrive()
    assert (done.status, done.error) == ("FAILED", "States.IntrinsicFailure")


def test_redrive_of_a_distributed_map_runs_tolerated_failures_too() -> None:
    bad, asked = [1, 2], []
    state = distributed(machine({"T": task()}), ToleratedFailureCount=1, MaxConcurrency=1)
    done = drive(machine({"M": state}), [1, 2, 3], once_bad(bad, asked))
    assert (done.status, asked) == ("FAILED", [1, 2])
    bad.clear()
    done.redrive()
    assert done.go().output == [10, 20, 30]
    assert sorted(asked) == [1, 1, 2, 2, 3]


def test_redrive_enters_what_was_never_entered() -> None:
    first = machine({"A": passing(Next="A2"), "A2": passing(Result="a2")})
    bad = machine({"F": {"Type": "Fail", "Error": "E"}})
    begun = Driver(machine({"P": parallel(first, bad)}))
    while "PassStateExited" not in begun.types:
        begun.run.advance(1)
    begun.run.ready.rotate(-1)  # A is left and A2 is not entered when the other branch fails
    begun.advance()
    assert begun.types[-3:] == ["FailStateEntered", "ParallelStateFailed", "ExecutionFailed"]
    begun.redrive()
    names = [
        event["stateEnteredEventDetails"]["name"]
        for event in begun.events
        if event["type"] == "PassStateEntered"
    ]
    # The branch that fails again does so before or after; A2 is entered, A is not run again.
    assert names in (["A"], ["A", "A2"])
    states = [scope.state for scope in begun.run.scopes.values() if scope.chart == 1]
    assert states == ["A2"] or "A2" in names


def test_redrive_after_a_stop_in_a_nested_map() -> None:
    inner = mapping(machine({"T": task()}), MaxConcurrency=1)
    begun = Driver(machine({"M": mapping(machine({"I": inner}))}), [[1, 2], [3, 4]])
    begun.advance()
    first = next(iter(begun.open.values()))
    begun.answer(first, first.payload.value * 10)
    begun.stop()
    assert not begun.open
    begun.functions = failing()
    begun.redrive()
    assert begun.go().output == [[10, 20], [30, 40]]
