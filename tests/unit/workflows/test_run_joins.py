"""Parallel and inline Map: order, concurrency, the failure of one child."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from tests.unit.workflows.run_driver import (
    Driver,
    distributed,
    drive,
    failing,
    machine,
    mapping,
    parallel,
    passing,
    result,
    task,
    waiting,
)

RUNTIME = "States.Runtime"


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
