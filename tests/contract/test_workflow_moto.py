"""Two engines, one language: moto's interpreter and ours end alike and enter the same states."""

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.asl_conformance.against_moto import Pair, compare, is_comparable, outcome_difference
from devtools.asl_conformance.cases import Case
from devtools.asl_conformance.moto_side import MotoSide
from devtools.asl_conformance.outcomes import Outcome
from devtools.asl_conformance.stage import Stage


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, MotoSide]]:
    with Stage(tmp_path_factory.mktemp("engine")) as stage, MotoSide() as moto:
        yield stage, moto


def _end(**fields: Any) -> dict[str, Any]:
    return {"Type": "Pass", "End": True, **fields}


CHAIN = {
    "A": {"Type": "Pass", "Result": {"kwh": 3}, "ResultPath": "$.read", "Next": "B"},
    "B": {"Type": "Pass", "Parameters": {"n.$": "$.read.kwh", "who.$": "$.who"}, "Next": "C"},
    "C": {"Type": "Wait", "Seconds": 0, "Next": "D"},
    "D": {"Type": "Succeed"},
}
CHOICE = {
    "C": {
        "Type": "Choice",
        "Choices": [
            {"And": [{"Variable": "$.n", "NumericGreaterThan": 5}], "Next": "Large"},
            {"Variable": "$.word", "StringMatches": "*meter*", "Next": "Meter"},
        ],
        "Default": "Other",
    },
    "Large": _end(Result={"is": "large"}),
    "Meter": _end(Result={"is": "meter"}),
    "Other": {"Type": "Fail", "Error": "Unknown", "Cause": "neither"},
}
PARALLEL = {
    "P": {
        "Type": "Parallel",
        "Branches": [
            {"StartAt": "A", "States": {"A": _end(Parameters={"a.$": "$.x"})}},
            {"StartAt": "B", "States": {"B": _end(Result=[1, 2])}},
        ],
        "ResultPath": "$.both",
        "Next": "Z",
    },
    "Z": _end(),
}
MAP = {
    "M": {
        "Type": "Map",
        "ItemsPath": "$.rows",
        "MaxConcurrency": 1,
        "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "k.$": "$.k"},
        "ItemProcessor": {"StartAt": "P", "States": {"P": _end(ResultPath="$.kept")}},
        "End": True,
    }
}
CAUGHT = {
    "M": {
        "Type": "Map",
        "ItemsPath": "$.rows",
        "MaxConcurrency": 1,
        "ItemProcessor": {
            "StartAt": "F",
            "States": {"F": {"Type": "Fail", "Error": "Row.Bad", "Cause": "no figure"}},
        },
        "Retry": [
            {"ErrorEquals": ["Row.Bad"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}
        ],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "H"}],
        "End": True,
    },
    "H": _end(OutputPath="$.error"),
}
INTRINSICS = {
    "A": _end(
        Parameters={
            "text.$": "States.Format('{} of {}', $.n, $.all)",
            "sum.$": "States.MathAdd($.n, 2)",
            "parts.$": "States.StringSplit('a,b,c', ',')",
            "has.$": "States.ArrayContains($.all, 2)",
            "merged.$": "States.JsonMerge($.one, $.two, false)",
            "hash.$": "States.Hash('abc', 'SHA-256')",
            "back.$": "States.Base64Decode(States.Base64Encode('abc'))",
            "pages.$": "States.ArrayPartition(States.ArrayRange(1, 7, 2), 3)",
        }
    )
}
MISSING = {"A": _end(Parameters={"v.$": "$.no_such"})}
DEFINITIONS: dict[str, tuple[dict[str, Any], Any]] = {
    "chain and wait": (CHAIN, {"who": "meter"}),
    "choice by number": (CHOICE, {"n": 6, "word": ""}),
    "choice by text": (CHOICE, {"n": 1, "word": "a meter of ours"}),
    "choice and fail": (CHOICE, {"n": 1, "word": "x"}),
    "parallel": (PARALLEL, {"x": {"y": None}}),
    "map with selector": (MAP, {"rows": [3, "four", None], "k": 1.5}),
    "retry and catch around a map": (CAUGHT, {"rows": [1]}),
    "intrinsics": (INTRINSICS, {"n": 1, "all": [1, 2], "one": {"a": 1}, "two": {"b": [2]}}),
    "a path that is missing": (MISSING, {}),
}


def _case(name: str) -> Case:
    states, given = DEFINITIONS[name]
    definition = {"StartAt": next(iter(states)), "States": states}
    is_unordered = name == "parallel"
    return Case(name, "execution", definition, {}, input=given, unordered=is_unordered)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_same_status_output_and_order_of_states(engines: tuple[Stage, MotoSide], name: str) -> None:
    case = _case(name)
    assert is_comparable(case)
    pair = compare(case, *engines)
    assert not pair.difference
    assert pair.ours.states[0] == case.definition["StartAt"]
    assert (pair.ours.error is None) == (pair.ours.status == "SUCCEEDED")


def test_a_difference_is_found_and_laid_at_somebodys_door() -> None:
    case = Case("one", "execution", {}, {"status": "SUCCEEDED", "output": 1})
    ours = Outcome("SUCCEEDED", "1", states=("A", "B"))
    other_output = Outcome("SUCCEEDED", "true", states=("A", "B"))
    other_order = Outcome("SUCCEEDED", "1.0", states=("B", "A"))
    broken = Outcome(problem="did not end")
    assert not outcome_difference(case, ours, ours)
    said = outcome_difference(case, ours, other_output)
    assert said == "output: ours 1, moto's true"
    assert Pair(case, ours, other_output, said).agrees_with_aws == "ours"
    assert Pair(case, other_output, ours, said).agrees_with_aws == "moto's"
    assert outcome_difference(case, ours, other_order) == "states: ours A B, moto's B A"
    assert "did not end" in outcome_difference(case, ours, broken)
    unordered = Case("one", "execution", {}, {}, unordered=True)
    assert not outcome_difference(unordered, ours, other_order)
