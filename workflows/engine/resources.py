"""What a Task's Resource names (任务资源): ARNs of functions, integrations and activities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from workflows.engine.language.errors import DefinitionError


class Service(StrEnum):
    """What performs a task."""

    FUNCTION = "function"  # a Lambda function by its own ARN
    INVOKE = "lambda"  # states:::lambda:invoke
    QUEUE = "sqs"  # states:::sqs:sendMessage
    CHILD = "states"  # states:::states:startExecution
    ACTIVITY = "activity"


class Pattern(StrEnum):
    """How an integration ends."""

    REQUEST = ""
    SYNC = ".sync"
    SYNC_2 = ".sync:2"
    TOKEN = ".waitForTaskToken"  # noqa: S105 - a suffix, not a secret


@dataclass(frozen=True, slots=True)
class Resource:
    """A Resource taken apart: ``name`` is the function or activity, or ``invoke`` and so on."""

    arn: str
    service: Service
    name: str
    pattern: Pattern = Pattern.REQUEST

    @property
    def is_optimized(self) -> bool:
        """Whether its events are TaskScheduled and so on (not LambdaFunction..., Activity...)."""
        return self.service in (Service.INVOKE, Service.QUEUE, Service.CHILD)

    @property
    def action(self) -> str:
        """What the events call the resource: ``sendMessage.waitForTaskToken``."""
        return self.name + self.pattern


_FUNCTION = re.compile(r"arn:[\w-]+:lambda:[\w-]*:\w*:function:([\w-]{1,64})(?::[\w$-]+)?")
_ACTIVITY = re.compile(r"arn:[\w-]+:states:[\w-]*:\w*:activity:(.{1,80})")
_OPTIMIZED = re.compile(r"arn:[\w-]+:states:::(lambda|sqs|states):(\w+)((?:\.[\w:]+)?)")
_ACTIONS = {
    Service.INVOKE: ("invoke", {Pattern.REQUEST, Pattern.TOKEN}),
    Service.QUEUE: ("sendMessage", {Pattern.REQUEST, Pattern.TOKEN}),
    Service.CHILD: ("startExecution", set(Pattern)),
}


def parse_resource(arn: str) -> Resource:
    """Take a Resource apart; DefinitionError for a service that this engine does not have."""
    if found := _FUNCTION.fullmatch(arn):
        return Resource(arn, Service.FUNCTION, found[1])
    if found := _ACTIVITY.fullmatch(arn):
        return Resource(arn, Service.ACTIVITY, found[1])
    if found := _OPTIMIZED.fullmatch(arn):
        service = Service(found[1])
        action, patterns = _ACTIONS[service]
        if found[2] == action and found[3] in patterns:
            return Resource(arn, service, action, Pattern(found[3]))
    raise DefinitionError(
        "this engine performs Lambda functions, lambda:invoke, sqs:sendMessage, "
        f"states:startExecution and activities, not '{arn}'"
    )


def function_name(text: str) -> str:
    """The plain name of a function that is given by name, ``name:alias``, part ARN or ARN."""
    found = re.search(r"function:([\w-]+)", text)
    return found[1] if found else text.partition(":")[0]
