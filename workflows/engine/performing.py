"""Performing tasks (执行任务): functions by name, messages to queues; what comes back, or how
it failed. Runs in a worker's threads, outside of any transaction.

Error names and causes are Lambda's: the exception's class, and a JSON text with message, type,
request id and stack (AWS Lambda developer guide, Python errors).
"""

from __future__ import annotations

import hashlib
import json
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import NAMESPACE_URL, uuid5

from workflows.engine.documents import LARGEST_DOCUMENT, Document, read_json, to_json
from workflows.engine.language.errors import DATA_LIMIT_EXCEEDED, RUNTIME
from workflows.engine.orders import Answer, AnswerKind
from workflows.engine.resources import Pattern, Service, function_name
from workflows.engine.task_rows import ClaimedTask

log = logging.getLogger("gongdian.workflows")


@dataclass(frozen=True, slots=True)
class TaskCall:
    """What a function is told besides its event.

    ``key`` is the same whenever this step runs again, after a crash or a retry: what the
    function does outside must be done under it.
    """

    key: str
    function: str


Function = Callable[[Any, TaskCall], Any]


class Functions(Protocol):
    """Where functions are found by name."""

    def find(self, name: str) -> Function | None:
        """The function of a name, or None."""


class Queues(Protocol):
    """Where sqs:sendMessage sends to."""

    def send(self, queue: str, body: str, *, key: str, attributes: Mapping[str, str]) -> str:
        """Put a message on a queue once for each key; its id."""


class NamedFunctions:
    """A plain table of functions."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = dict(functions)

    def find(self, name: str) -> Function | None:
        """The function of a name, or None."""
        return self._functions.get(name)


def perform(task: ClaimedTask, functions: Functions, queues: Queues | None) -> Answer:
    """Do a task once; whatever happens, there is an answer."""
    if task.payload is None:
        cause = "The task's payload cannot be read."
        return Answer(task.scope, task.serial, AnswerKind.FAILED, None, RUNTIME, cause)
    try:
        if task.service is Service.QUEUE:
            return _send(task, queues)
        return _invoke(task, functions)
    except Exception as error:  # noqa: BLE001 - a function may raise anything
        # The text of the error stays in the history: it may hold what people wrote.
        log.warning("task_failed", extra={"key": task.key, "error": type(error).__name__})
        return _failure(task, error)


def _answer(task: ClaimedTask, value: Any) -> Answer:
    is_later = task.pattern is Pattern.TOKEN
    kind = AnswerKind.SUBMITTED if is_later else AnswerKind.SUCCEEDED
    output = Document(value)
    # What is no JSON fails here, as the function's failure.
    if output.is_too_deep:
        raise ValueError("the result is nested too deeply")
    if output.size > LARGEST_DOCUMENT:
        who = task.service.value if task.service is not Service.FUNCTION else task.name
        cause = (
            f"The state/task '{who}' returned a result with a size exceeding the maximum "
            "number of bytes service limit."
        )
        return Answer(task.scope, task.serial, AnswerKind.FAILED, None, DATA_LIMIT_EXCEEDED, cause)
    return Answer(task.scope, task.serial, kind, output)


def _invoke(task: ClaimedTask, functions: Functions) -> Answer:
    is_plain = task.service is Service.FUNCTION
    payload = task.payload.value if task.payload else None
    event = payload if is_plain else _event_of(payload)
    name = function_name(task.name)
    function = functions.find(name)
    if function is None:
        return _missing(task, name)
    # The event is the function's own: what it changes in it changes nothing here.
    result = function(read_json(to_json(event)), TaskCall(task.key, name))
    if is_plain:
        return _answer(task, result)
    length = len(to_json(result).encode("utf-8", "surrogatepass"))
    return _answer(task, _invocation(task, result, length))


def _event_of(payload: Any) -> Any:
    """The event in the parameters of lambda:invoke; a text that is JSON is sent as it is."""
    event = payload.get("Payload") if isinstance(payload, dict) else None
    if not isinstance(event, str):
        return {} if event is None else event
    try:
        return read_json(event)
    except (ValueError, RecursionError):
        return event


def _missing(task: ClaimedTask, name: str) -> Answer:
    cause = (
        f"Function not found: arn:aws:lambda:local:000000000000:function:{name}:$LATEST "
        "(Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; "
        f"Request ID: {_request_id(task)}; Proxy: null)"
    )
    error = "Lambda.ResourceNotFoundException"
    return Answer(task.scope, task.serial, AnswerKind.FAILED, None, error, cause)


def _failure(task: ClaimedTask, error: Exception) -> Answer:
    about = {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": _request_id(task),
        "stackTrace": traceback.format_tb(error.__traceback__)[2:],
    }
    # Lambda's own text has blanks, the integration's has none.
    cause = json.dumps(about) if task.service is Service.FUNCTION else to_json(about)
    name = type(error).__name__
    return Answer(task.scope, task.serial, AnswerKind.FAILED, None, name, cause[:32_768])


def _request_id(task: ClaimedTask) -> str:
    return str(uuid5(NAMESPACE_URL, f"{task.key}#{task.serial}"))


def _invocation(task: ClaimedTask, payload: Any, length: int) -> dict[str, Any]:
    """What lambda:invoke returns around the function's result."""
    request = _request_id(task)
    headers = {
        "Connection": "keep-alive",
        "Content-Length": str(length),
        "Content-Type": "application/json",
        "Date": "",
        "X-Amz-Executed-Version": "$LATEST",
        "X-Amzn-Trace-Id": "",
        "x-amzn-Remapped-Content-Length": "0",
        "x-amzn-RequestId": request,
    }
    return {
        "ExecutedVersion": "$LATEST",
        "Payload": payload,
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": {"RequestId": request},
        "StatusCode": 200,
    }


def _send(task: ClaimedTask, queues: Queues | None) -> Answer:
    given = task.payload.value if task.payload else None
    payload = given if isinstance(given, dict) else {}
    body = payload.get("MessageBody")
    if queues is None or body is None:
        cause = "The request must contain the parameter MessageBody."
        if queues is None:
            cause = "This installation has no queues."
        return Answer(
            task.scope, task.serial, AnswerKind.FAILED, None, "SQS.AmazonSQSException", cause
        )
    text = body if isinstance(body, str) else to_json(body)
    found = payload.get("MessageAttributes")
    attributes = {
        str(name): str(one.get("StringValue", ""))
        for name, one in (found or {}).items()
        if isinstance(one, dict)
    }
    number = queues.send(task.name, text, key=task.key, attributes=attributes)
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    request = _request_id(task)
    return _answer(
        task,
        {
            "MD5OfMessageBody": digest,
            "MessageId": number,
            "SdkHttpMetadata": {"HttpStatusCode": 200},
            "SdkResponseMetadata": {"RequestId": request},
        },
    )
