"""How the conformance command compares answers, guesses functions and reads verdicts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from devtools.asl_conformance.cases import Case, case_of
from devtools.asl_conformance.comparing import (
    cause_difference,
    event_difference,
    first_difference,
    shown,
)
from devtools.asl_conformance.outcomes import Outcome, judge
from devtools.asl_conformance.records import errors_raised, values_returned
from devtools.asl_conformance.stubs import Sleepers, tables
from devtools.asl_conformance.verdicts import Recorded, judge_definition, recorded_verdict
from workflows.engine.performing import TaskCall

EXECUTION_ARN = "arn:<partition>:states:<region>:111111111111:execution:<machine>:<name>"


@pytest.mark.parametrize(
    ("got", "recorded"),
    [
        (1, 1.0),
        ({"a": [0.0, None]}, {"a": [0, None]}),
        (True, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ("", ""),
    ],
)
def test_same(got: Any, recorded: Any) -> None:
    assert first_difference(got, recorded) == ""
    assert first_difference(got, recorded, fuzzy=True) == ""


@pytest.mark.parametrize(
    ("got", "recorded", "said"),
    [
        (True, 1, "value: true, recorded 1"),
        (0, False, "value: 0, recorded false"),
        (None, "", 'value: null, recorded ""'),
        ("1", 1, 'value: "1", recorded 1'),
        ([1, 2], [2, 1], "[0]: 1, recorded 2"),
        ([1], [1, 1], "value: 1 items, recorded 2"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ".a.b: 1, recorded 2"),
        ({"a": 1}, {"b": 1}, "value: lacks ['b'], has ['a'] more"),
        ([], {}, "value: [], recorded {}"),
    ],
)
def test_different(got: Any, recorded: Any, said: str) -> None:
    assert first_difference(got, recorded) == said
    assert first_difference(got, recorded, fuzzy=True) == said


@pytest.mark.parametrize(
    ("got", "recorded"),
    [
        ("0b5f", "<uuid:1>"),
        ({"StartTime": "2026-11-23T02:00:00Z"}, {"StartTime": "start-time"}),
        ({"at": "2026-11-23T02:00:00Z"}, {"at": "date"}),
        ({"x-amzn-RequestId": ["0b5f"]}, {"x-amzn-RequestId": "x-amzn-RequestId"}),
        ({"RequestId": "0b5f"}, {"RequestId": "RequestId"}),
        ("arn:aws:states:local:000000000000:execution:m:n", EXECUTION_ARN),
        ("no {} of <x> found in '{\"a\":1}'", "no {} of <x> found in '<json-input:1>'"),
        (
            '{"errorMessage":"m","requestId":"1","stackTrace":["a","b"]}',
            '{"errorMessage": "m", "requestId": "<uuid:1>", "stackTrace": ["c"]}',
        ),
    ],
)
def test_placeholders(got: Any, recorded: Any) -> None:
    assert first_difference(got, recorded, fuzzy=True) == ""
    assert first_difference(got, recorded) != ""


@pytest.mark.parametrize(
    ("got", "recorded"),
    [
        (1, "<uuid:1>"),
        ({"a": 1}, {"a": "date"}),
        ({"RequestId": {"a": "0b5f"}}, {"RequestId": "RequestId"}),
        ("arn:aws:states:local:000000000000:stateMachine:m", EXECUTION_ARN),
        ("arn:aws:states:local:0:execution:m:n", EXECUTION_ARN),
        ({"Name": "<name>", "more": 1}, {"Name": "<name>"}),
        ('{"errorMessage":"m"}', '{"errorMessage":"other"}'),
        ({"stackTrace": "text"}, {"stackTrace": [1]}),
    ],
)
def test_placeholders_do_not_stand_for_everything(got: Any, recorded: Any) -> None:
    assert first_difference(got, recorded, fuzzy=True) != ""


def test_causes_that_hold_json() -> None:
    recorded = {"errorMessage": "m", "requestId": "<uuid:1>"}
    assert not cause_difference('{"errorMessage":"m","requestId":"7"}', recorded, fuzzy=True)
    assert cause_difference('{"errorMessage":"n","requestId":"7"}', recorded, fuzzy=True)
    assert cause_difference("m", recorded, fuzzy=True)
    assert cause_difference(None, recorded, fuzzy=True)
    assert not cause_difference("m", "m", fuzzy=False)


def test_events() -> None:
    assert not event_difference(["a", "b"], ["a", "b"], unordered=False)
    assert not event_difference(["b", "a"], ["a", "b"], unordered=True)
    assert event_difference(["b", "a"], ["a", "b"], unordered=False) == (
        "events: number 1 is b, recorded a"
    )
    assert event_difference(["a", "c"], ["a", "b", "b"], unordered=True) == (
        "events: lacks b, b; has c more"
    )
    assert event_difference(["a", "a"], ["a"], unordered=False) == "events: has a more"


def test_what_a_file_leaves_out_has_its_default() -> None:
    bare = {"name": "one", "kind": "execution", "definition": {}, "expected": {}}
    empty = {"tags": None, "functions": None, "min_seconds": None, "type": None, "unknown": 1}
    assert case_of(bare | empty) == case_of(bare)
    assert case_of(bare).input == {}
    assert case_of(bare | {"input": None}).input is None
    with pytest.raises(ValueError, match="lacks definition, expected"):
        case_of({"name": "one", "kind": "execution"})


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 1000)) < 220


def _case(expected: dict[str, Any], **given: Any) -> Case:
    return case_of(
        {"name": "one", "kind": "execution", "definition": {}, "expected": expected} | given
    )


@pytest.mark.parametrize(
    ("outcome", "expected", "suite", "has_passed"),
    [
        (Outcome("SUCCEEDED", "1"), {"status": "SUCCEEDED", "output": 1.0}, "localstack", True),
        (Outcome("SUCCEEDED", "null"), {"status": "SUCCEEDED", "output": None}, "own", True),
        (Outcome("FAILED"), {"status": "SUCCEEDED", "output": None}, "own", False),
        (Outcome("SUCCEEDED"), {"status": "SUCCEEDED", "output": None}, "own", False),
        (Outcome("FAILED", error="E"), {"status": "FAILED"}, "localstack", False),
        (Outcome("FAILED", error="E"), {"status": "FAILED"}, "moto", True),
        (Outcome("FAILED", error="E"), {"status": "FAILED", "error": "F"}, "moto", False),
        (Outcome("FAILED", error="E"), {"status": "FAILED", "error": "E"}, "own", True),
        (Outcome("SUCCEEDED", "{}", problem="did not end"), {"status": "SUCCEEDED"}, "own", False),
    ],
)
def test_what_passes(
    outcome: Outcome, expected: dict[str, Any], suite: str, has_passed: bool
) -> None:
    assert judge(_case(expected, suite=suite), outcome).has_passed is has_passed


def test_causes_and_events_are_shown_but_do_not_decide() -> None:
    case = _case({"status": "FAILED", "error": "E", "cause": "c", "events": ["a"]})
    result = judge(case, Outcome("FAILED", error="E", cause="d", events=("b",)))
    assert result.has_passed
    assert result.cause_difference == 'cause: "d", recorded "c"'
    assert result.event_difference == "events: lacks a; has b more"
    assert judge(_case({"status": "FAILED"}), Outcome("FAILED")).event_difference is None


def _functions(expected: dict[str, Any], stub: str, file: str, **given: Any) -> list[Any]:
    arn = "arn:aws:lambda:us-east-1:111111111111:function:f"
    case = _case(expected, functions={arn: {"file": f"a/b/{file}", "stub": stub}}, **given)
    sleepers = Sleepers(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    return [table["f"] for table in tables(case, sleepers)]


CALL = TaskCall("m:n:T:2", "f")


def test_functions_known_by_a_word() -> None:
    (echo,) = _functions({}, "echo", "x.py")
    assert echo({"a": 1}, CALL) == {"a": 1}
    (usual,) = _functions({}, "raise", "x.py")
    with pytest.raises(Exception, match=r"^Some exception was raised\.$"):
        usual({}, CALL)
    cause = '{"errorType": "MeterSilent", "errorMessage": "no answer"}'
    (own,) = _functions({"output": {"Cause": cause}}, "raise", "x.py")
    with pytest.raises(Exception, match="no answer") as caught:
        own({}, CALL)
    assert type(caught.value).__name__ == "MeterSilent"


def test_functions_guessed_from_the_record() -> None:
    (large,) = _functions({"output": {"Error": "States.DataLimitExceeded"}}, "small python", "x.py")
    assert len(large({}, CALL)) > 262_144
    invoked = {"output": {"ExecutedVersion": "$LATEST", "Payload": {"a": 1}}}
    assert _functions(invoked, "constant", "x.py")[0]({}, CALL) == {"a": 1}
    task = {"States": {"T": {"Type": "Task", "ResultPath": "$.r.s"}}}
    placed = _functions({"output": {"r": {"s": 5}}}, "constant", "x.py", definition=task)
    assert placed[0]({}, CALL) == 5
    *_, whole, rehearsed, each = _functions({"output": [2, 4]}, "small python", "x.py")
    assert whole({}, CALL) == [2, 4]
    for entry, event in ((9, 2), (4, 1)):
        assert rehearsed(event, TaskCall(f"m:n:T:{entry}", "f")) == event
    assert [each(event, CALL) for event in (1, 2)] == [2, 4]


def test_errors_and_values_in_a_record() -> None:
    assert errors_raised(_case({"error": "MeterSilent", "cause": "no answer"})) == [
        ("MeterSilent", "no answer")
    ]
    assert errors_raised(_case({"error": "States.Timeout"}))[0][0] == "Exception"
    retried = {"Retry": [{"ErrorEquals": ["MeterSilent", "States.ALL"]}]}
    assert [kind for kind, _ in errors_raised(_case({}, definition=retried))] == [
        "Exception",
        "MeterSilent",
    ]
    assert values_returned(_case({"status": "FAILED"})) == []


@pytest.mark.parametrize(
    ("expected", "recorded"),
    [
        ({"diagnostics": {"result": "OK"}}, Recorded.ACCEPTED),
        ({"diagnostics": {"result": "FAIL"}}, Recorded.REFUSED),
        ({"error": {"Error": {"Code": "InvalidDefinition"}}}, Recorded.REFUSED),
        ({"error": "An error occurred (InvalidDefinition) when calling"}, Recorded.REFUSED),
        ({"error": "An error occurred (InvalidLoggingConfiguration) when"}, Recorded.CALL),
        ({"error": {"Error": {"Code": "StateMachineAlreadyExists"}}}, Recorded.CALL),
        ({"error": {"Error": {"Code": "ValidationException"}}}, Recorded.CALL),
        (
            {"error": {"Error": {"Code": "ValidationException", "Message": "at 'definition'"}}},
            Recorded.REFUSED,
        ),
    ],
)
def test_recorded_verdicts(expected: dict[str, Any], recorded: Recorded) -> None:
    assert recorded_verdict(expected)[0] is recorded


def test_a_wrong_verdict_is_seen() -> None:
    good = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    refused = {"error": {"Error": {"Code": "InvalidDefinition"}}}
    wrong = judge_definition(_case(refused, kind="validation", definition=good))
    assert wrong.difference == "verdict: accepted, recorded: refused"
    right = judge_definition(_case(refused, kind="validation", definition="no JSON"))
    assert right.difference == ""
    taken = {"error": {"Error": {"Code": "StateMachineAlreadyExists"}}}
    call = judge_definition(_case(taken, kind="validation", definition=good))
    assert (call.is_counted, call.difference) == (False, "")
    assert judge_definition(_case({}, definition={})).difference.endswith("recorded: accepted")
