"""Choice rules: comparisons and their combinations."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.engine.language.choices import compile_rule
from workflows.engine.language.environment import Environment
from workflows.engine.language.errors import DefinitionError, StatesError

NOON = "2024-05-01T12:00:00Z"


def matches(rule: dict[str, Any], document: Any, variables: dict[str, Any] | None = None) -> bool:
    return compile_rule(rule).matches(Environment(document, dict, variables or {}))


COMPARISONS: list[tuple[str, Any, Any, bool]] = [
    ("NumericEquals", 1, 1.0, True),
    ("NumericEquals", 1, True, False),
    ("NumericEquals", 1, "1", False),
    ("NumericLessThan", 2, 1, True),
    ("NumericLessThan", 2, 2, False),
    ("NumericLessThanEquals", 2, 2, True),
    ("NumericGreaterThan", 2, 2.5, True),
    ("NumericGreaterThanEquals", 2, None, False),
    ("StringEquals", "a", "a", True),
    ("StringEquals", "a", ["a"], False),
    ("StringLessThan", "b", "a", True),
    ("StringLessThan", "電", "a", True),
    ("StringLessThanEquals", "b", "b", True),
    ("StringGreaterThan", "A ", "A", False),
    ("StringGreaterThan", "\uffff", "\U0001f600", False),  # by UTF-16 code units, as Java
    ("StringGreaterThanEquals", "", "", True),
    ("StringGreaterThanEquals", "", 0, False),
    ("BooleanEquals", False, False, True),
    ("BooleanEquals", False, 0, False),
    ("BooleanEquals", True, "true", False),
    ("TimestampEquals", NOON, "2024-05-01T20:00:00+08:00", True),
    ("TimestampLessThan", NOON, "2024-05-01T11:59:59.999Z", True),
    ("TimestampLessThanEquals", NOON, "2024-05-01", False),
    ("TimestampGreaterThan", NOON, NOON, False),
    ("TimestampGreaterThanEquals", NOON, NOON, True),
    ("TimestampGreaterThanEquals", NOON, 5, False),
]


@pytest.mark.parametrize(("operator", "operand", "value", "holds"), COMPARISONS)
def test_comparison(operator: str, operand: Any, value: Any, holds: bool) -> None:
    document = {"value": value, "operand": operand}
    assert matches({"Variable": "$.value", operator: operand, "Next": "A"}, document) is holds
    by_path = {"Variable": "$.value", f"{operator}Path": "$.operand", "Next": "A"}
    assert matches(by_path, document) is holds


@pytest.mark.parametrize(
    ("operator", "yes", "no"),
    [
        ("IsNull", [None], [0, "", False, [], {}]),
        ("IsNumeric", [0, 1.5, -1], [None, True, "1", []]),
        ("IsString", ["", "x"], [None, 1, ["x"]]),
        ("IsBoolean", [True, False], [0, 1, "true", None]),
        ("IsTimestamp", [NOON], ["2024-05-01", "2024-05-01T12:00:00", "", 1, None]),
        ("IsPresent", [None, 0, "", []], []),
    ],
)
def test_type_tests(operator: str, yes: list[Any], no: list[Any]) -> None:
    for wanted in (True, False):
        rule = {"Variable": "$.value", operator: wanted}
        assert [matches(rule, {"value": value}) for value in yes] == [wanted] * len(yes)
        assert [matches(rule, {"value": value}) for value in no] == [not wanted] * len(no)


def test_is_present_of_what_is_missing() -> None:
    for variable in ("$.value", "$.a.b", "$nothing", "$$.Nothing"):
        assert not matches({"Variable": variable, "IsPresent": True}, {})
        assert matches({"Variable": variable, "IsPresent": False}, {})


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        ("foo*.log", "foo23.log", True),
        ("foo*.log", "foo.log", True),
        ("foo*.log", "foo.log2", False),
        ("*", "", True),
        ("", "", True),
        ("", "x", False),
        ("*.log", "zebra.log", True),
        ("foo*.*", "foobar.zebra", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*bc*c", "abc", False),
        ("a*c", "a\nc", True),
        (r"a\*c", "a*c", True),
        (r"a\*c", "abc", False),
        (r"a\\*", "a\\x", True),
        ("a.c", "abc", False),
        ("*电*", "停电了", True),
    ],
)
def test_string_matches(pattern: str, text: str, holds: bool) -> None:
    assert matches({"Variable": "$.v", "StringMatches": pattern}, {"v": text}) is holds


def test_string_matches_takes_no_time_with_many_wildcards() -> None:
    rule = {"Variable": "$.v", "StringMatches": "*a" * 200 + "b"}
    assert not matches(rule, {"v": "a" * 100_000})


def test_string_matches_with_an_open_escape() -> None:
    with pytest.raises(StatesError):
        matches({"Variable": "$.v", "StringMatches": r"a\b"}, {"v": "ab"})


def test_combinations() -> None:
    one = {"Variable": "$.n", "NumericGreaterThan": 1}
    two = {"Variable": "$.n", "NumericLessThan": 5}
    assert matches({"And": [one, two], "Next": "A"}, {"n": 3})
    assert not matches({"And": [one, two]}, {"n": 7})
    assert matches({"Or": [one, two]}, {"n": 7})
    assert matches({"Not": {"And": [one, two]}}, {"n": 7})
    assert not matches({"Or": [{"Not": one}, {"Not": two}]}, {"n": 3})


def test_and_stops_before_a_path_that_is_missing() -> None:
    present = {"Variable": "$.n", "IsPresent": True}
    assert not matches({"And": [present, {"Variable": "$.n", "NumericEquals": 1}]}, {})


def test_variables_and_context() -> None:
    assert matches({"Variable": "$v.x", "NumericEqualsPath": "$.n"}, {"n": 2}, {"v": {"x": 2}})


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"Variable": "$.x", "StringEquals": "a"}, "$.x"),
        ({"Variable": "$.x", "IsNull": True}, "$.x"),
        ({"Variable": "$.n", "NumericEqualsPath": "$.y"}, "$.y"),
        ({"Variable": "$v", "IsString": False}, "$v"),
    ],
)
def test_missing_path(rule: dict[str, Any], path: str) -> None:
    with pytest.raises(StatesError) as caught:
        matches(rule, {"n": 1})
    assert caught.value.error == "States.Runtime"
    assert caught.value.cause == (
        f"Invalid path '{path}': The choice state's condition path references an invalid value."
    )


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"Variable": "$.x"},
        {"StringEquals": "a"},
        {"Variable": "x", "StringEquals": "a"},
        {"Variable": "$.x", "StringEquals": 1},
        {"Variable": "$.x", "NumericEquals": True},
        {"Variable": "$.x", "TimestampEquals": "yesterday"},
        {"Variable": "$.x", "IsNull": 1},
        {"Variable": "$.x", "StringMatchesPath": "$.y"},
        {"Variable": "$.x", "StringEqualsPath": "y"},
        {"Variable": "$.x", "StringEquals": "a", "IsNull": True},
        {"And": []},
        {"Not": [{"Variable": "$.x", "IsNull": True}]},
    ],
)
def test_what_is_no_rule(rule: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        compile_rule(rule)


def test_place_of_a_fault() -> None:
    rule = {"And": [{"Not": {"Variable": "$.x", "IsNull": "yes"}}]}
    with pytest.raises(DefinitionError) as caught:
        compile_rule(rule)
    assert caught.value.location == "/And/0/Not/IsNull"
