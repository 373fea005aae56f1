"""Definitions that AWS accepts: nothing in them may be refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.workflows.verdict_samples import (
    ACTIVITY,
    FUNCTION,
    INVOKE,
    choice,
    distributed,
    faults,
    jsonata,
    machine,
    mapping,
    parallel,
    passing,
    task,
)

OUTAGE = {
    "Comment": "停电报修: 派单、等待处理、回访",
    "Version": "1.0",
    "TimeoutSeconds": 86_400,
    "StartAt": "Locate",
    "States": {
        "Locate": {
            "Type": "Task",
            "Resource": INVOKE,
            "Parameters": {
                "FunctionName": FUNCTION,
                "Payload": {
                    "account.$": "$.account",
                    "parts": [{"first.$": "$.meters[0]", "rest.$": "$.meters[1:]"}],
                    "open.$": "$.tickets[?(@.state == 'open')]",
                    "text.$": "States.Format('户号 {}', $.account)",
                    "run.$": "$$.Execution.Name",
                },
            },
            "ResultSelector": {"line.$": "$.Payload.line"},
            "ResultPath": "$.place",
            "TimeoutSeconds": 30,
            "HeartbeatSeconds": 10,
            "Retry": [
                {
                    "Comment": "the function is cold",
                    "ErrorEquals": ["Lambda.TooManyRequestsException", "States.Timeout"],
                    "IntervalSeconds": 1,
                    "MaxAttempts": 0,
                    "BackoffRate": 1,
                    "MaxDelaySeconds": 20,
                    "JitterStrategy": "FULL",
                },
                {"ErrorEquals": ["States.ALL"]},
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Give up", "ResultPath": "$.error"}],
            "Assign": {"line.$": "$.Payload.line", "attempts": 0},
            "Next": "Large?",
        },
        "Large?": {
            "Type": "Choice",
            "InputPath": "$",
            "Choices": [
                {
                    "And": [
                        {"Variable": "$.place.houses", "NumericGreaterThan": 100.5},
                        {"Not": {"Variable": "$line", "StringMatches": "10kV*"}},
                        {"Or": [{"Variable": "$$.State.Name", "IsString": True}]},
                    ],
                    "Comment": "a whole district",
                    "Assign": {"attempts": 1},
                    "Next": "Crews",
                },
                {"Variable": "$.at", "TimestampLessThanPath": "$.now", "Next": "Pause"},
            ],
            "Default": "Crews",
        },
        "Pause": {"Type": "Wait", "Timestamp": "2026-01-01T08:00:00+08:00", "Next": "Crews"},
        "Crews": {
            "Type": "Map",
            "ItemsPath": "$.place.crews",
            "ItemSelector": {"crew.$": "$$.Map.Item.Value", "line.$": "$line"},
            "MaxConcurrency": 0,
            "Iterator": {
                "StartAt": "Send",
                "States": {
                    "Send": {"Type": "Task", "Resource": ACTIVITY, "End": True},
                },
            },
            "ResultPath": None,
            "Next": "Close",
        },
        "Close": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "Tell", "States": {"Tell": passing(Result={"a.$": "as it stands"})}},
                {"StartAt": "Log", "States": {"Log": {"Type": "Succeed", "InputPath": None}}},
            ],
            "OutputPath": "$[0]",
            "End": True,
        },
        "Give up": {
            "Type": "Fail",
            "ErrorPath": "$.error.Error",
            "CausePath": "States.JsonToString($.error)",
        },
    },
}

BILLING = {
    "QueryLanguage": "JSONata",
    "StartAt": "Read",
    "States": {
        "Read": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Arguments": {"QueueUrl": "{% $states.input.queue %}", "MessageBody": ["{% 1 %}", 2]},
            "TimeoutSeconds": "{% $states.input.limit %}",
            "HeartbeatSeconds": 10,
            "Assign": {"bill": {"child-1": "{% $states.result %}"}},
            "Output": "{% $states.result %}",
            "Catch": [{"ErrorEquals": ["E"], "Output": "{% $states.errorOutput %}", "Next": "Bad"}],
            "Next": "Due?",
        },
        "Due?": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $bill.due %}", "Output": {"a": 1}, "Next": "Each"},
                {"Condition": True, "Assign": {"late": "{% true %}"}, "Next": "Pause"},
            ],
        },
        "Pause": {"Type": "Wait", "Timestamp": "{% $now() %}", "Next": "Each"},
        "Each": {
            "Type": "Map",
            "Comment": "{% not read",
            "Items": ["{% 1 %}", 2],
            "ItemSelector": {"n": "{% $states.context.Map.Item.Value %}"},
            "MaxConcurrency": "{% 2 %}",
            "ToleratedFailurePercentage": "{% 5 %}",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "One",
                "States": {"One": {"Type": "Wait", "Seconds": "{% 1 %}", "End": True}},
            },
            "Output": None,
            "End": True,
        },
        "Bad": {"Type": "Fail", "Error": "{% $states.input.error %}", "Cause": "as told"},
    },
}

READER = {
    "Resource": "arn:aws:states:::s3:getObject",
    "Parameters": {"Bucket": "bills", "Key.$": "$.key"},
    "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "MaxItemsPath": "$.n"},
}


@pytest.mark.parametrize(
    ("definition", "kind"),
    [
        (OUTAGE, "STANDARD"),
        (BILLING, "STANDARD"),
        (machine(passing()), "EXPRESS"),
        (machine(passing(End=True, Parameters=[{"a": 1}], InputPath="$$.Execution.Id")), "EXPRESS"),
        (machine(passing(ResultPath="$.a['b c'][0].d", OutputPath="$.a[*].b")), "STANDARD"),
        (machine(passing(InputPath="$account.名称")), "STANDARD"),
        (machine(passing(Parameters={"a.$": "$..b", "c.$": "$$", "d": {}})), "STANDARD"),
        (machine(jsonata(Output="text with %} in it", Assign={})), "STANDARD"),
        (machine(jsonata(Output=None)), "STANDARD"),
        (machine(passing(QueryLanguage="JSONPath"), QueryLanguage="JSONPath"), "EXPRESS"),
        (machine(passing(QueryLanguage="JSONata"), QueryLanguage="JSONata"), "EXPRESS"),
        (machine({"Type": "Fail"}), "STANDARD"),
        (machine({"Type": "Succeed", "Comment": ""}), "STANDARD"),
        (machine({"Type": "Wait", "SecondsPath": "$.a", "End": True}), "STANDARD"),
        (
            machine({"Type": "Wait", "TimestampPath": "$$.Execution.StartTime", "End": True}),
            "EXPRESS",
        ),
        (
            machine({"Type": "Wait", "Timestamp": "2016-03-05T21:29:29.243167252Z", "End": True}),
            "EXPRESS",
        ),
        (machine(task(Retry=[], Catch=[])), "EXPRESS"),
        (machine(task(TimeoutSecondsPath="$.t", HeartbeatSecondsPath="$.h")), "STANDARD"),
        (machine(task(HeartbeatSeconds=99_999_999)), "STANDARD"),
        (machine(task(Credentials={"RoleArn.$": "$.role"})), "STANDARD"),
        (machine(task(Resource=f"{INVOKE}.waitForTaskToken")), "STANDARD"),
        (machine(task(Resource="arn:aws:states:::states:startExecution.sync")), "STANDARD"),
        (machine(task(Resource="arn:aws-cn:states:::aws-sdk:s3:getObject")), "EXPRESS"),
        (machine(task(Resource="arn:aws:states:::ecs:runTask.sync")), "STANDARD"),
        (machine(task(Resource="arn:aws:states:::http:invoke")), "EXPRESS"),
        (machine(task(Resource=f"{FUNCTION}:$LATEST")), "EXPRESS"),
        (choice({"Variable": "$", "IsPresent": False, "Next": "B"}), "STANDARD"),
        (choice({"Variable": "$.a[0]", "BooleanEqualsPath": "$.b", "Next": "B"}), "STANDARD"),
        (
            machine(parallel({"StartAt": "B", "States": {"B": passing()}, "Comment": "x"})),
            "EXPRESS",
        ),
        (machine(mapping(ItemsPath="$$.Execution.Input.items")), "EXPRESS"),
        (machine(mapping(MaxConcurrencyPath="$most", ToleratedFailureCountPath="$.n")), "STANDARD"),
        (machine(distributed(ItemReader=READER, Label="bills_2026-1")), "STANDARD"),
        (
            machine(
                distributed(
                    ItemBatcher={"MaxItemsPerBatch": 10, "BatchInput": {"a.$": "$.b"}},
                    ResultWriter={
                        "Resource": "arn:aws:states:::s3:putObject",
                        "Parameters": {"Bucket": "b", "Prefix": "p"},
                    },
                    ToleratedFailurePercentage=5.5,
                    ToleratedFailureCount=3,
                )
            ),
            "STANDARD",
        ),
        (  # a distributed Map sees no outer variables, so it may use their names
            machine(distributed(inner={"I": passing(Assign={"n": 1})}, Assign={"n": 2})),
            "STANDARD",
        ),
    ],
)
def test_accepted(definition: dict[str, Any], kind: str) -> None:
    assert faults(definition, kind) == []
    assert faults(json.dumps(definition, ensure_ascii=False), kind) == []
