"""The simple states: input and output processing, variables, Choice, Wait, Succeed and Fail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.workflows.run_driver import (
    START,
    Driver,
    drive,
    machine,
    mapping,
    passing,
    result,
    task,
)

RUNTIME = "States.Runtime"
INPUT = {"a": {"b": 1}, "l": [1, 2], "s": "x"}


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({}, INPUT),
        ({"InputPath": "$.a"}, {"b": 1}),
        ({"InputPath": None}, {}),
        ({"OutputPath": "$.l[1]"}, 2),
        ({"OutputPath": None}, {}),
        ({"InputPath": "$.a", "OutputPath": "$.b"}, 1),
        ({"Result": [1]}, [1]),
        ({"Result": None}, None),
        ({"Result": 7, "ResultPath": "$.r"}, {**INPUT, "r": 7}),
        ({"Result": 7, "ResultPath": "$.a.c.d"}, {**INPUT, "a": {"b": 1, "c": {"d": 7}}}),
        ({"Result": 7, "ResultPath": "$.l[0]"}, {**INPUT, "l": [7, 2]}),
        ({"Result": 7, "ResultPath": None}, INPUT),
        ({"Result": 7, "ResultPath": "$"}, 7),
        ({"Result": 7, "ResultPath": "$.r", "OutputPath": "$.r"}, 7),
        ({"InputPath": "$.a", "ResultPath": "$.copy"}, {**INPUT, "copy": {"b": 1}}),
        ({"Parameters": {"x.$": "$.s", "y": 1}}, {"x": "x", "y": 1}),
        ({"InputPath": "$.a", "Parameters": {"x.$": "$.b"}}, {"x": 1}),
        ({"InputPath": None, "Parameters": {"x.$": "$"}}, {"x": {}}),
        ({"InputPath": "$$.State.Name"}, "S"),
        ({"OutputPath": "$$.Execution.Name"}, "e"),
    ],
)
def test_input_and_output_processing(fields: dict[str, Any], output: Any) -> None:
    assert result(passing(**fields), INPUT) == output


def test_processing_changes_nothing_in_the_input() -> None:
    done = drive(machine({"A": passing(Result=1, ResultPath="$.a.b"), "B": passing()}), INPUT)
    assert done.events[1]["stateEnteredEventDetails"]["input"] == (
        '{"a":{"b":1},"l":[1,2],"s":"x"}'
    )
    assert INPUT["a"] == {"b": 1}


@pytest.mark.parametrize(
    ("fields", "input", "error"),
    [
        ({"InputPath": "$.no"}, {}, RUNTIME),
        ({"OutputPath": "$.no"}, {}, RUNTIME),
        ({"OutputPath": "$no"}, {}, RUNTIME),
        ({"Parameters": {"x.$": "$.no"}}, {}, RUNTIME),
        ({"Parameters": {"x.$": "States.StringToJson('{')"}}, {}, "States.IntrinsicFailure"),
        ({"ResultPath": "$.x.y"}, "text", "States.ResultPathMatchFailure"),
        ({"ResultPath": "$.x.y"}, {"x": 1}, "States.ResultPathMatchFailure"),
        ({"ResultPath": "$.x[3]"}, {"x": []}, "States.ResultPathMatchFailure"),
    ],
)
def test_processing_that_fails_says_where(fields: dict[str, Any], input: Any, error: str) -> None:
    done = drive(machine({"S": passing(**fields)}), input)
    assert (done.status, done.error) == ("FAILED", error)
    assert "'S' (entered at the event id #2)" in (done.cause or "")
    assert done.chain == ["ExecutionStarted(0)", "PassStateEntered(0)", "ExecutionFailed(2)"]


def test_context_object() -> None:
    context = result(passing(Parameters={"c.$": "$$"}), {"in": 1})["c"]
    assert context == {
        "Execution": {
            "Id": "arn:aws:states:local:000000000000:execution:m:e",
            "Input": {"in": 1},
            "StartTime": "2025-10-09T08:53:20.000Z",
            "Name": "e",
            "RoleArn": "arn:aws:iam::000000000000:role/r",
            "RedriveCount": 0,
        },
        "StateMachine": {"Id": "arn:aws:states:local:000000000000:stateMachine:m", "Name": "m"},
        "State": {"Name": "S", "EnteredTime": "2025-10-09T08:53:20.000Z"},
    }


def test_every_state_type_sees_the_context() -> None:
    name = {"Variable": "$$.State.Name", "StringEquals": "Choose", "Next": "Work"}
    inner = machine({"I": passing(Parameters={"n.$": "$$.State.Name", "m.$": "$$.Map.Item"})})
    states = {
        "Choose": {"Type": "Choice", "Choices": [name]},
        "Work": task(Parameters={"n.$": "$$.State.Name", "r.$": "$$.State.RetryCount"}, Next="Par"),
        "Par": {
            "Type": "Parallel",
            "Branches": [machine({"B": passing(Parameters={"n.$": "$$.State.Name"})})],
            "ResultSelector": {"one.$": "$[0]", "n.$": "$$.State.Name"},
            "ResultPath": "$.p",
            "Next": "Map",
        },
        "Map": mapping(inner, ItemsPath="$.list", ResultPath="$.m", Next="Wait"),
        "Wait": {
            "Type": "Wait",
            "TimestampPath": "$$.State.EnteredTime",
            "OutputPath": "$",
            "Next": "Stop",
        },
        "Stop": {"Type": "Fail", "ErrorPath": "$$.State.Name", "CausePath": "$$.Execution.Name"},
    }
    done = drive(machine(states), {}, {"f": lambda given: {**given, "list": ["x"]}})
    assert (done.error, done.cause) == ("Stop", "e")
    left = done.events[-2]["stateEnteredEventDetails"]["input"]
    assert left == (
        '{"n":"Work","r":0,"list":["x"],"p":{"one":{"n":"B"},"n":"Par"},'
        '"m":[{"n":"I","m":{"Index":0,"Value":"x"}}]}'
    )


# -- variables --------------------------------------------------------------------------------


def test_assign_sees_old_values_and_the_result() -> None:
    states = {
        "A": passing(Result={"n": 1}, Assign={"x.$": "$.n", "y": 2}, ResultPath=None),
        "B": passing(Assign={"x.$": "$y", "y.$": "$x", "in.$": "$.q"}),
        "C": passing(Parameters={"x.$": "$x", "y.$": "$y", "in.$": "$in"}),
    }
    done = drive(machine(states_next(states)), {"q": 5})
    assert done.output == {"x": 2, "y": 1, "in": 5}
    exited = done.events[2]["stateExitedEventDetails"]
    assert exited["assignedVariables"] == {"x": "1", "y": "2"}
    assert exited["assignedVariablesDetails"] == {"truncated": False}


def states_next(states: dict[str, Any]) -> dict[str, Any]:
    """States one after the other."""
    names = [*states, None]
    return {
        name: {**fields, "Next": after} if after else fields
        for (name, fields), after in zip(states.items(), names[1:], strict=True)
    }


def test_output_is_not_what_assign_sees_before_it() -> None:
    states = {
        "A": task(ResultSelector={"r.$": "$.v"}, Assign={"seen.$": "$"}, OutputPath="$.none"),
        "B": passing(Parameters={"v.$": "$seen"}),
    }
    states["A"]["ResultPath"] = "$.none"
    done = drive(machine(states_next(states)), {}, {"f": lambda _: {"v": 3}})
    assert done.output == {"v": {"r": 3}}


def test_assign_of_what_is_not_set_fails() -> None:
    done = drive(machine({"A": passing(Assign={"x": 1, "y.$": "$x"})}))
    assert (done.status, done.error) == ("FAILED", RUNTIME)


def test_variables_of_branches_and_iterations_do_not_leak() -> None:
    branch = machine(
        states_next(
            {
                "In": passing(Assign={"inner": 9}),
                "See": passing(Parameters={"o.$": "$outer", "i.$": "$inner"}),
            }
        )
    )
    states = {
        "Set": passing(Assign={"outer": 1}),
        "Par": {"Type": "Parallel", "Branches": [branch], "ResultPath": "$.p"},
        "Map": mapping(branch_renamed(branch), ItemsPath="$.p", ResultPath="$.m"),
        "Look": passing(Parameters={"i.$": "$inner"}),
    }
    done = drive(machine(states_next(states)))
    assert (done.error, done.events[-2]["type"]) == (RUNTIME, "PassStateEntered")
    seen = '[{"o":1,"i":9}]'
    assert done.events[-2]["stateEnteredEventDetails"]["input"] == f'{{"p":{seen},"m":{seen}}}'


def branch_renamed(chart: dict[str, Any]) -> dict[str, Any]:
    """The same chart under other state names."""
    states = {f"{name}2": dict(fields) for name, fields in chart["States"].items()}
    for fields in states.values():
        if "Next" in fields:
            fields["Next"] += "2"
    return {"StartAt": chart["StartAt"] + "2", "States": states}


@pytest.mark.parametrize(("n", "assigned"), [(1, "rule"), (2, None), (3, "state")])
def test_a_choice_assigns_by_its_rule_or_by_itself(n: int, assigned: str | None) -> None:
    choices = [
        {"Variable": "$.n", "NumericEquals": 1, "Assign": {"by": "rule"}, "Next": "E"},
        {"Variable": "$.n", "NumericEquals": 2, "Next": "E"},
    ]
    choice = {"Type": "Choice", "Choices": choices, "Default": "E", "Assign": {"by": "state"}}
    states = {
        "Set": passing(Assign={"by": None}, Next="C"),
        "C": choice,
        "E": passing(Parameters={"by.$": "$by"}),
    }
    assert drive(machine(states), {"n": n}).output == {"by": assigned}


def test_a_catcher_assigns_from_the_error() -> None:
    catch = [
        {
            "ErrorEquals": ["States.ALL"],
            "Assign": {"why.$": "$.Error"},
            "ResultPath": None,
            "Next": "E",
        }
    ]
    selector = {"x.$": "States.StringToJson('{')"}
    states = {
        "T": task(ResultSelector=selector, Assign={"why": "state"}, Catch=catch, Next="E"),
        "E": passing(Parameters={"why.$": "$why", "in.$": "$"}),
    }
    done = drive(machine(states), {"k": 1}, {"f": lambda _: 1})
    assert done.output == {"why": "States.IntrinsicFailure", "in": {"k": 1}}


# -- Choice -----------------------------------------------------------------------------------


def test_choice_takes_the_first_rule_and_its_paths() -> None:
    choices = [
        {"Variable": "$.n", "NumericGreaterThan": 9, "Next": "Big"},
        {"Variable": "$.n", "NumericGreaterThan": 4, "Next": "Middle"},
        {"Variable": "$.n", "NumericGreaterThan": 3, "Next": "Big"},
    ]
    choice = {"Type": "Choice", "InputPath": "$.in", "OutputPath": "$.n", "Choices": choices}
    states = {"C": choice, "Big": passing(Result="big", End=True), "Middle": passing()}
    done = drive(machine(states), {"in": {"n": 5}})
    assert done.output == 5
    assert done.chain[1:4] == [
        "ChoiceStateEntered(0)",
        "ChoiceStateExited(2)",
        "PassStateEntered(3)",
    ]


def test_choice_without_match() -> None:
    choices = [{"Variable": "$.n", "IsPresent": True, "Next": "C"}]
    done = drive(machine({"C": {"Type": "Choice", "Choices": choices}}))
    assert done.error == "States.NoChoiceMatched"
    assert done.cause == (
        "An error occurred while executing the state 'C' (entered at the event id #2). Failed to "
        "transition out of the state. The state does not point to a next state."
    )
    assert done.types == ["ExecutionStarted", "ChoiceStateEntered", "ExecutionFailed"]


# -- Wait -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"Seconds": 5}, 5),
        ({"Seconds": 0}, 0),
        ({"SecondsPath": "$.n"}, 7),
        ({"SecondsPath": "$.float"}, 3),
        ({"Timestamp": "2025-10-09T08:53:30Z"}, 10),
        ({"Timestamp": "2025-10-09T16:53:30.5+08:00"}, 10.5),
        ({"Timestamp": "2001-01-01T00:00:00Z"}, 0),
        ({"TimestampPath": "$.at"}, 20),
        ({"InputPath": "$.in", "SecondsPath": "$.n"}, 9),
    ],
)
def test_wait(fields: dict[str, Any], seconds: float) -> None:
    input = {"n": 7, "float": 3.0, "at": "2025-10-09T08:53:40Z", "in": {"n": 9}}
    done = drive(machine({"W": {"Type": "Wait", **fields}}), input)
    assert (done.status, done.seconds) == ("SUCCEEDED", seconds)
    assert done.types[1:3] == ["WaitStateEntered", "WaitStateExited"]


@pytest.mark.parametrize(
    ("fields", "value", "cause"),
    [
        ("SecondsPath", -1, "references a negative value: $.v == -1"),
        ("SecondsPath", "soon", "cannot be parsed as a long value: $.v == soon"),
        ("SecondsPath", 1.5, "cannot be parsed as a long value: $.v == 1.5"),
        ("SecondsPath", True, "cannot be parsed as a long value: $.v == true"),
        ("SecondsPath", [1], "cannot be parsed as a long value: $.v == [1]"),
        ("TimestampPath", 5, "ISO-8601 extended offset date-time format string: $.v == 5"),
        ("TimestampPath", "2025-10-09 08:53:40Z", "format string: $.v == 2025-10-09 08:53:40Z"),
        ("TimestampPath", "0001-01-01T00:00:00+10:00", "format string: $.v == 0001-01-01T00"),
    ],
)
def test_a_wait_for_nonsense_fails(fields: str, value: Any, cause: str) -> None:
    done = drive(machine({"W": {"Type": "Wait", fields: "$.v"}}), {"v": value})
    assert done.error == RUNTIME
    assert cause in (done.cause or "")


@pytest.mark.parametrize("name", ["SecondsPath", "TimestampPath"])
def test_a_wait_for_what_is_missing_fails(name: str) -> None:
    done = drive(machine({"W": {"Type": "Wait", name: "$.v"}}))
    assert f"The {name} parameter does not reference an input value: $.v" in (done.cause or "")


def test_a_long_wait_is_bounded() -> None:
    begun = Driver(machine({"W": {"Type": "Wait", "SecondsPath": "$.n"}}), {"n": 10**30})
    begun.advance()
    assert [timer.due for timer in begun.timers.values()] == [START + 99_999_999_000]


def test_a_wait_puts_its_output_through_the_paths() -> None:
    state = {"Type": "Wait", "Seconds": 1, "InputPath": "$.a", "OutputPath": "$.b"}
    assert result({**state, "Assign": {"x.$": "$.b"}}, {"a": {"b": 4}}) == 4


# -- Succeed and Fail -------------------------------------------------------------------------


def test_succeed() -> None:
    state = {"Type": "Succeed", "InputPath": "$.a", "OutputPath": "$.b"}
    done = drive(machine({"S": state}), {"a": {"b": 3}})
    assert done.output == 3
    assert done.chain == [
        "ExecutionStarted(0)",
        "SucceedStateEntered(0)",
        "SucceedStateExited(2)",
        "ExecutionSucceeded(3)",
    ]


@pytest.mark.parametrize(
    ("fields", "error", "cause"),
    [
        ({}, None, None),
        ({"Error": "E"}, "E", None),
        ({"Error": "E", "Cause": "c"}, "E", "c"),
        ({"ErrorPath": "$.e", "CausePath": "States.Format('{}!', $.c)"}, "Bad", "why!"),
        ({"ErrorPath": "$v"}, "from variable", None),
    ],
)
def test_fail(fields: dict[str, Any], error: str | None, cause: str | None) -> None:
    states = {
        "A": passing(Assign={"v": "from variable"}, Next="F"),
        "F": {"Type": "Fail", **fields},
    }
    done = drive(machine(states), {"e": "Bad", "c": "why"})
    assert (done.status, done.error, done.cause) == ("FAILED", error, cause)
    about = {name: text for name, text in (("error", error), ("cause", cause)) if text is not None}
    assert done.events[-1]["executionFailedEventDetails"] == about
    assert done.types[-2:] == ["FailStateEntered", "ExecutionFailed"]


@pytest.mark.parametrize("value", [None, 1, {}, []])
def test_fail_with_what_is_no_text(value: Any) -> None:
    done = drive(machine({"F": {"Type": "Fail", "ErrorPath": "$.e"}}), {"e": value})
    assert done.error == RUNTIME
    assert "must be a string" in (done.cause or "")


def test_fail_with_a_path_to_nothing() -> None:
    done = drive(machine({"F": {"Type": "Fail", "CausePath": "$.no"}}))
    assert done.error == RUNTIME
    assert "Invalid path '$.no'" in (done.cause or "")
