"""A run that is stored and taken up after every batch does what an unbroken one does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workflows.run_driver import (
    PENDING,
    Driver,
    Submitted,
    TaskError,
    distributed,
    drive,
    machine,
    mapping,
    parallel,
    passing,
    task,
    waiting,
)

CATCH = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "End"}]
RETRY = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, "JitterStrategy": "FULL"}]
ITEM = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "x.$": "$x"}


def with_end(state: dict[str, Any]) -> dict[str, Any]:
    """A variable is set, then the state, then the end."""
    states = {
        "Set": passing(Assign={"x": [1, {"y": "订单"}]}, Next="S"),
        "S": {**state, "Next": "End"},
        "End": passing(Parameters={"x.$": "$x", "in.$": "$"}),
    }
    return machine(states)


TOKEN = {
    "Type": "Task",
    "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
    "Parameters": {"QueueUrl": "q", "MessageBody.$": "$$.Task.Token"},
    "HeartbeatSeconds": 30,
}
MACHINES = {
    "pass": with_end(passing(Result={"r": 1}, ResultPath="$.p")),
    "wait": with_end({"Type": "Wait", "Seconds": 5}),
    "task": with_end(task(TimeoutSeconds=60, ResultPath="$.t")),
    "retried": with_end(task("twice", Retry=RETRY)),
    "caught": with_end(task("bad", Retry=RETRY, Catch=CATCH)),
    "late": with_end(task("never", TimeoutSeconds=9, HeartbeatSeconds=4, Catch=CATCH)),
    "token": with_end({**TOKEN, "Catch": CATCH}),
    "failing": with_end(task("bad")),
    "parallel": with_end(parallel(waiting(seconds=3), machine({"T": task()}), waiting("V", 1))),
    "one bad": with_end(parallel(waiting(seconds=3), machine({"T": task("bad")}), Catch=CATCH)),
    "map": with_end(mapping(machine({"T": task()}), ItemsPath="$.l", MaxConcurrency=2)),
    "items": with_end(
        mapping(machine({"P": passing()}), ItemsPath="$.l", ItemSelector=ITEM, ResultPath="$.m")
    ),
    "bad item": with_end(mapping(machine({"T": task("odd")}), ItemsPath="$.l", Catch=CATCH)),
    "nested": with_end(
        mapping(
            machine(
                {
                    "A": passing(Assign={"z.$": "$$.Map.Item.Index"}, Next="Q"),
                    "Q": parallel(
                        machine(
                            {"M": mapping(machine({"T": task()}), ItemsPath="$$.Map.Item.Value")}
                        ),
                        waiting(seconds=2),
                    ),
                }
            ),
            ItemsPath="$.ll",
        )
    ),
    "distributed": with_end(
        distributed(machine({"T": task("odd")}), ItemsPath="$.l", ToleratedFailureCount=3)
    ),
    "timed": {**with_end({"Type": "Wait", "Seconds": 50}), "TimeoutSeconds": 20},
}
INPUT = {"l": [1, 2, 3, 4, 5], "ll": [[1, 2], [3]]}


def functions() -> dict[str, Any]:
    calls = [0]

    def bad(_: Any) -> Any:
        raise TaskError

    def twice(payload: Any) -> Any:
        calls[0] += 1
        return bad(payload) if calls[0] < 3 else payload

    def odd(payload: Any) -> Any:
        return bad(payload) if payload % 2 else payload

    return {
        "f": lambda payload: {"f": payload},
        "bad": bad,
        "twice": twice,
        "odd": odd,
        "never": lambda _: PENDING,
        "sqs": lambda _: Submitted({"MessageId": "1"}),
    }


def told(driver: Driver) -> tuple[Any, ...]:
    """What an execution came to."""
    output = None if driver.run.output is None else driver.output
    return (driver.status, output, driver.error, driver.cause, driver.now)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("events", [1, 3, 2_000])
def test_a_stored_run_does_the_same(name: str, events: int) -> None:
    whole = drive(MACHINES[name], INPUT, functions())
    parts = drive(MACHINES[name], INPUT, functions(), restores=True, events_at_once=events)
    assert told(parts) == told(whole)
    assert sorted(parts.types) == sorted(whole.types)
    assert [event["id"] for event in parts.events] == list(range(1, len(parts.events) + 1))
    if events == 2_000 or name not in ("parallel", "one bad", "nested", "items"):
        # Scopes that run at the same time may take turns otherwise in small batches.
        assert parts.chain == whole.chain


@pytest.mark.parametrize("name", MACHINES)
def test_a_batch_done_twice_is_the_same(name: str) -> None:
    """A worker that dies before it stores loses nothing: the next one does the same."""
    begun = Driver(MACHINES[name], INPUT, functions(), restores=True)
    begun.advance()
    position = begun.run.snapshot()
    begun.restore()
    assert begun.run.snapshot() == position
    assert json.loads(position)["ready"] == []


_LEAVES = st.one_of(
    st.just(("pass",)),
    st.tuples(st.just("wait"), st.integers(0, 4)),
    st.tuples(st.just("task"), st.sampled_from(["f", "bad", "never"])),
)
_SHAPES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("parallel"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("map"), inner, st.integers(0, 2)),
        st.tuples(st.just("distributed"), inner, st.integers(0, 2)),
        st.tuples(st.just("then"), inner, inner),
    ),
    max_leaves=8,
)


def chart_of(shape: Any) -> dict[str, Any]:
    """A chart from a shape."""
    if shape[0] == "then":
        first, second = chart_of(shape[1]), chart_of(shape[2])
        return machine({"P1": parallel(first, Next="P2"), "P2": parallel(second)})
    return machine({"S": state_of(shape)})


def state_of(shape: Any) -> dict[str, Any]:
    kind, *rest = shape
    if kind == "wait":
        return {"Type": "Wait", "Seconds": rest[0]}
    if kind == "task":
        return task(rest[0], TimeoutSeconds=7, Retry=[{**RETRY[0], "MaxAttempts": 1}])
    if kind == "parallel":
        return parallel(*(chart_of(one) for one in rest[0]))
    if kind == "map":
        return mapping(chart_of(rest[0]), ItemsPath="$$.Execution.Input", MaxConcurrency=rest[1])
    if kind == "distributed":
        fields = {"ItemsPath": "$$.Execution.Input", "ToleratedFailureCount": rest[1]}
        return distributed(chart_of(rest[0]), **fields)
    return passing()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shape=_SHAPES)
def test_any_machine_that_is_stored_ends_as_the_unbroken_one(shape: Any) -> None:
    definition = chart_of(shape)
    whole = drive(definition, [1, 2, 3], functions())
    same = drive(definition, [1, 2, 3], functions(), restores=True)
    assert (told(same), same.chain) == (told(whole), whole.chain)
    parts = drive(definition, [1, 2, 3], functions(), restores=True, events_at_once=1)
    # Small batches let concurrent scopes take turns: what they come to is the same.
    assert (parts.status, parts.error) == (whole.status, whole.error)
    if whole.status == "SUCCEEDED":
        assert parts.output == whole.output
        assert sorted(parts.types) == sorted(whole.types)
    for event in parts.events[1:]:
        assert event["previousEventId"] < event["id"]
