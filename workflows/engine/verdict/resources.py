"""Resources of tasks (任务资源): ARNs, and the integrations that AWS has.

Sources: Developer Guide, "Integrating optimized services" (which service has which actions and
patterns) and "Choosing workflow type" (what Express leaves out). What only *this* engine cannot do
is not judged here: the verdict is AWS's.
"""

from __future__ import annotations

import re

from workflows.engine.verdict.nodes import Node

_ARN = re.compile(r"arn:[^:\s]+:[^:\s]+:[^:\s]*:[^:\s]*:\S.*")
_ACTIVITY = re.compile(r"arn:[^:]+:states:[^:]*:[^:]*:activity:.+")
_INTEGRATION = re.compile(
    r"arn:[^:]+:states:[^:]*:[^:]*:([\w-]+):([\w:-]+?)(\.sync(?::2)?|\.waitForTaskToken)?"
)

_SYNC, _SYNC_2, _TOKEN = ".sync", ".sync:2", ".waitForTaskToken"

# The actions of services that have few; the others' are not judged.
_ACTIONS = {
    "lambda": {"invoke"},
    "sqs": {"sendMessage"},
    "sns": {"publish"},
    "events": {"putEvents"},
    "states": {"startExecution"},
    "apigateway": {"invoke"},
    "http": {"invoke"},
    "dynamodb": {"getItem", "putItem", "updateItem", "deleteItem"},
}
_NO_SYNC = {"lambda", "sqs", "sns", "events", "apigateway", "http", "dynamodb", "aws-sdk"}
_NO_TOKEN = {
    *("athena", "batch", "codebuild", "databrew", "dynamodb", "elasticmapreduce"),
    *("emr-containers", "emr-serverless", "glue", "http", "mediaconvert", "sagemaker"),
}


def check_resource(state: Node) -> None:
    """The Resource of a Task."""
    arn = state.text("Resource")
    if arn is None:
        return
    if _ARN.fullmatch(arn) is None:
        state.refuse("Value is not a valid resource ARN", "Resource")
        return
    if is_activity(arn):
        if state.machine.is_express:
            state.refuse("Express state machine does not support Activity ARN", "Resource")
        return
    found = _INTEGRATION.fullmatch(arn)
    if found is None:
        return
    service, action, pattern = found[1], found[2], found[3] or ""
    if not _is_known(service, action, pattern):
        state.refuse(f"The resource provided {arn} is not recognized", "Resource")
    elif pattern and state.machine.is_express:
        called = _TOKEN if pattern == _TOKEN else _SYNC
        # The blank at the end is AWS's.
        message = f"Express state machine does not support '{called}' service integration "
        state.refuse(message, "Resource")


def is_activity(arn: str) -> bool:
    """Whether workers poll for the task."""
    return _ACTIVITY.fullmatch(arn) is not None


def _is_known(service: str, action: str, pattern: str) -> bool:
    if action not in _ACTIONS.get(service, {action}):
        return False
    if pattern == _TOKEN:
        return service not in _NO_TOKEN
    if pattern == _SYNC_2:
        return service == "states"
    return pattern != _SYNC or service not in _NO_SYNC
