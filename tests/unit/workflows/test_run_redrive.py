"""Redrive: an execution goes on from what had not succeeded."""

from __future__ import annotations

from typing import Any

from tests.unit.workflows.run_driver import (
    Driver,
    TaskError,
    distributed,
    drive,
    failing,
    machine,
    mapping,
    parallel,
    passing,
    task,
    waiting,
)


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
    begun = Driver(machine({"P": parallel(first, machine({"T": task()}))}), 1, failing())
    begun.run.advance(1)
    while not begun.run.orders.tasks:
        # A is left and A2 is not entered when the other branch's turn comes.
        begun.run.advance(1)
        begun.run.ready.rotate(-1)
    assert begun.types.count("PassStateEntered") == 1
    (order,) = begun.run.orders.tasks.values()
    begun.fail(order, "E")
    assert begun.error == "E"
    begun.redrive()
    assert begun.go().output == ["a2", 10]
    names = [
        event["stateEnteredEventDetails"]["name"]
        for event in begun.events
        if event["type"] == "PassStateEntered"
    ]
    assert names == ["A", "A2"]


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
