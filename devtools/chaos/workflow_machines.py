"""The state machines of the workflow runs (流程), what they are given, and how each must end.

``outcome_of`` computes the end from the input alone; it knows nothing of the engine.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

WORK, ASK, CHILD, SLOW = "work", "ask", "child", "slow"
SHAPES = ("steps", "approval", "fan", "caught", "failing")
LONG = "long"
TWO_DAYS_S = 172_800
# What runs at the side of a failing branch must not end by itself, whatever the clock does.
_MONTH_S = 2_592_000
_SLOW_CALL_MS = 700
MANNERS = ("plain", "twice", "threads", "early", "late")

_INVOKE = "arn:aws:states:::lambda:invoke"
_SYNC = "arn:aws:states:::states:startExecution.sync:2"
_FLAKY = {"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1.0}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution must end: the status, then the output or the error's name."""

    status: str
    output: Any = None
    error: str | None = None


def worked(value: int) -> int:
    """What the function ``work`` makes of a value."""
    return value * 3 + 1


def agreed(value: int) -> int:
    """What the person answers to a value."""
    return value + 7


def draw_input(dice: random.Random, shape: str) -> dict[str, Any]:
    """An input; how often calls fail, how long they take and what the person does are in it."""
    return {
        "value": dice.randrange(1000),
        "fails": 2 if shape == "failing" else dice.choice((0, 0, 1, 2)),
        "takes_ms": _SLOW_CALL_MS if dice.random() < 0.05 else dice.randrange(5, 60),
        "wait": dice.randint(1, 3),
        "round": 0,
        "rounds": dice.randint(1, 3),
        "items": [dice.randrange(100) for _ in range(dice.randint(2, 4))],
        "manner": dice.choice(MANNERS),
        "refusals": dice.choice((0, 0, 1)),
        "rejects": shape == "approval" and dice.random() < 0.2,
    }


def outcome_of(shape: str, given: dict[str, Any]) -> Outcome:
    """How an execution of this shape must end."""
    value = given["value"]
    done = worked(value)
    if shape == "failing":
        return Outcome("FAILED", error="Flaky")
    if shape == SLOW:
        return Outcome("ABORTED")
    if shape == "steps":
        last = value
        for _ in range(given["rounds"]):
            last = worked(last)
        return Outcome("SUCCEEDED", {"fetched": done, "last": last, "rounds": given["rounds"]})
    if shape == "approval":
        error = "Rejected" if given["rejects"] else "none"
        booked = value if given["rejects"] else agreed(value)
        return Outcome("SUCCEEDED", {"error": error, "booked": worked(booked)})
    if shape == "fan":
        items = [worked(item) for item in given["items"]]
        parts = [done, done, items, agreed(value)]
        return Outcome("SUCCEEDED", {"parts": parts, "child": worked(done)})
    if shape == "caught":
        return Outcome("SUCCEEDED", {"error": "Flaky", "mended": done})
    return Outcome("SUCCEEDED", {"value": worked(done)})  # long, child


def children_of(shape: str, name: str, given: dict[str, Any]) -> dict[str, Outcome]:
    """The child executions that one execution must have had, by name."""
    if shape == "fan":
        return {f"{name}-child": outcome_of(CHILD, given)}
    if shape == "caught":
        return {f"{name}-slow": outcome_of(SLOW, given)}
    return {}


def definitions() -> dict[str, dict[str, Any]]:
    """The machines by name."""
    return {
        "steps": _steps(),
        "approval": _approval(),
        "fan": _fan(),
        "caught": _caught(),
        "failing": _machine(Broken=_work("Broken", most=1, always=True, End=True)),
        LONG: _two_steps(TWO_DAYS_S),
        CHILD: _two_steps(1),
        SLOW: _machine(Sleep={"Type": "Wait", "Seconds": _MONTH_S, "End": True}),
    }


def _machine(**states: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def _payload(state: str, value: str, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "execution.$": "$$.Execution.Name",
        "state": state,
        "attempt.$": "$$.State.RetryCount",
        "value.$": value,
        "fails": 0,
        "takes_ms": 20,
        **more,
    }


def _work(
    state: str,
    *,
    value: str = "$.value",
    most: int = 3,
    always: bool = False,
    payload: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A task that calls ``work``; it fails as often as it is told, then gives a value."""
    told = {"always": always, **(payload or {})}
    return {
        "Type": "Task",
        "Resource": _INVOKE,
        "Parameters": {"FunctionName": WORK, "Payload": _payload(state, value, told)},
        "ResultSelector": {"value.$": "$.Payload.value"},
        "Retry": [{**_FLAKY, "MaxAttempts": most}],
        **fields,
    }


_AS_TOLD = {"takes_ms.$": "$.takes_ms"}
_FAILING = {**_AS_TOLD, "fails.$": "$.fails"}


def _ask(state: str, **fields: Any) -> dict[str, Any]:
    """A task that a person answers; a missed heartbeat or a refusal makes it ask again."""
    told = {
        "token.$": "$$.Task.Token",
        "manner.$": "$.manner",
        "refusals.$": "$.refusals",
        "rejects.$": "$.rejects",
    }
    once = {"IntervalSeconds": 1, "BackoffRate": 1.0}
    return {
        "Type": "Task",
        "Resource": _INVOKE + ".waitForTaskToken",
        "HeartbeatSeconds": 15,
        "Parameters": {"FunctionName": ASK, "Payload": _payload(state, "$.value", told)},
        "Retry": [
            {"ErrorEquals": ["States.Timeout"], "MaxAttempts": 99, **once},
            {"ErrorEquals": ["Refused"], "MaxAttempts": 3, **once},
        ],
        **fields,
    }


def _steps() -> dict[str, Any]:
    looped = {"round.$": "$.round", **_AS_TOLD}
    return _machine(
        Fetch=_work("Fetch", payload=_FAILING, ResultPath="$.fetched", Next="Pause"),
        Pause={"Type": "Wait", "SecondsPath": "$.wait", "Next": "Step"},
        Step=_work("Step", payload=looped, ResultPath="$.last", Next="Count"),
        Count={
            "Type": "Pass",
            "Parameters": {
                "value.$": "$.last.value",
                "round.$": "States.MathAdd($.round, 1)",
                "rounds.$": "$.rounds",
                "takes_ms.$": "$.takes_ms",
                "fetched.$": "$.fetched",
            },
            "Next": "Again",
        },
        Again={
            "Type": "Choice",
            "Choices": [{"Variable": "$.round", "NumericLessThanPath": "$.rounds", "Next": "Step"}],
            "Default": "Done",
        },
        Done={
            "Type": "Pass",
            "Parameters": {
                "fetched.$": "$.fetched.value",
                "last.$": "$.value",
                "rounds.$": "$.rounds",
            },
            "End": True,
        },
    )


def _approval() -> dict[str, Any]:
    done = {"booked.$": "$.booked.value"}
    return _machine(
        Ask=_ask(
            "Ask",
            Catch=[{"ErrorEquals": ["Rejected"], "ResultPath": "$.error", "Next": "Note"}],
            ResultPath="$.answer",
            Next="Book",
        ),
        Book=_work("Book", value="$.answer.agreed", ResultPath="$.booked", Next="Booked"),
        Booked={"Type": "Pass", "Parameters": {"error": "none", **done}, "End": True},
        Note=_work("Note", payload=_FAILING, ResultPath="$.booked", Next="Noted"),
        Noted={"Type": "Pass", "Parameters": {"error.$": "$.error.Error", **done}, "End": True},
    )


def _fan() -> dict[str, Any]:
    only: dict[str, Any] = {"OutputPath": "$.value", "End": True}
    item = {"item.$": "$$.Map.Item.Index"}
    each = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 3,
        "ItemProcessor": _machine(Item=_work("Item", value="$", payload=item, **only)),
        "End": True,
    }
    rest = {"Type": "Wait", "Seconds": 1, "Next": "Right"}
    branches = [
        _machine(Left=_work("Left", payload=_FAILING, **only)),
        _machine(Rest=rest, Right=_work("Right", **only)),
        _machine(Each=each),
        _machine(Sign=_ask("Sign", OutputPath="$.agreed", End=True)),
    ]
    return _machine(
        All={"Type": "Parallel", "Branches": branches, "ResultPath": "$.parts", "Next": "Nest"},
        Nest={**_nest(CHILD), "ResultPath": "$.nested", "Next": "Done"},
        Done={
            "Type": "Pass",
            "Parameters": {"parts.$": "$.parts", "child.$": "$.nested.Output.value"},
            "End": True,
        },
    )


def _nest(machine: str) -> dict[str, Any]:
    name = f"States.Format('{{}}-{machine}', $$.Execution.Name)"
    return {
        "Type": "Task",
        "Resource": _SYNC,
        "Parameters": {"StateMachineArn": machine, "Name.$": name, "Input": {"value.$": "$.value"}},
    }


def _caught() -> dict[str, Any]:
    branches = [
        _machine(Broken=_work("Broken", most=1, always=True, payload=_AS_TOLD, End=True)),
        _machine(Nest={**_nest(SLOW), "End": True}),
        _machine(Sleep={"Type": "Wait", "Seconds": _MONTH_S, "End": True}),
    ]
    return _machine(
        Share={
            "Type": "Parallel",
            "Branches": branches,
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Mend"}],
            "End": True,
        },
        Mend=_work("Mend", payload=_FAILING, ResultPath="$.mended", Next="Done"),
        Done={
            "Type": "Pass",
            "Parameters": {"error.$": "$.error.Error", "mended.$": "$.mended.value"},
            "End": True,
        },
    )


def _two_steps(seconds: int) -> dict[str, Any]:
    return _machine(
        First=_work("First", Next="Between"),
        Between={"Type": "Wait", "Seconds": seconds, "Next": "Second"},
        Second=_work("Second", End=True),
    )
