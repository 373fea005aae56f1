"""The event history (事件历史) of one execution: what is new in this batch, and how it is read.

A stored event is ``[type, milliseconds, previousEventId, {fields}]``; its id is its place. In
``fields``, documents are JSON and not text in text. ``as_aws`` gives the shape of
GetExecutionHistory (Step Functions API reference).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from workflows.engine.documents import to_json

# Service quota of a standard workflow.
MOST_EVENTS = 25_000

_DOCUMENTS = ("input", "output", "parameters")
_WITH_DETAILS = {
    "input": "inputDetails",
    "output": "outputDetails",
    "assignedVariables": "assignedVariablesDetails",
}
_DETAILS = {
    "ActivityFailed": "activityFailedEventDetails",
    "ActivityScheduled": "activityScheduledEventDetails",
    "ActivityStarted": "activityStartedEventDetails",
    "ActivitySucceeded": "activitySucceededEventDetails",
    "ActivityTimedOut": "activityTimedOutEventDetails",
    "ExecutionAborted": "executionAbortedEventDetails",
    "ExecutionFailed": "executionFailedEventDetails",
    "ExecutionRedriven": "executionRedrivenEventDetails",
    "ExecutionStarted": "executionStartedEventDetails",
    "ExecutionSucceeded": "executionSucceededEventDetails",
    "ExecutionTimedOut": "executionTimedOutEventDetails",
    "LambdaFunctionFailed": "lambdaFunctionFailedEventDetails",
    "LambdaFunctionScheduled": "lambdaFunctionScheduledEventDetails",
    "LambdaFunctionSucceeded": "lambdaFunctionSucceededEventDetails",
    "LambdaFunctionTimedOut": "lambdaFunctionTimedOutEventDetails",
    "MapIterationAborted": "mapIterationAbortedEventDetails",
    "MapIterationFailed": "mapIterationFailedEventDetails",
    "MapIterationStarted": "mapIterationStartedEventDetails",
    "MapIterationSucceeded": "mapIterationSucceededEventDetails",
    "MapRunFailed": "mapRunFailedEventDetails",
    "MapRunStarted": "mapRunStartedEventDetails",
    "MapStateStarted": "mapStateStartedEventDetails",
    "TaskFailed": "taskFailedEventDetails",
    "TaskScheduled": "taskScheduledEventDetails",
    "TaskStarted": "taskStartedEventDetails",
    "TaskSubmitted": "taskSubmittedEventDetails",
    "TaskSucceeded": "taskSucceededEventDetails",
    "TaskTimedOut": "taskTimedOutEventDetails",
}


class Journal:
    """The events that a batch adds after the ``last`` that is stored."""

    __slots__ = ("entries", "first", "last", "size")

    def __init__(self, last: int) -> None:
        self.first = last + 1
        self.last = last
        self.size = 0  # characters
        self.entries: list[str] = []

    def add(self, kind: str, at: int, previous: int, fields: str = "{}") -> int:
        """Append one event; ``fields`` is the text of a JSON object. The event's id."""
        self.entries.append(f'["{kind}",{at},{previous},{fields}]')
        self.size += len(fields)
        self.last += 1
        return self.last

    def text(self) -> str:
        """The new events as one JSON array."""
        return f"[{','.join(self.entries)}]"


def as_aws(number: int, stored: list[Any]) -> dict[str, Any]:
    """One stored event in the shape of GetExecutionHistory; ``timestamp`` in milliseconds."""
    kind, at, previous, fields = stored
    event: dict[str, Any] = {
        "id": number,
        "previousEventId": previous,
        "timestamp": at,
        "type": kind,
    }
    details: dict[str, Any] = {}
    for name, value in fields.items():
        details[name] = to_json(value) if name in _DOCUMENTS else value
        if name in _WITH_DETAILS:
            details[_WITH_DETAILS[name]] = {"truncated": False}
    key = _details_key(kind)
    if key:  # there even when nothing is known, as for a stop without a reason
        event[key] = details
    return event


def _details_key(kind: str) -> str | None:
    if kind.endswith("StateEntered"):
        return "stateEnteredEventDetails"
    if kind.endswith("StateExited"):
        return "stateExitedEventDetails"
    return _DETAILS.get(kind)


def read_chunks(chunks: Iterable[tuple[int, str]]) -> list[dict[str, Any]]:
    """The events of stored chunks ``(first event id, text)`` in the shape of the API."""
    return [
        as_aws(number, stored)
        for first, text in chunks
        for number, stored in enumerate(json.loads(text), start=first)
    ]


def error_fields(error: str | None, cause: str | None) -> dict[str, str]:
    """The fields of a failure's event; what is not known is left out."""
    fields = {}
    if error is not None:
        fields["error"] = to_json(error)
    if cause is not None:
        fields["cause"] = to_json(cause)
    return fields
