"""The verdict on tasks: resources, timeouts, credentials, Retry and Catch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.workflows.verdict_samples import (
    ACTIVITY,
    INTEGER,
    INVOKE,
    REFERENCE,
    SCHEMA,
    STRING,
    A,
    dynamic,
    faults,
    foreign,
    machine,
    task,
)


@pytest.mark.parametrize(
    ("state", "location", "message"),
    [
        ({"Type": "Task", "End": True}, A, "These fields are required: [Resource]"),
        (task(Resource="notify"), f"{A}/Resource", "Value is not a valid resource ARN"),
        (task(Resource=None), f"{A}/Resource", STRING),
        (
            task(Resource=f"{INVOKE}.sync"),
            f"{A}/Resource",
            f"The resource provided {INVOKE}.sync is not recognized",
        ),
        (
            task(Resource="arn:aws:states:::sqs:receiveMessage"),
            f"{A}/Resource",
            "The resource provided arn:aws:states:::sqs:receiveMessage is not recognized",
        ),
        (
            task(Resource="arn:aws:states:::dynamodb:getItem.waitForTaskToken"),
            f"{A}/Resource",
            "The resource provided arn:aws:states:::dynamodb:getItem.waitForTaskToken is not "
            "recognized",
        ),
        (
            task(Resource="arn:aws:states:::batch:submitJob.sync:2"),
            f"{A}/Resource",
            "The resource provided arn:aws:states:::batch:submitJob.sync:2 is not recognized",
        ),
        (task(TimeoutSeconds=0), f"{A}/TimeoutSeconds", "Minimum value is 1"),
        (task(TimeoutSeconds=10**8), f"{A}/TimeoutSeconds", "Maximum value is 99999999"),
        (task(TimeoutSeconds="{% 1 %}"), f"{A}/TimeoutSeconds", INTEGER),
        (
            task(TimeoutSeconds=5, TimeoutSecondsPath="$.t"),
            A,
            "There should only be one of the following fields: "
            "[TimeoutSeconds, TimeoutSecondsPath]",
        ),
        (
            task(HeartbeatSeconds=5, HeartbeatSecondsPath="$.t"),
            A,
            "There should only be one of the following fields: "
            "[HeartbeatSeconds, HeartbeatSecondsPath]",
        ),
        (
            task(TimeoutSeconds=5, HeartbeatSeconds=5),
            f"{A}/HeartbeatSeconds",
            "HeartbeatSeconds must be smaller than TimeoutSeconds",
        ),
        (task(HeartbeatSecondsPath="$.a.*"), f"{A}/HeartbeatSecondsPath", REFERENCE),
        (
            task(Credentials={}),
            f"{A}/Credentials",
            "The field 'RoleArn' is required but was missing",
        ),
        (
            task(Credentials={"RoleArn.$": "role"}),
            f"{A}/Credentials",
            dynamic("RoleArn.$"),
        ),
        (task(Credentials=[]), f"{A}/Credentials", "Expected value of type [OBJECT]"),
        (
            task(Resource=ACTIVITY, Credentials={"RoleArn": "arn:aws:iam::123456789012:role/r"}),
            f"{A}/Credentials",
            "The field 'Credentials' is not supported for activities",
        ),
        # errors
        (task(Retry={}), f"{A}/Retry", "Expected value of type [ARRAY]"),
        (task(Retry=["E"]), f"{A}/Retry[0]", "Expected value of type [OBJECT]"),
        (task(Retry=[{}]), f"{A}/Retry[0]", "These fields are required: [ErrorEquals]"),
        (
            task(Retry=[{"ErrorEquals": []}]),
            f"{A}/Retry[0]/ErrorEquals",
            "Value cannot be empty",
        ),
        (
            task(Retry=[{"ErrorEquals": "E"}]),
            f"{A}/Retry[0]/ErrorEquals",
            "Expected value of type [ARRAY]",
        ),
        (task(Retry=[{"ErrorEquals": [1]}]), f"{A}/Retry[0]/ErrorEquals[0]", STRING),
        (
            task(Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}]),
            f"{A}/Retry[0]/ErrorEquals[0]",
            "States.ALL must appear alone and at end of list",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E", "States.ALL"]}]),
            f"{A}/Retry[0]/ErrorEquals[1]",
            "States.ALL must appear alone and at end of list",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E"], "MaxRetries": 1}]),
            f"{A}/Retry[0]",
            "Field 'MaxRetries' is not supported",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E"], "IntervalSeconds": 0}]),
            f"{A}/Retry[0]/IntervalSeconds",
            "Minimum value is 1",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E"], "MaxAttempts": -1}]),
            f"{A}/Retry[0]/MaxAttempts",
            "Minimum value is 0",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 10**8}]),
            f"{A}/Retry[0]/MaxAttempts",
            "Maximum value is 99999999",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E"], "BackoffRate": 0.5}]),
            f"{A}/Retry[0]/BackoffRate",
            "Minimum value is 1.0",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E"], "BackoffRate": "2"}]),
            f"{A}/Retry[0]/BackoffRate",
            "Expected value of type [NUMBER]",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E"], "IntervalSeconds": 5, "MaxDelaySeconds": 3}]),
            f"{A}/Retry[0]/MaxDelaySeconds",
            "MaxDelaySeconds must be greater than IntervalSeconds",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E"], "MaxDelaySeconds": 31_622_401}]),
            f"{A}/Retry[0]/MaxDelaySeconds",
            "Maximum value is 31622400",
        ),
        (
            task(Retry=[{"ErrorEquals": ["E"], "JitterStrategy": "HALF"}]),
            f"{A}/Retry[0]/JitterStrategy",
            "Value should be one of the following: [NONE, FULL]",
        ),
        (
            task(Catch=[{"ErrorEquals": ["E"]}]),
            f"{A}/Catch[0]",
            "These fields are required: [Next]",
        ),
        (
            task(Catch=[{"ErrorEquals": ["E"], "Next": "A", "ResultPath": "$.a[*]"}]),
            f"{A}/Catch[0]/ResultPath",
            REFERENCE,
        ),
        (
            task(Catch=[{"ErrorEquals": ["E"], "Next": "A", "Output": 1}]),
            f"{A}/Catch[0]",
            foreign("JSONPath", "Output"),
        ),
        (
            task(
                QueryLanguage="JSONata",
                Catch=[{"ErrorEquals": ["E"], "Next": "A", "ResultPath": "$"}],
            ),
            f"{A}/Catch[0]",
            foreign("JSONata", "ResultPath"),
        ),
        (
            task(Catch=[{"ErrorEquals": ["States.ALL", "E"], "Next": "A"}]),
            f"{A}/Catch[0]/ErrorEquals[0]",
            "States.ALL must appear alone and at end of list",
        ),
    ],
)
def test_tasks(state: dict[str, Any], location: str, message: str) -> None:
    assert faults(machine(state)) == [(SCHEMA, location, message)]
