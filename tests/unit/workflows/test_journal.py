"""The history: what is appended, and how it is read in the shape of the API."""

from __future__ import annotations

import json
import re

import pytest

from workflows.engine.journal import Journal, as_aws, error_fields, read_chunks
from workflows.engine.token_text import new_token, shown, without_tokens


def test_events_are_numbered_on() -> None:
    journal = Journal(7)
    assert journal.text() == "[]"
    assert journal.add("PassStateEntered", 1_000, 0, '{"name":"A","input":{}}') == 8
    assert journal.add("PassStateExited", 1_001, 8, '{"name":"A","output":1}') == 9
    assert (journal.first, journal.last, len(journal.entries)) == (8, 9, 2)
    assert journal.size == len('{"name":"A","input":{}}') + len('{"name":"A","output":1}')
    assert json.loads(journal.text()) == [
        ["PassStateEntered", 1_000, 0, {"name": "A", "input": {}}],
        ["PassStateExited", 1_001, 8, {"name": "A", "output": 1}],
    ]


def test_chunks_are_read_in_order() -> None:
    first, second = Journal(0), Journal(1)
    first.add("ExecutionStarted", 5, 0, '{"input":"x","roleArn":"r"}')
    second.add("ExecutionSucceeded", 6, 1, '{"output":{"k":"订"}}')
    assert read_chunks([(1, first.text()), (2, second.text())]) == [
        {
            "id": 1,
            "previousEventId": 0,
            "timestamp": 5,
            "type": "ExecutionStarted",
            "executionStartedEventDetails": {
                "input": '"x"',
                "inputDetails": {"truncated": False},
                "roleArn": "r",
            },
        },
        {
            "id": 2,
            "previousEventId": 1,
            "timestamp": 6,
            "type": "ExecutionSucceeded",
            "executionSucceededEventDetails": {
                "output": '{"k":"订"}',
                "outputDetails": {"truncated": False},
            },
        },
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "key", "details"),
    [
        ("ParallelStateStarted", {}, None, None),
        ("MapStateSucceeded", {}, None, None),
        ("TaskStateAborted", {}, None, None),
        ("LambdaFunctionStarted", {}, None, None),
        ("MapRunSucceeded", {}, None, None),
        ("ExecutionAborted", {}, "executionAbortedEventDetails", {}),
        ("ActivityStarted", {}, "activityStartedEventDetails", {}),
        ("MapStateStarted", {"length": 3}, "mapStateStartedEventDetails", {"length": 3}),
        (
            "ChoiceStateExited",
            {"name": "C", "output": None, "assignedVariables": {"x": "1"}},
            "stateExitedEventDetails",
            {
                "name": "C",
                "output": "null",
                "outputDetails": {"truncated": False},
                "assignedVariables": {"x": "1"},
                "assignedVariablesDetails": {"truncated": False},
            },
        ),
        (
            "TaskScheduled",
            {"resource": "invoke", "parameters": {"a": [1, 2]}},
            "taskScheduledEventDetails",
            {"resource": "invoke", "parameters": '{"a":[1,2]}'},
        ),
        (
            "TaskTimedOut",
            {"error": "States.Timeout"},
            "taskTimedOutEventDetails",
            {"error": "States.Timeout"},
        ),
    ],
)
def test_details(kind: str, fields: object, key: str | None, details: object) -> None:
    event = as_aws(4, [kind, 9, 3, fields])
    rest = {"id": 4, "previousEventId": 3, "timestamp": 9, "type": kind}
    assert event == (rest if key is None else {**rest, key: details})


def test_error_fields_leave_out_what_is_not_known() -> None:
    assert error_fields(None, None) == {}
    assert error_fields("E", None) == {"error": '"E"'}
    assert error_fields(None, 'say "no"') == {"cause": '"say \\"no\\""'}


def test_tokens_are_hidden_wherever_they_are() -> None:
    token = new_token()
    assert re.fullmatch(r"sha256:[0-9a-f]{16}", shown(token))
    assert without_tokens(f'{{"a":"{token}","b":"x {token}."}}') == (
        f'{{"a":"{shown(token)}","b":"x {shown(token)}."}}'
    )
    for text in ("task-1", "my task-list", "x" + token, token + "x"):
        assert without_tokens(text) == text
