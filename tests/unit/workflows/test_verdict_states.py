"""The verdict on states: fields by type and query language, paths, payloads, Wait and Fail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.workflows.verdict_samples import (
    INTEGER,
    ONE_WAY,
    PATH,
    REFERENCE,
    SCHEMA,
    STRING,
    UNCLOSED,
    UNDOLLARED,
    A,
    dynamic,
    faults,
    foreign,
    jsonata,
    machine,
    mapping,
    passing,
    task,
)


@pytest.mark.parametrize(
    ("state", "location", "message"),
    [
        ({"End": True}, A, "These fields are required: [Type]"),
        (passing(Comment=["x"]), f"{A}/Comment", STRING),
        (passing(End=False), A, ONE_WAY),
        (passing(Next="A"), A, "There should only be one of the following fields: [Next, End]"),
        (passing(TimeoutSeconds=1), A, "Field 'TimeoutSeconds' is not supported"),
        (passing(Retry=[]), A, "Field 'Retry' is not supported"),
        (passing(resultPath="$"), A, "Field 'resultPath' is not supported"),
        (mapping(TimeoutSeconds=1), A, "Field 'TimeoutSeconds' is not supported"),
        ({"Type": "Succeed", "End": True}, A, "Field 'End' is not supported"),
        ({"Type": "Succeed", "ResultPath": "$"}, A, "Field 'ResultPath' is not supported"),
        ({"Type": "Fail", "InputPath": "$"}, A, "Field 'InputPath' is not supported"),
        ({"Type": "Wait", "Seconds": 1, "ResultPath": None, "End": True}, A, None),
        # the other query language's fields
        (passing(Output=1), A, foreign("JSONPath", "Output")),
        (task(Arguments={}), A, foreign("JSONPath", "Arguments")),
        (mapping(Items=[]), A, foreign("JSONPath", "Items")),
        (jsonata(Parameters={}), A, foreign("JSONata", "Parameters")),
        (jsonata(InputPath=None), A, foreign("JSONata", "InputPath")),
        (jsonata(Result=1), A, foreign("JSONata", "Result")),
        (
            task(QueryLanguage="JSONata", TimeoutSecondsPath="$.t"),
            A,
            foreign("JSONata", "TimeoutSecondsPath"),
        ),
        (passing(QueryLanguage=1), f"{A}/QueryLanguage", STRING),
        (
            passing(QueryLanguage="jsonpath"),
            f"{A}/QueryLanguage",
            "Value should be one of the following: [JSONPath, JSONata]",
        ),
        # paths
        (passing(InputPath="Test"), f"{A}/InputPath", PATH),
        (passing(InputPath="States.UUID()"), f"{A}/InputPath", PATH),
        (passing(OutputPath="$.a["), f"{A}/OutputPath", PATH),
        (passing(OutputPath=1), f"{A}/OutputPath", STRING),
        (passing(ResultPath="$.a[*]"), f"{A}/ResultPath", REFERENCE),
        (passing(ResultPath="$$.Execution"), f"{A}/ResultPath", REFERENCE),
        (passing(ResultPath="$variable"), f"{A}/ResultPath", REFERENCE),
        (passing(ResultPath="out"), f"{A}/ResultPath", UNDOLLARED),
        (mapping(ItemsPath="$.a[*].b"), f"{A}/ItemsPath", REFERENCE),
        (mapping(MaxConcurrencyPath="$$.Execution.Input.n"), f"{A}/MaxConcurrencyPath", REFERENCE),
        # payloads
        (passing(Parameters={"a.$": "ipsum"}), f"{A}/Parameters", dynamic("a.$")),
        (passing(Parameters={"a.$": 1}), f"{A}/Parameters", dynamic("a.$")),
        (passing(Parameters={"a": [{"b.$": "x"}]}), f"{A}/Parameters/a[0]", dynamic("b.$")),
        (passing(Parameters={"a.$": "States.Nothing()"}), f"{A}/Parameters", dynamic("a.$")),
        (passing(Parameters={"a.$": "States.UUID(1)"}), f"{A}/Parameters", dynamic("a.$")),
        (passing(Parameters={"a.$": "States.Array('x'"}), f"{A}/Parameters", dynamic("a.$")),
        (task(ResultSelector={"a.$": "b"}), f"{A}/ResultSelector", dynamic("a.$")),
        (mapping(ItemSelector={"a.$": "b"}), f"{A}/ItemSelector", dynamic("a.$")),
        (passing(Assign={"a.$": "Test"}), f"{A}/Assign", dynamic("a.$")),
        (passing(Assign=["a"]), f"{A}/Assign", "Expected value of type [OBJECT]"),
        (jsonata(Output={"a": ["{% $x"]}), f"{A}/Output/a[0]", UNCLOSED),
        (jsonata(Assign={"a": "{% $x %} "}), f"{A}/Assign/a", UNCLOSED),
        (task(QueryLanguage="JSONata", Arguments="{%}"), f"{A}/Arguments", UNCLOSED),
        # waits
        (
            {"Type": "Wait", "End": True},
            A,
            "This object should have only one of the following fields: "
            "[SecondsPath, Seconds, TimestampPath, Timestamp]",
        ),
        (
            {"Type": "Wait", "Seconds": 1, "TimestampPath": "$.a", "End": True},
            A,
            "There should only be one of the following fields: "
            "[SecondsPath, Seconds, TimestampPath, Timestamp]",
        ),
        (
            {"Type": "Wait", "Seconds": 10**16, "End": True},
            f"{A}/Seconds",
            "Maximum value is 99999999",
        ),
        ({"Type": "Wait", "Seconds": -1, "End": True}, f"{A}/Seconds", "Minimum value is 0"),
        ({"Type": "Wait", "Seconds": "1", "End": True}, f"{A}/Seconds", INTEGER),
        ({"Type": "Wait", "SecondsPath": "$..a", "End": True}, f"{A}/SecondsPath", REFERENCE),
        (
            {"Type": "Wait", "Timestamp": "2016-02-30 10:00:00", "End": True},
            f"{A}/Timestamp",
            "String does not match RFC3339 timestamp",
        ),
        (
            {"Type": "Wait", "QueryLanguage": "JSONata", "Seconds": "soon", "End": True},
            f"{A}/Seconds",
            UNCLOSED,
        ),
        # failures
        (
            {"Type": "Fail", "Error": "E", "ErrorPath": "$.e"},
            A,
            "There should only be one of the following fields: [Error, ErrorPath]",
        ),
        (
            {"Type": "Fail", "Cause": "E", "CausePath": "$.e"},
            A,
            "There should only be one of the following fields: [Cause, CausePath]",
        ),
        ({"Type": "Fail", "Error": 1}, f"{A}/Error", STRING),
        ({"Type": "Fail", "ErrorPath": "States.Nothing()"}, f"{A}/ErrorPath", PATH),
        ({"Type": "Fail", "CausePath": "cause"}, f"{A}/CausePath", UNDOLLARED),
    ],
)
def test_states(state: dict[str, Any], location: str, message: str | None) -> None:
    """``message`` None: the field is there but empty, which is refused all the same."""
    expected = message or "Field 'ResultPath' is not supported"
    found = [fault for fault in faults(machine(state)) if fault[0] == SCHEMA]
    assert found == [(SCHEMA, location, expected)]


def test_unknown_type() -> None:
    kinds = "[Pass, Task, Choice, Wait, Succeed, Fail, Parallel, Map]"
    message = f"Value should be one of the following: {kinds}"
    assert (SCHEMA, f"{A}/Type", message) in faults(machine({"Type": "Job", "End": True}))


def test_jsonata_machine_forbids_jsonpath_states() -> None:
    state = passing(QueryLanguage="JSONPath", Parameters={"a.$": "$.b"})
    message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
    assert faults(machine(state, QueryLanguage="JSONata")) == [(SCHEMA, A, message)]


def test_inner_states_speak_the_language_of_the_machine() -> None:
    inner = {"I": passing(Output="{% 1 %}")}
    found = faults(machine(mapping(inner, QueryLanguage="JSONata")))
    location = f"{A}/ItemProcessor/States/I"
    assert found == [(SCHEMA, location, foreign("JSONPath", "Output"))]
    assert faults(machine(mapping(inner), QueryLanguage="JSONata")) == []
