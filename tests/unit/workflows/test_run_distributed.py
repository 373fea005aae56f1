"""Distributed Maps without a reader: hidden children, tolerated failures."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.workflows.run_driver import (
    Driver,
    distributed,
    drive,
    failing,
    machine,
    passing,
    result,
    task,
)

RUNTIME = "States.Runtime"


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
