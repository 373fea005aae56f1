"""Starting executions (启动流程): one row, in the caller's transaction; the name is the key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import select

from gongdian.db import Session, insert_once
from gongdian.errors import ConflictError, InputError
from gongdian.workflow_tables import workflow_executions
from workflows.engine.documents import LARGEST_DOCUMENT, Document, read_json
from workflows.engine.home import checked_name
from workflows.engine.orders import Status
from workflows.engine.versions import find_version

_of = workflow_executions.c


@dataclass(frozen=True, slots=True)
class Start:
    """What is to be started: ``input`` is JSON text; ``name`` "" is given one."""

    machine: str
    input: str = "{}"
    name: str = ""
    parent_id: int | None = None
    parent_task: int | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """An execution that runs: ``is_new`` False when the same had been started before."""

    id: int
    machine: str
    name: str
    started_ms: int
    is_new: bool


def start_execution(session: Session, wanted: Start, now_ms: int) -> Started:
    """Start an execution; the same name with the same input while it runs is the same one.

    NotFoundError StateMachineDoesNotExist; ConflictError ExecutionAlreadyExists; InputError
    InvalidName, InvalidExecutionInput (StartExecution, Step Functions API reference).
    """
    name = checked_name(wanted.name or str(uuid4()))
    checked_name(wanted.machine)
    text = checked_input(wanted.input)
    version = find_version(session, wanted.machine, wanted.version)
    started_at = datetime.fromtimestamp(now_ms / 1000, UTC)
    values = {
        "machine": wanted.machine,
        "name": name,
        "version_id": version.id,
        "status": Status.RUNNING.value,
        "input": text,
        "last_event": 0,
        "epoch": 0,
        "wake_at_ms": 0,
        "signals": 0,
        "redrives": 0,
        "parent_id": wanted.parent_id,
        "parent_task": wanted.parent_task,
        "started_at": started_at,
    }
    is_new = insert_once(session, workflow_executions, values)
    # Locked: who joins an execution that runs must not miss its end.
    row = session.execute(
        select(_of.id, _of.machine, _of.name, _of.status, _of.input, _of.started_at)
        .where(_of.machine == wanted.machine, _of.name == name)
        .with_for_update()
    ).one()
    if not is_new and (row.status != Status.RUNNING.value or row.input != text):
        raise ConflictError("ExecutionAlreadyExists", f"Execution Already Exists: '{name}'")
    return Started(row.id, row.machine, row.name, round(row.started_at.timestamp() * 1000), is_new)


def checked_input(text: str) -> str:
    """The input's text, or InputError when it is no JSON or too large."""
    try:
        is_too_deep = Document(read_json(text), text).is_too_deep
    except (ValueError, RecursionError) as error:
        raise InputError(
            "InvalidExecutionInput", f"Invalid State Machine Execution Input: {error}"
        ) from None
    if is_too_deep:
        raise InputError("InvalidExecutionInput", "the input is nested too deeply")
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_DOCUMENT:
        raise InputError("InvalidExecutionInput", f"the input has over {LARGEST_DOCUMENT} bytes")
    return text
