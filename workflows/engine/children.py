"""Nested executions (子流程): states:startExecution and its .sync forms, inside one database.

Starting the child is part of the parent's save, and its end writes the parent's answer in its
own: no child is started twice or forgotten. Output shapes are those of DescribeExecution in the
Step Functions API reference, with capital first letters as the integration has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, select, tuple_

from gongdian.db import AnyRow, Session
from gongdian.errors import ConflictError, GongdianError, InputError, NotFoundError
from gongdian.workflow_tables import workflow_executions, workflow_tasks
from workflows.engine import statements
from workflows.engine.documents import Document, to_json
from workflows.engine.home import Home, machine_of
from workflows.engine.language.errors import TASK_FAILED
from workflows.engine.orders import Answer, AnswerKind, Facts, Status, TaskOrder
from workflows.engine.resources import Pattern
from workflows.engine.run import Run
from workflows.engine.signals import add_answer, wake
from workflows.engine.starting import Start, start_execution

_of = workflow_executions.c
_SYNC = (Pattern.SYNC.value, Pattern.SYNC_2.value)
_FAULTS = {
    NotFoundError: ("StateMachineDoesNotExist", "State Machine Does Not Exist: '{machine}'"),
    ConflictError: ("ExecutionAlreadyExists", "Execution Already Exists: '{execution}'"),
}


def start_child(session: Session, parent: Facts, order: TaskOrder, now_ms: int, home: Home) -> None:
    """Start the child that a task orders, and answer the task as far as it is known now."""
    wake(session, parent.id)
    payload = order.payload.value if isinstance(order.payload.value, dict) else {}
    machine = machine_of(order.name)
    name = payload.get("Name") or str(uuid4())
    try:
        wanted = Start(machine, _input_text(payload), str(name), parent.id, order.serial)
        started = start_execution(session, wanted, now_ms)
    except GongdianError as error:
        add_answer(session, parent.id, _refused(order, error, machine, str(name), home))
        return
    output: dict[str, Any] = {
        "ExecutionArn": home.execution_arn(machine, started.name),
        "SdkHttpMetadata": {"HttpStatusCode": 200},
        "SdkResponseMetadata": {"RequestId": str(uuid4())},
        "StartDate": started.started_ms,
    }
    child = {"b_id": parent.id, "b_serial": order.serial, "n_child": started.id}
    session.execute(statements.SET_CHILD, child)
    done = order.pattern is Pattern.REQUEST
    kind = AnswerKind.SUCCEEDED if done else AnswerKind.SUBMITTED
    add_answer(session, parent.id, Answer(order.scope, order.serial, kind, Document(output)))


def _input_text(payload: dict[str, Any]) -> str:
    given = payload.get("Input")
    if isinstance(given, str):
        return given
    return "{}" if given is None else to_json(given)


def _refused(order: TaskOrder, error: GongdianError, machine: str, name: str, home: Home) -> Answer:
    code, text = error.code, error.text
    for kind, (known, words) in _FAULTS.items():
        if isinstance(error, kind):
            code = known
            text = words.format(
                machine=home.machine_arn(machine), execution=home.execution_arn(machine, name)
            )
    if isinstance(error, InputError):
        code = error.code
    cause = (
        f"{text} (Service: AWSStepFunctions; Status Code: 400; Error Code: {code}; "
        f"Request ID: {uuid4()}; Proxy: null)"
    )
    named = f"StepFunctions.{code}Exception"
    return Answer(order.scope, order.serial, AnswerKind.FAILED, None, named, cause)


def answer_of(task: AnyRow, run: Run) -> Answer:
    """What the end of a child means for its parent's task."""
    about = _description(run)
    if run.status is Status.SUCCEEDED and run.output is not None:
        about["OutputDetails"] = {"Included": True}
        if task.pattern == Pattern.SYNC_2.value:
            about["Input"] = run.facts.input.value
            about["Output"] = run.output.value
        else:
            about["Output"] = run.output.text
        ordered = Document(dict(sorted(about.items())))
        return Answer(task.scope, task.serial, AnswerKind.SUCCEEDED, ordered)
    if run.error is not None:
        about["Error"] = run.error
    if run.cause is not None:
        about["Cause"] = run.cause
    cause = to_json(dict(sorted(about.items())))
    return Answer(task.scope, task.serial, AnswerKind.FAILED, None, TASK_FAILED, cause)


def _description(run: Run) -> dict[str, Any]:
    return {
        "ExecutionArn": run.facts.arn,
        "Input": run.facts.input.text,
        "InputDetails": {"Included": True},
        "Name": run.facts.name,
        "StartDate": run.facts.started,
        "StateMachineArn": run.facts.machine_arn,
        "Status": run.status.value,
        "StopDate": run.now,
    }


def stop_children(session: Session, tasks: Sequence[tuple[int, int]], home: Home) -> None:
    """Tell the running children of these tasks ``(execution id, serial)`` to stop."""
    if tasks:
        place = tuple_(_of.parent_id, _of.parent_task)
        _stop(session, place.in_(list(tasks)), home)


def stop_children_of(session: Session, execution_ids: Sequence[int], home: Home) -> None:
    """Tell every running child of these executions to stop."""
    if execution_ids:
        _stop(session, _of.parent_id.in_(execution_ids), home)


def _stop(session: Session, condition: ColumnElement[bool], home: Home) -> None:
    parents = workflow_executions.alias("parents")
    waited_for = workflow_tasks.c.pattern.in_(_SYNC)
    found = (
        select(_of.id, parents.c.machine, parents.c.name)
        .join(parents, parents.c.id == _of.parent_id)
        .join(
            workflow_tasks,
            (workflow_tasks.c.execution_id == _of.parent_id)
            & (workflow_tasks.c.serial == _of.parent_task),
        )
        .where(condition, waited_for, _of.status == Status.RUNNING.value)
    )
    for child in session.execute(found).all():
        arn = home.execution_arn(child.machine, child.name)
        cause = (
            f"The Task state in AWS Step Functions execution [{arn}] which was managing this "
            "resource was aborted"
        )
        if wake(session, child.id):  # it may have ended since it was found
            add_answer(session, child.id, Answer(0, 0, AnswerKind.STOP, None, None, cause))
