"""Task states (任务): resource, timeouts, credentials. Source: ASL specification, Task State."""

from __future__ import annotations

from workflows.engine.verdict.nodes import JSONATA, LARGEST_SECONDS, Node
from workflows.engine.verdict.paths import check_reference
from workflows.engine.verdict.payloads import check_payloads
from workflows.engine.verdict.resources import check_resource, is_activity


def check_task(state: Node) -> None:
    """What only a Task has."""
    if state.require("Resource"):
        check_resource(state)
    _check_timeouts(state)
    _check_credentials(state)


def _check_timeouts(state: Node) -> None:
    for name in ("TimeoutSeconds", "HeartbeatSeconds"):
        state.at_most_one(name, f"{name}Path")
        if state.language != JSONATA:
            check_reference(state, f"{name}Path")
    timeout = state.integer("TimeoutSeconds", 1, LARGEST_SECONDS, dynamic=True)
    heartbeat = state.integer("HeartbeatSeconds", 1, LARGEST_SECONDS, dynamic=True)
    if timeout is not None and heartbeat is not None and heartbeat >= timeout:
        state.refuse("HeartbeatSeconds must be smaller than TimeoutSeconds", "HeartbeatSeconds")


def _check_credentials(state: Node) -> None:
    """Credentials name a role, fixed or (JSONPath) from a path; activities have none."""
    if not state.has("Credentials") or isinstance(state.fields["Credentials"], str):
        return
    resource = state.fields.get("Resource")
    if isinstance(resource, str) and is_activity(resource):
        state.refuse("The field 'Credentials' is not supported for activities", "Credentials")
    credentials = state.object("Credentials")
    if credentials is None:
        return
    if not credentials.has("RoleArn") and not credentials.has("RoleArn.$"):
        credentials.refuse("The field 'RoleArn' is required but was missing")
    check_payloads(state, ["Credentials"])
