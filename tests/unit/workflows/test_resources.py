"""What a Task's Resource names."""

from __future__ import annotations

import pytest

from workflows.engine.language.errors import DefinitionError
from workflows.engine.resources import Pattern, Service, function_name, parse_resource


@pytest.mark.parametrize(
    ("arn", "service", "name", "pattern"),
    [
        ("arn:aws:lambda:eu-west-1:123456789012:function:f", Service.FUNCTION, "f", ""),
        (
            "arn:aws-cn:lambda:cn-north-1:123456789012:function:f-2:live",
            Service.FUNCTION,
            "f-2",
            "",
        ),
        ("arn:aws:lambda:r:1:function:f:$LATEST", Service.FUNCTION, "f", ""),
        ("arn:aws:states:local:000000000000:activity:desk", Service.ACTIVITY, "desk", ""),
        ("arn:aws:states:::lambda:invoke", Service.INVOKE, "invoke", ""),
        (
            "arn:aws:states:::lambda:invoke.waitForTaskToken",
            Service.INVOKE,
            "invoke",
            ".waitForTaskToken",
        ),
        ("arn:aws:states:::sqs:sendMessage", Service.QUEUE, "sendMessage", ""),
        ("arn:aws-cn:states:::sqs:sendMessage", Service.QUEUE, "sendMessage", ""),
        ("arn:aws:states:::states:startExecution", Service.CHILD, "startExecution", ""),
        ("arn:aws:states:::states:startExecution.sync", Service.CHILD, "startExecution", ".sync"),
        (
            "arn:aws:states:::states:startExecution.sync:2",
            Service.CHILD,
            "startExecution",
            ".sync:2",
        ),
        (
            "arn:aws:states:::states:startExecution.waitForTaskToken",
            Service.CHILD,
            "startExecution",
            ".waitForTaskToken",
        ),
    ],
)
def test_known_resources(arn: str, service: Service, name: str, pattern: str) -> None:
    resource = parse_resource(arn)
    assert (resource.arn, resource.service, resource.name) == (arn, service, name)
    assert resource.pattern is Pattern(pattern)
    is_optimized = service in (Service.INVOKE, Service.QUEUE, Service.CHILD)
    assert resource.is_optimized is is_optimized
    assert resource.action == name + pattern


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "f",
        "arn:aws:states:::lambda:invoke.sync",
        "arn:aws:states:::sqs:sendMessage.sync:2",
        "arn:aws:states:::sqs:receiveMessage",
        "arn:aws:states:::sns:publish",
        "arn:aws:states:::dynamodb:putItem",
        "arn:aws:states:::aws-sdk:sqs:sendMessage",
        "arn:aws:states:::http:invoke",
        "arn:aws:states:::states:startExecution.sync:3",
        "arn:aws:lambda:r:1:function:",
        "arn:aws:states:local:0:activity:",
        "arn:aws:states:::lambda:invoke ",
    ],
)
def test_unknown_resources(arn: str) -> None:
    with pytest.raises(DefinitionError, match="this engine performs") as caught:
        parse_resource(arn)
    assert f"'{arn}'" in caught.value.message


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("f", "f"),
        ("f:live", "f"),
        ("arn:aws:lambda:r:1:function:f", "f"),
        ("arn:aws:lambda:r:1:function:f:7", "f"),
        ("1234:function:f-2", "f-2"),
        ("", ""),
    ],
)
def test_function_names(text: str, name: str) -> None:
    assert function_name(text) == name
