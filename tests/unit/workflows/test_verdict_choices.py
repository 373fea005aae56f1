"""The verdict on Choice rules and on the names of variables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.workflows.verdict_samples import (
    REFERENCE,
    SCHEMA,
    STRING,
    UNCLOSED,
    UNDOLLARED,
    A,
    choice,
    faults,
    foreign,
    jsonata,
    machine,
    parallel,
    passing,
    task,
)


def _equals(**fields: Any) -> dict[str, Any]:
    return {"Variable": "$.a", "NumericEquals": 1, "Next": "B", **fields}


SELECTORS = (
    "The object must have only one of the following fields, [And, Or, Not, Variable, Condition]"
)


@pytest.mark.parametrize(
    ("definition", "location", "message"),
    [
        (choice(), f"{A}/Choices", "Value cannot be empty"),
        (machine({"Type": "Choice"}), A, "These fields are required: [Choices]"),
        (choice(_equals(), End=True), A, "Field 'End' is not supported"),
        (choice(_equals(), Next="B"), A, "Field 'Next' is not supported"),
        (choice(_equals(), ResultPath="$.a"), A, "Field 'ResultPath' is not supported"),
        (choice({**_equals(), "Next": 1}, _equals()), f"{A}/Choices[0]/Next", STRING),
        (
            choice({"Variable": "$.a", "IsNull": True}, _equals()),
            f"{A}/Choices[0]",
            "These fields are required: [Next]",
        ),
        (choice({"Next": "B"}), f"{A}/Choices[0]", SELECTORS),
        (choice(_equals(Not={"Variable": "$.a", "IsNull": True})), f"{A}/Choices[0]", SELECTORS),
        (
            choice(_equals(StringEquals="x")),
            f"{A}/Choices[0]",
            "There should only be one of the following fields: [NumericEquals, StringEquals]",
        ),
        (choice(_equals(Equals=1)), f"{A}/Choices[0]", "Field 'Equals' is not supported"),
        (choice(_equals(Variable="a")), f"{A}/Choices[0]/Variable", UNDOLLARED),
        (choice(_equals(Variable="$.a[*]")), f"{A}/Choices[0]/Variable", REFERENCE),
        (
            choice(_equals(NumericEquals="1")),
            f"{A}/Choices[0]/NumericEquals",
            "Expected value of type [NUMBER]",
        ),
        (
            choice({"Variable": "$.a", "StringMatches": 1, "Next": "B"}),
            f"{A}/Choices[0]/StringMatches",
            STRING,
        ),
        (
            choice({"Variable": "$.a", "IsPresent": "true", "Next": "B"}),
            f"{A}/Choices[0]/IsPresent",
            "Expected value of type [BOOLEAN]",
        ),
        (
            choice({"Variable": "$.a", "TimestampEquals": "today", "Next": "B"}),
            f"{A}/Choices[0]/TimestampEquals",
            "String does not match RFC3339 timestamp",
        ),
        (
            choice({"Variable": "$.a", "StringEqualsPath": "b", "Next": "B"}),
            f"{A}/Choices[0]/StringEqualsPath",
            UNDOLLARED,
        ),
        (choice({"And": [], "Next": "B"}), f"{A}/Choices[0]/And", "Value cannot be empty"),
        (
            choice({"Or": [_equals()], "Next": "B"}),
            f"{A}/Choices[0]/Or[0]",
            "Field 'Next' is not supported",
        ),
        (
            choice({"Not": {"Variable": "$.a", "IsNull": 1}, "Next": "B"}),
            f"{A}/Choices[0]/Not/IsNull",
            "Expected value of type [BOOLEAN]",
        ),
        (
            choice({"Not": [], "Next": "B"}),
            f"{A}/Choices[0]/Not",
            "Expected value of type [OBJECT]",
        ),
        (
            choice(_equals(Output=1)),
            f"{A}/Choices[0]",
            foreign("JSONPath", "Output"),
        ),
        (
            choice({"Condition": True, "Next": "B"}),
            f"{A}/Choices[0]",
            foreign("JSONPath", "Condition"),
        ),
        (
            choice({"Next": "B"}, QueryLanguage="JSONata"),
            f"{A}/Choices[0]",
            "These fields are required: [Condition]",
        ),
        (
            choice({"Condition": "$a", "Next": "B"}, QueryLanguage="JSONata"),
            f"{A}/Choices[0]/Condition",
            UNCLOSED,
        ),
        (
            choice({"Condition": 1, "Next": "B"}, QueryLanguage="JSONata"),
            f"{A}/Choices[0]/Condition",
            "Expected value of type [BOOLEAN]",
        ),
        (
            choice({"Or": [], "Next": "B"}, QueryLanguage="JSONata"),
            f"{A}/Choices[0]",
            foreign("JSONata", "Or"),
        ),
    ],
)
def test_choices(definition: dict[str, Any], location: str, message: str) -> None:
    found = [fault for fault in faults(definition) if fault[0] == SCHEMA]
    assert found == [(SCHEMA, location, message)]


def test_comparison_without_operator() -> None:
    [(_code, location, message)] = faults(choice({"Variable": "$.a", "Next": "B"}))
    assert location == f"{A}/Choices[0]"
    assert message.startswith("This object should have only one of the following fields: [String")


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("states", "RESERVED_VARIABLE_NAME", "Cannot assign to reserved variable '$states'."),
        (
            "top-level",
            "INVALID_VARIABLE_NAME",
            "Invalid variable name 'top-level': the variable name contains invalid characters.",
        ),
        (
            "1st",
            "INVALID_VARIABLE_NAME",
            "Invalid variable name '1st': the variable name contains invalid characters.",
        ),
        (
            "_a",
            "INVALID_VARIABLE_NAME",
            "Invalid variable name '_a': the variable name contains invalid characters.",
        ),
        (
            "a" * 81,
            "INVALID_VARIABLE_NAME",
            f"Invalid variable name '{'a' * 81}': the variable name exceeds the 80-character "
            "limit.",
        ),
    ],
)
def test_variable_names(name: str, code: str, message: str) -> None:
    expected = (code, f"{A}/Assign/{name}", message)
    assert faults(machine(passing(Assign={name: 1}))) == [expected]
    assert faults(machine(jsonata(Assign={name: 1}))) == [expected]
    rule = {"Variable": "$.a", "IsNull": True, "Next": "B", "Assign": {name: 1}}
    assert [found[0] for found in faults(choice(rule))] == [code]
    catcher = {"ErrorEquals": ["E"], "Next": "A", "Assign": {f"{name}.$": "$"}}
    assert [found[0] for found in faults(machine(task(Catch=[catcher])))] == [code]


@pytest.mark.parametrize("name", ["x", "a_1", "户号", "Ωmega", "a" * 80])
def test_good_variable_names(name: str) -> None:
    assert faults(machine(passing(Assign={name: 1, f"{name[:-1]}y.$": "$.a"}))) == []


def test_inner_scopes_do_not_assign_outer_variables() -> None:
    inner = passing(Assign={"total.$": "$.n"})
    branch = {"StartAt": "B", "States": {"B": inner}}
    expected = [
        (
            "DUPLICATE_VARIABLE_NAME",
            f"{A}/Branches[0]/States/B/Assign/total.$",
            "The variable name 'total' was already defined in a parent scope.",
        )
    ]
    assert faults(machine(parallel(branch, Assign={"total": 1}))) == expected
    assert faults(machine(parallel(branch, Assign={"other": 1}))) == []
