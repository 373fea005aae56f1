"""The verdict on texts, on the machine's own fields, on names and on the way through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.workflows.verdict_samples import (
    SCHEMA,
    choice,
    distributed,
    faults,
    machine,
    mapping,
    parallel,
    passing,
    task,
)
from workflows.engine.verdict.check import Diagnostic, check_definition

TARGET = "MISSING_TRANSITION_TARGET"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", "MISSING_DESCRIPTION", "Received a null or empty workflow input."),
        (" \n", "MISSING_DESCRIPTION", "Received a null or empty workflow input."),
        ("hello", "INVALID_JSON_DESCRIPTION", "Expecting value at line: 1, column: 1"),
        ('{\n "a": 1,\n}', "INVALID_JSON_DESCRIPTION", " at line: 3, column: 1"),
        ("{} {}", "INVALID_JSON_DESCRIPTION", "Extra data at line: 1, column: 4"),
        (
            '{"a": {"b": 1},\n "b": 2,\n "c": {"b": 1, "b": "}"}}',
            "INVALID_JSON_DESCRIPTION",
            "Duplicate field 'b' at line: 3, column: 16",
        ),
        (
            '{"a": NaN}',
            "INVALID_JSON_DESCRIPTION",
            "Non-standard token 'NaN' at line: 1, column: 7",
        ),
        pytest.param('"' + "x" * 1_048_576 + '"', "DEFINITION_TOO_LARGE", "1048576", id="large"),
        pytest.param("[" * 200_000, "TOO_DEEPLY_NESTED", "too deeply nested", id="deep"),
    ],
)
def test_text_that_cannot_be_read(text: str, code: str, message: str) -> None:
    [found] = check_definition(text)
    assert (found.code, found.location) == (code, "")
    assert message in found.message


@pytest.mark.parametrize("text", ["[]", '"States"', "null", "3"])
def test_text_that_is_no_object(text: str) -> None:
    assert faults(text) == [(SCHEMA, "/", "Expected value of type [OBJECT]")]


def test_text_and_document_get_the_same_verdict() -> None:
    definition = machine(passing(Next="B"))
    assert check_definition(json.dumps(definition)) == check_definition(definition)


def test_document_that_is_too_large_or_no_json() -> None:
    assert faults(machine(passing(Result="x" * 1_048_576)))[0][0] == "DEFINITION_TOO_LARGE"
    assert faults(machine(passing(Result=float("nan"))))[0][0] == "INVALID_JSON_DESCRIPTION"
    assert faults(machine(passing(Result={1})))[0][0] == "INVALID_JSON_DESCRIPTION"


def test_states_nested_too_deeply() -> None:
    state: dict[str, Any] = passing()
    for _depth in range(600):
        inner = {"StartAt": "I", "States": {"I": state}}
        state = {"Type": "Parallel", "End": True, "Branches": [inner]}
    codes = {code for code, _location, _message in faults(machine(state))}
    assert "TOO_DEEPLY_NESTED" in codes


def test_kind_must_be_known() -> None:
    with pytest.raises(ValueError, match="STANDARD or EXPRESS"):
        check_definition({}, "FAST")


def test_diagnostic_prints_as_aws_does() -> None:
    assert str(Diagnostic("ERROR", "X", "/States/A", "wrong")) == "X: wrong at /States/A"
    assert str(Diagnostic("ERROR", "X", "", "wrong")) == "X: wrong at null"


@pytest.mark.parametrize(
    ("definition", "location", "message"),
    [
        ({}, "/", "These fields are required: [States, StartAt]"),
        ({"States": {"A": passing()}}, "/", "These fields are required: [StartAt]"),
        ({"StartAt": "A"}, "/", "These fields are required: [States]"),
        ({"StartAt": 1, "States": {}}, "/StartAt", "Expected value of type [STRING]"),
        ({"StartAt": "A", "States": []}, "/States", "Expected value of type [OBJECT]"),
        (machine(passing(), Coment="x"), "/", "Field 'Coment' is not supported"),
        (machine(passing(), Comment=1), "/Comment", "Expected value of type [STRING]"),
        (
            machine(passing(), Version="2.0"),
            "/Version",
            "Value should be one of the following: [1.0]",
        ),
        (machine(passing(), Version=1.0), "/Version", "Expected value of type [STRING]"),
        (
            machine(passing(), QueryLanguage="XPath"),
            "/QueryLanguage",
            "Value should be one of the following: [JSONPath, JSONata]",
        ),
        (machine(passing(), TimeoutSeconds=0), "/TimeoutSeconds", "Minimum value is 1"),
        (
            machine(passing(), TimeoutSeconds=100_000_000),
            "/TimeoutSeconds",
            "Maximum value is 99999999",
        ),
        (
            machine(passing(), TimeoutSeconds=1.5),
            "/TimeoutSeconds",
            "Expected value of type [INTEGER]",
        ),
        (
            machine(passing(), TimeoutSeconds=True),
            "/TimeoutSeconds",
            "Expected value of type [INTEGER]",
        ),
    ],
)
def test_fields_of_the_machine(definition: dict[str, Any], location: str, message: str) -> None:
    assert faults(definition) == [(SCHEMA, location, message)]


def test_state_that_is_no_object() -> None:
    found = faults({"StartAt": "A", "States": {"A": passing(Next="B", End=False), "B": []}})
    assert (SCHEMA, "/States/B", "Expected value of type [OBJECT]") in found


def test_state_names() -> None:
    longest, too_long = "n" * 80, "n" * 81
    states = {longest: passing(End=False, Next=too_long), too_long: passing()}
    assert faults({"StartAt": longest, "States": states}) == [
        (
            "INVALID_STATE_NAME",
            f"/States/{too_long}",
            f"Invalid State name: State '{too_long}' exceeds the 80-character limit allowed by "
            "the service",
        )
    ]


def test_state_names_are_unique_in_the_whole_machine() -> None:
    branch = {"StartAt": "B", "States": {"B": passing()}}
    assert faults(machine(parallel(branch, branch))) == [
        ("DUPLICATE_STATE_NAME", "/States/A/Branches[1]/States/B", "Duplicate State name: B")
    ]
    assert faults(machine(distributed(inner={"I": passing()}))) == []
    nested = {"I": mapping(inner={"I": passing()})}
    assert [code for code, _location, _message in faults(machine(mapping(nested)))] == [
        "DUPLICATE_STATE_NAME"
    ]


def _two(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": "A", "States": {"A": first, "B": second}}


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (
            machine({"Type": "Pass", "Next": "X"}),
            [
                (TARGET, "/States/A/Next", "Missing 'Next' target: X"),
                ("MISSING_END_STATE", "", "Workflow has no terminal state"),
            ],
        ),
        (
            _two({"Type": "Pass", "Next": "X"}, passing()),
            [
                (TARGET, "/States/A/Next", "Missing 'Next' target: X"),
                (TARGET, "/States/B", 'State "B" is not reachable.'),
            ],
        ),
        (
            {"StartAt": "X", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": passing()}},
            [
                (TARGET, "/StartAt", "Missing 'Next' target: X"),
                (TARGET, "/States/A", 'State "A" is not reachable.'),
            ],
        ),
        (
            _two({"Type": "Pass", "Next": "B"}, {"Type": "Pass", "Next": "A"}),
            [("MISSING_END_STATE", "", "Workflow has no terminal state")],
        ),
        (
            choice({"Variable": "$.a", "IsNull": True, "Next": "X"}, Default="Y"),
            [
                (TARGET, "/States/A/Default", "Missing 'Next' target: Y"),
                (TARGET, "/States/A/Choices[0]/Next", "Missing 'Next' target: X"),
                (TARGET, "/States/B", 'State "B" is not reachable.'),
            ],
        ),
        (
            machine(task(Catch=[{"ErrorEquals": ["E"], "Next": "X"}])),
            [(TARGET, "/States/A/Catch[0]/Next", "Missing 'Next' target: X")],
        ),
        (  # into another scope, from within and from without
            _two(
                parallel({"StartAt": "C", "States": {"C": {"Type": "Pass", "Next": "B"}}}),
                {"Type": "Pass", "Next": "C"},
            ),
            [
                (TARGET, "/States/A/Branches[0]/States/C/Next", "Missing 'Next' target: B"),
                (TARGET, "/States/B/Next", "Missing 'Next' target: C"),
                (TARGET, "/States/B", 'State "B" is not reachable.'),
            ],
        ),
        (
            machine(mapping({"I": passing(), "J": passing()})),
            [(TARGET, "/States/A/ItemProcessor/States/J", 'State "J" is not reachable.')],
        ),
    ],
)
def test_ways_through_the_machine(
    definition: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert faults(definition) == expected


def test_catch_and_loops_lead_to_states() -> None:
    looping = {"Type": "Pass", "Next": "A"}
    caught = task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "B"}])
    assert faults(_two(caught, looping)) == []
    # AWS asks only the top machine for a terminal state.
    spinning = {"I": {"Type": "Wait", "Seconds": 1, "Next": "I"}}
    assert faults(machine(mapping(spinning))) == []
